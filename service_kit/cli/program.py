"""A command line: its app, and how it ends."""

import sys
from collections.abc import Sequence
from typing import Annotated

from cyclopts import App, Group, Parameter
from cyclopts.config import Env
from cyclopts.exceptions import CycloptsError

from service_kit.cli import output
from service_kit.cli.options import Invocation, Options, Program, begin
from service_kit.errors import InvalidArgument, OffsiteError, Unavailable
from service_kit.version import VERSION

DONE, REFUSED, USAGE, UNREACHABLE, INTERRUPTED = 0, 1, 2, 3, 130

Tokens = Annotated[str, Parameter(show=False, allow_leading_hyphen=True)]
"""What an app's meta leaves to its commands."""


def make_app(program: Program, help: str) -> App:
    """An app whose options stand before or after the command.

    The options of every command, and those of `serve`, are environment variables too.
    """
    app = new_app(program.name, program.prefix, help)

    @app.meta.default
    def run(*tokens: Tokens, options: Options | None = None) -> int | None:
        begin(Invocation(program, options or Options()))
        return dispatch(app, tokens)

    return app


def new_app(name: str, prefix: str, help: str) -> App:
    """An app whose `meta` still needs its default: a function of the options of every command."""
    app = App(name=name, help=help, version=VERSION, result_action="return_value")
    app.register_install_completion_command()
    app.meta.group_parameters = Group("Options of every command")
    app.meta.config = (environment(prefix),)
    return app


def dispatch(app: App, tokens: Sequence[str]) -> int | None:
    """Run the command that tokens name; a command may answer an exit status."""
    answer: int | None = app(tokens, exit_on_error=False, print_error=False)
    return answer


def environment(prefix: str) -> Env:
    """Takes options from environment variables."""
    return Env(prefix, command=False)


def main(app: App) -> None:
    """Run a command and exit: 0 done, 1 refused, 2 usage, 3 unreachable. Never a traceback."""
    sys.exit(status_of(app, sys.argv[1:]))


def status_of(app: App, tokens: Sequence[str]) -> int:
    """Run a command; answers the exit status."""
    try:
        answer = app.meta(_with_ca_flag(tokens), exit_on_error=False, print_error=False)
    except CycloptsError as error:
        output.fail(str(error).strip(), f"See {app.name[0]} --help.")
        return USAGE
    except OffsiteError as error:
        output.fail(error.message, error.advice)
        return _status(error)
    except BrokenPipeError:
        sys.stderr.close()  # the reader has gone; Python would complain of it at exit
        return DONE
    except Exception as error:  # a fault of this program: still two lines, never a traceback
        output.fail(
            f"{type(error).__name__}: {error}", "This is a fault of the program: report it."
        )
        return REFUSED
    except KeyboardInterrupt:
        return INTERRUPTED
    return answer if isinstance(answer, int) else DONE


def _with_ca_flag(tokens: Sequence[str]) -> list[str]:
    """`identity --ca` prints the CA certificate; everywhere else --ca is followed by a file."""
    found = list(tokens)
    named = found.index("identity") if "identity" in found else len(found)
    for index, word in enumerate(found):
        followed = found[index + 1 : index + 2]
        if index > named and word == "--ca" and (not followed or followed[0].startswith("-")):
            found[index] = "--ca-certificate"
    return found


def _status(error: OffsiteError) -> int:
    if isinstance(error, InvalidArgument):
        return USAGE
    return UNREACHABLE if isinstance(error, Unavailable) else REFUSED
