"""What this command is called, and the options of all its commands."""

import contextvars
from dataclasses import dataclass

from cyclopts import Parameter

from device_agent.cli.parameters import GivenPath
from device_agent.state import State
from service_kit.cli.options import PrintOptions, print_as

PREFIX = "OFFSITE_DEVICE_"
HELP = "Backs this computer up to its company's own server and to the providers attached to it."


@Parameter(name="*")
@dataclass(frozen=True)
class Options(PrintOptions):
    """The options of every command."""

    state: GivenPath | None = None
    """The folder of this computer's key, certificate and password; keep it secret."""

    restic: GivenPath | None = None
    """The restic to use, 0.14 or newer; else that of this Python's environment or the PATH."""


_options: contextvars.ContextVar[Options] = contextvars.ContextVar("options")


def begin(options: Options) -> None:
    """Note the options of the command being run."""
    _options.set(options)
    print_as(options)


def options() -> Options:
    """The options of the command being run."""
    return _options.get()


def state() -> State:
    """The state folder."""
    return State(options().state)
