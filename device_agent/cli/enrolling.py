"""`offsite-device enroll` and `unenroll`."""

from device_agent.cli.parameters import GivenPath
from device_agent.cli.program import state
from service_kit.cli import output
from service_kit.cli.parameters import Flag
from service_kit.cli.secret_input import read_secret
from service_kit.errors import OffsiteError, Unauthenticated

LINE = "Enrollment line (HOST:PORT/GUID/CODE)"


def enroll(*, file: GivenPath | None = None) -> None:
    """Enroll this computer by the line that the administrator's `device add` printed.

    The line is asked for on the terminal, or read from stdin. It is a secret for a day.

    Parameters
    ----------
    file
        A file that holds the line.
    """
    from device_agent.enrolling import enroll as enroll_by
    from service_kit.identity.enrollment import Invitation

    invitation = Invitation.parse("enrollment line", read_secret(file, LINE, "--file"))
    made = enroll_by(state(), invitation)
    facts = [("enrolled as", made.device_name), ("of", made.user_email), ("GUID", made.device_id)]

    def people() -> None:
        output.facts([*facts, ("server", made.server_guid), ("state", state().folder)])
        if not made.recovery_key:
            output.warn(
                "There is no recovery key: a lost computer's backups can't be read by anyone. "
                "Ask your administrator for one (recovery-key create)."
            )

    document = {
        "device_id": made.device_id,
        "device_name": made.device_name,
        "user_email": made.user_email,
        "server_guid": made.server_guid,
        "has_recovery_key": bool(made.recovery_key),
    }
    output.show_document(document, people, quiet=made.device_id)


def unenroll(*, local: Flag = False) -> None:
    """Forget this computer's key and its access. Backups stay, and so does their password.

    Parameters
    ----------
    local
        Also where the server can't be reached; the administrator ends the key (device deauthorize).
    """
    from device_agent.destinations import Device

    here = state()
    known = here.enrollment
    try:
        Device(here).server.unenroll()
    except Unauthenticated:
        pass  # it has ended there already
    except OffsiteError as error:
        if not local:
            error.advice += " Or forget it here alone: unenroll --local."
            raise
    here.forget()
    document = {"device_id": known.device_id, "password": str(here.password_file(known.device_id))}

    def people() -> None:
        output.line(f"{known.device_name} is enrolled no longer; its backups stay.")
        output.line(f"Their password is still in {document['password']}.")

    output.show_document(document, people, quiet=known.device_id)
