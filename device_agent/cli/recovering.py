"""`offsite-device recover`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from device_agent.cli.backups import Repeated
from device_agent.cli.parameters import GivenPath
from device_agent.cli.program import options
from device_agent.cli.progress import bar
from device_agent.cli.showing import COLUMNS, row
from service_kit.cli import output
from service_kit.cli.parameters import Flag
from service_kit.errors import FieldViolation, InvalidArgument

if TYPE_CHECKING:
    from device_agent.archive import Archive
    from device_agent.recovery import Grant
    from device_agent.restic import Restic
    from device_agent.restic_run import Repository


def recover(
    address: str,
    /,
    *,
    guid: str,
    grant_file: GivenPath,
    recovery_sheet: GivenPath | None = None,
    password_file: GivenPath | None = None,
    target: GivenPath | None = None,
    snapshot: str = "latest",
    include: Repeated = (),
    list_: Flag = False,
) -> None:
    """Restore a computer's archive on a bare machine, from the server that keeps it alone.

    It needs no enrollment. The server must prove its GUID; the password must be the device's own.

    Parameters
    ----------
    address
        HOST:PORT of that server's HTTPS; 7402 by default at a provider.
    guid
        That server's GUID.
    grant_file
        A file with what `archive grant` printed.
    recovery_sheet
        A file with the recovery sheet.
    password_file
        Instead of the sheet: a file with the repository password.
    target
        The folder to restore into.
    snapshot
        Its id, or latest.
    include
        Only what matches this pattern of restic's; repeatable.
    list_
        Only list the snapshots.
    """
    from device_agent import given, recovery, restic, restore

    if (recovery_sheet is None) == (password_file is None):
        raise _usage("--recovery-sheet", "give either it or --password-file")
    if (target is None) != list_:
        raise _usage("--target", "give either it or --list")
    grant, program = given.read_grant(grant_file), restic.find(options().restic)
    with recovery.reached(address, guid, grant) as archive:
        repository = _repository(program, archive, grant, recovery_sheet, password_file)
        if list_:
            _show(restore.snapshots(program, repository, archive))
            return
        wanted = restore.Wanted(snapshot, str((target or Path()).absolute()), include)
        with bar(address) as watch:
            restore.restored(program, repository, archive, wanted, watch)
    document = {
        "device_id": grant.device_guid,
        "snapshot": snapshot,
        "target": wanted.target,
    }
    said = f"{snapshot} of device {grant.device_guid} is restored in {wanted.target}."
    output.show_document(document, lambda: output.line(said))


def _repository(
    program: "Restic",
    archive: "Archive",
    grant: "Grant",
    recovery_sheet: Path | None,
    password_file: Path | None,
) -> "Repository":
    """The repository, opened by the device's own password."""
    from device_agent import given, recovery, restic_failures
    from device_agent.restic_run import Repository

    if recovery_sheet is not None:
        sheet = given.read_sheet(recovery_sheet)
        password = recovery.password_of(program, archive, grant.device_guid, sheet)
        return Repository(archive.access, archive.ca_file, password)
    password = given.read_text("--password-file", password_file or Path()).strip()
    repository = Repository(archive.access, archive.ca_file, password)
    if not recovery.opens(program, repository):
        raise restic_failures.wrong_password(archive.name)
    return repository


def _show(found: list[dict[str, Any]]) -> None:
    output.show_document({"snapshots": found}, lambda: output.table(COLUMNS, map(row, found)))


def _usage(option: str, description: str) -> InvalidArgument:
    return InvalidArgument([FieldViolation(option, description)])
