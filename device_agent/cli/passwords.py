"""`offsite-device password`: of a computer that took over from another."""

from cyclopts import App

from device_agent import files
from device_agent.cli.parameters import GivenPath
from device_agent.cli.program import options, state
from service_kit.cli import output
from service_kit.cli.secret_input import read_secret

app = App(name="password", help="The password of this computer's archives.")


@app.command
def import_(*, file: GivenPath | None = None, recovery_sheet: GivenPath | None = None) -> None:
    """Take over the password of an archive that another computer began as this device.

    It is asked for on the terminal, or read from stdin, unless a file is named.

    Parameters
    ----------
    file
        A file with the password: `passwords/GUID` of the other computer's state folder.
    recovery_sheet
        Instead of it: a file with the recovery sheet.
    """
    from device_agent import adoption, given, restic
    from device_agent.destinations import Device

    device, program = Device(state()), restic.find(options().restic)
    if recovery_sheet is not None:
        sheet = given.read_sheet(recovery_sheet)
        find = adoption.of_sheet(program, device.enrollment.device_id, sheet)
    else:
        password = read_secret(file, "Repository password", "--file")
        find = adoption.of_password(program, password)
    with files.held(device.state.lock_file, "A backup"):
        name = adoption.adopt(device, program, find)
    output.show_document(
        {"destination": name},
        lambda: output.line(f"The password opens the archive at {name}, and is this computer's."),
    )
