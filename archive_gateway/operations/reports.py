"""What a device's own program is told of its archive, and an operator of its refusals."""

from datetime import datetime

from archive_gateway.domain.names import ArchiveId
from archive_gateway.domain.standing import Standing
from archive_gateway.operations import usage
from archive_gateway.operations.usage import AccountArchive
from archive_gateway.store import archives
from archive_gateway.tenancy import Tenancy
from service_kit.database.engine import Transaction
from service_kit.errors import OffsiteError
from service_kit.ledger import audit

ACTIVE, FULL, READ_ONLY = "active", "full", "read-only"


def of_device(tx: Transaction, tenancy: Tenancy, archive: ArchiveId) -> dict[str, object]:
    """A device's usage and its account's, ready for JSON; sizes in bytes, time as RFC 3339.

    Raises:
        NotFound: the account is unknown.
    """
    account = usage.archive_of(tx, tenancy, archive.account_id)
    own = usage.of_device(tx, archive)
    standing = tenancy.standing(tx, archive)
    read_only = standing.read_only if standing is not None else account.read_only
    last = own.last_backup_time
    return {
        "state": READ_ONLY if read_only else FULL if account.full else ACTIVE,
        "reason": read_only,
        "stored_bytes": own.stored_bytes,
        "kept_bytes": own.kept_bytes,
        "last_backup_time": last.isoformat() if last else None,
        "organization_stored_bytes": account.usage.archive.stored_bytes,
        "quota_bytes": account.usage.policy.quota_bytes,
        "quota_left_bytes": _left(tx, archive, account, standing),
        "append_only": account.usage.policy.append_only,
    }


def note_refusal(tx: Transaction, archive: ArchiveId, error: OffsiteError, now: datetime) -> None:
    """Record that an archive had no room: an operator should see it before a user calls."""
    audit.count_refusal(
        tx,
        "archive.refused",
        organization_id=archive.account_id,
        subject=archive.device_guid,
        detail=error.message,
        now=now,
    )


def _left(
    tx: Transaction, archive: ArchiveId, account: AccountArchive, standing: Standing | None
) -> int | None:
    """What the tightest of the quotas that the device is under has left; None without any."""
    held = account.usage.archive
    quota = account.usage.policy.quota_bytes
    left = [] if quota is None else [quota - held.stored_bytes - held.reserved_bytes]
    for limit in standing.limits if standing else ():
        if limit.devices is not None:
            used = archives.used_by(tx, archive.account_id, limit.devices)
            left.append(limit.quota_bytes - used)
    return max(min(left), 0) if left else None
