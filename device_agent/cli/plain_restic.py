"""`offsite-device restic` and `env`: the same archive by other programs."""

import shlex
from typing import Annotated

from cyclopts import App, Parameter

from device_agent.cli.program import options, state
from service_kit.cli import output

Words = Annotated[str, Parameter(allow_leading_hyphen=True)]

# Without help flags of its own: one after -- is for restic.
app = App(name="restic", help_flags=(), version_flags=())


@app.default
def restic(name: str, /, *args: Words) -> None:
    """Run any command of restic at a destination: restic NAME -- find '*.odt'.

    Its terminal, its signals and its exit status are restic's own.

    Parameters
    ----------
    name
        The destination.
    args
        restic's words, after --.
    """
    from device_agent import restic as program
    from device_agent import selection
    from device_agent.destinations import Device
    from device_agent.restic_run import replace_with

    found = program.find(options().restic)
    replace_with(found, selection.opened(Device(state()), name).repository, args)


def env(name: str, /) -> None:
    """Print shell exports for plain restic, rustic or Backrest at a destination.

    The printed lines are secrets: whoever has them has the archive.

    Parameters
    ----------
    name
        The destination.
    """
    from device_agent import selection
    from device_agent.destinations import Device

    device = Device(state())
    repository = selection.opened(device, name).repository
    secret = repository.access.repository
    password_file = str(device.state.password_file(device.enrollment.device_id))
    ca_file = str(repository.ca_file)
    exports = {
        "RESTIC_REPOSITORY": secret,
        "RESTIC_PASSWORD_FILE": password_file,
        "RESTIC_CACERT": ca_file,
        "RUSTIC_REPOSITORY": secret,
        "RUSTIC_PASSWORD_FILE": password_file,
        "SSL_CERT_FILE": ca_file,
    }

    def people() -> None:
        output.line("# These lines are secrets: whoever has them can read and delete the archive.")
        for variable, value in exports.items():
            output.line(f"export {variable}={shlex.quote(value)}")
        output.line("# SSL_CERT_FILE is for rustic, and for restic before 0.16; it holds for every")
        output.line("# program that is started in this shell.")

    output.show_document(exports, people)
