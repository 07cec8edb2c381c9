"""Restore a device's archive with a grant and the recovery sheet, the company's server being gone.

The server that keeps the archive is believed in nothing: it must prove its GUID; the password must
come from a record that a device of the sheet's company signed; and that password must open the
repository that is there.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from device_agent.access import Access, archive_url
from device_agent.archive import Archive
from device_agent.escrow import KIND
from device_agent.proof import ensure_ca
from device_agent.restic import Restic
from device_agent.restic_failures import error_of, is_wrong_password
from device_agent.restic_run import Repository, run
from service_kit.errors import (
    Conflict,
    FieldViolation,
    InvalidArgument,
    NotFound,
    OffsiteError,
    PermissionDenied,
)
from service_kit.identity import recovery_key, statements
from service_kit.identity.guid import parse_guid
from service_kit.identity.recovery_sheet import RecoverySheet
from service_kit.identity.statements import EscrowRecord
from service_kit.reasons import Reason
from service_kit.settings import join_address, split_address
from service_kit.validation import Checks

MOST_RECORDS = 1000


@dataclass(frozen=True)
class Grant:
    """A read-only access to one device's archive, as `archive grant` prints it."""

    account_id: str
    device_guid: str
    credential: str = field(repr=False)

    @classmethod
    def parse(cls, field: str, text: str) -> "Grant":
        """The grant of a line: ACCOUNT/DEVICE/CREDENTIAL.

        Raises:
            InvalidArgument: it is none; it names the field and never the credential.
        """
        parts = text.strip().split("/")
        if len(parts) != 3 or not parts[2].isascii() or not parts[2].isprintable():
            description = "must be ACCOUNT/DEVICE/CREDENTIAL, as `archive grant` printed it"
            raise InvalidArgument([FieldViolation(field, description)])
        checks = Checks()
        account_id, device_guid = (checks.uuid(field, each) for each in parts[:2])
        checks.done()
        return cls(account_id, device_guid, parts[2])

    def access(self, address: str, server_guid: str) -> Access:
        """To the archive at HOST:PORT."""
        url = archive_url(address, self.account_id, self.device_guid)
        return Access(url, self.device_guid, self.credential, server_guid)


@contextmanager
def reached(address: str, server_guid: str, grant: Grant) -> Iterator[Archive]:
    """The archive of a grant at HOST:PORT, whose server has proven its GUID.

    Raises:
        InvalidArgument: it is no HOST:PORT, or no GUID.
        OffsiteError: it can't be reached, or another server answers there.
    """
    try:
        place = join_address(*split_address(address))
    except ValueError as error:
        raise InvalidArgument([FieldViolation("ADDRESS", "must be HOST:PORT")]) from error
    access = grant.access(place, parse_guid("--guid", server_guid))
    with TemporaryDirectory(prefix="offsite-device-") as folder:
        yield Archive(place, access, ensure_ca(access, Path(folder) / "ca.pem"))


def password_of(restic: Restic, archive: Archive, device_guid: str, sheet: RecoverySheet) -> str:
    """The repository password of an archive: that of the newest record which opens it.

    Raises:
        NotFound: there is no record.
        PermissionDenied: none is the device's own, or none is sealed to this sheet.
        Conflict: none opens the repository.
    """
    records = sorted(_proven(archive, device_guid, sheet), key=lambda each: each.time)
    passwords = [each for record in reversed(records) for each in _unsealed(record, sheet)]
    if not passwords:
        raise PermissionDenied(
            Reason.CREDENTIALS_INVALID,
            f"No password of device {device_guid} is sealed to the recovery key of this sheet.",
            "Use the sheet of the recovery key that was in force when the device backed up.",
        )
    for password in dict.fromkeys(passwords):
        if opens(restic, Repository(archive.access, archive.ca_file, password)):
            return password
    raise Conflict(
        Reason.ESCROW_REFUSED,
        f"The repository at {archive.access.address} is not the one that device {device_guid} "
        "made: no password that it sealed opens it.",
        "Do not use it. Ask whoever keeps the archive to bring the device's own back "
        "(archive undelete).",
    )


def opens(restic: Restic, repository: Repository) -> bool:
    """Whether the password opens the repository.

    Raises:
        OffsiteError: there is none, or it can't be reached.
    """
    outcome = run(restic, repository, ["cat", "config"], lambda _: None)
    if outcome.status == 0:
        return True
    archive = Archive(repository.access.address, repository.access, repository.ca_file)
    if is_wrong_password(outcome):
        return False
    raise error_of(outcome, archive)


def _proven(archive: Archive, device_guid: str, sheet: RecoverySheet) -> Iterator[EscrowRecord]:
    """The records that the device made; a refusal, if there are none but others'."""
    names = archive.names(KIND)[:MOST_RECORDS]
    if not names:
        raise NotFound(
            Reason.NOT_FOUND,
            f"There is no escrow record of device {device_guid} at {archive.access.address}.",
            "It backed up without a recovery key, or is another device's archive. With the "
            "computer's own password: --password-file.",
        )
    refusals: list[OffsiteError] = []
    for name in names:
        text = archive.read(KIND, name).decode("ascii", errors="replace")
        try:
            yield statements.read_escrow_record(text, sheet.customer_guid, device_guid)
        except PermissionDenied as error:
            refusals.append(error)
    if len(refusals) == len(names):
        raise _forged(refusals[0])


def _unsealed(record: EscrowRecord, sheet: RecoverySheet) -> Iterator[str]:
    """The password of a record, if it is sealed to this sheet's key."""
    try:
        yield recovery_key.unseal(sheet.key.private_key, record.sealed).decode("ascii")
    except (PermissionDenied, UnicodeDecodeError):
        return


def _forged(error: OffsiteError) -> PermissionDenied:
    return PermissionDenied(
        Reason.ESCROW_REFUSED,
        f"No escrow record there can be trusted. {error.message}",
        "Do not use this archive: compare the grant's device and the sheet, and ask whoever keeps "
        "the archive.",
    )
