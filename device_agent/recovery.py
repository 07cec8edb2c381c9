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
from service_kit.clock import now
from service_kit.errors import (
    Conflict,
    FieldViolation,
    InvalidArgument,
    NotFound,
    OffsiteError,
    PermissionDenied,
    Unauthenticated,
)
from service_kit.identity import recovery_key, statements
from service_kit.identity.guid import parse_guid
from service_kit.identity.recovery_sheet import RecoverySheet
from service_kit.identity.statements import EscrowRecord
from service_kit.reasons import Reason
from service_kit.settings import join_address, split_address
from service_kit.validation import Checks

MOST_RECORDS = 1000
LONGEST_PASSWORD = 200  # characters
_LOST = (Reason.NOT_FOUND, Reason.WRONG_STATE, Reason.ARCHIVE_UNAVAILABLE)  # of one record


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
    try:
        with TemporaryDirectory(prefix="offsite-device-") as folder:
            yield Archive(place, access, ensure_ca(access, Path(folder) / "ca.pem"))
    except Unauthenticated as error:
        advice = "The grant has ended, or it is wrong. Ask for a new one: archive grant."
        raise Unauthenticated(error.reason, error.message, advice) from error


def password_of(restic: Restic, archive: Archive, device_guid: str, sheet: RecoverySheet) -> str:
    """The repository password of an archive: that of the newest record which opens it.

    Raises:
        NotFound: there is no record.
        PermissionDenied: none is the device's own, or none is sealed to this sheet.
        Conflict: none opens the repository.
        OffsiteError: the archive can't be reached, or restic fails with each.
    """
    records = sorted(_proven(archive, device_guid, sheet), key=lambda each: each.time)
    passwords = [each for record in reversed(records) for each in _unsealed(record, sheet)]
    if not passwords:
        raise PermissionDenied(
            Reason.CREDENTIALS_INVALID,
            f"No password of device {device_guid} is sealed to the recovery key of this sheet.",
            "Use the sheet of the recovery key that was in force when the device backed up.",
        )
    refusals: list[OffsiteError] = []
    for password in dict.fromkeys(passwords):
        try:
            if opens(restic, Repository(archive.access, archive.ca_file, password)):
                return password
        except OffsiteError as error:
            if error.reason is Reason.PEER_UNREACHABLE:
                raise
            refusals.append(error)
    if refusals:
        raise refusals[0]
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


def _proven(archive: Archive, device_guid: str, sheet: RecoverySheet) -> list[EscrowRecord]:
    """The records that the device made; a refusal, if there are none but others'."""
    names = archive.names(KIND)[:MOST_RECORDS]
    if not names:
        raise NotFound(
            Reason.NOT_FOUND,
            f"There is no escrow record of device {device_guid} at {archive.access.address}.",
            "It backed up without a recovery key, or is another device's archive. With the "
            "computer's own password: --password-file.",
        )
    found = [_record(archive, name, device_guid, sheet) for name in names]
    records = [each for each in found if isinstance(each, EscrowRecord)]
    refusals = [each for each in found if isinstance(each, OffsiteError)]
    if not records:
        raise refusals[0]
    return records


def _record(
    archive: Archive, name: str, device_guid: str, sheet: RecoverySheet
) -> EscrowRecord | OffsiteError:
    """The record of this name, or why it is of no use, which says nothing of the others.

    Raises:
        OffsiteError: the archive refuses all, or can't be reached.
    """
    try:
        text = archive.read(KIND, name).decode("ascii", errors="replace")
    except OffsiteError as error:
        if error.reason in _LOST:
            return error
        raise
    try:
        return statements.read_escrow_record(text, sheet.customer_guid, device_guid, now())
    except PermissionDenied as error:
        return _forged(error)


def _unsealed(record: EscrowRecord, sheet: RecoverySheet) -> Iterator[str]:
    """The password of a record, if it is sealed to this sheet's key and may be one of ours."""
    try:
        password = recovery_key.unseal(sheet.key.private_key, record.sealed).decode("ascii")
    except (PermissionDenied, UnicodeDecodeError):
        return
    if password.isprintable() and 0 < len(password) <= LONGEST_PASSWORD:
        yield password


def _forged(error: OffsiteError) -> PermissionDenied:
    return PermissionDenied(
        Reason.ESCROW_REFUSED,
        f"No escrow record there can be trusted. {error.message}",
        "Do not use this archive: compare the grant's device and the sheet, and ask whoever keeps "
        "the archive.",
    )
