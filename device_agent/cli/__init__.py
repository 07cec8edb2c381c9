"""`offsite-device`: a computer's own program."""

from service_kit.cli.program import Tokens, dispatch, new_app
from service_kit.cli.program import main as run

# isort: split
from device_agent.cli import (
    backups,
    enrolling,
    passwords,
    plain_restic,
    recovering,
    restoring,
    scheduling,
    showing,
)
from device_agent.cli.program import HELP, PREFIX, Options, begin
from device_agent.state import PROGRAM

app = new_app(PROGRAM, PREFIX, HELP)
for each in (
    enrolling.enroll,
    backups.backup,
    showing.status,
    showing.snapshots,
    restoring.restore,
    scheduling.app,
    plain_restic.app,
    plain_restic.env,
    recovering.recover,
    passwords.app,
    enrolling.unenroll,
):
    app.command(each)


@app.meta.default
def _run(*tokens: Tokens, options: Options | None = None) -> int | None:
    begin(options or Options())
    return dispatch(app, tokens)


def main() -> None:
    """The entry point."""
    run(app)
