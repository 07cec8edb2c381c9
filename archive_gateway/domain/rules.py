"""What may be written, deleted and how much: the rules of an archive, without any I/O."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NoReturn

from archive_gateway.domain.names import ArchiveId, BlobType
from archive_gateway.domain.standing import Standing
from service_kit.errors import LimitReached, PermissionDenied, Unauthenticated
from service_kit.reasons import Reason
from service_kit.sizes import format_size

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30

MOST_BYTES = 140 * MIB  # restic's packs are at most 128 MiB and a little
MOST_LOCK_BYTES = 64 * KIB
MOST_LOCKS = 1000  # of a device
# A record has about 2 KiB and is never deleted. Few in an hour: whoever floods them while a
# credential is stolen must not keep the device from adding its own for longer.
MOST_ESCROW_BYTES = 16 * KIB
MOST_ESCROW = 20
ESCROW_PERIOD = timedelta(hours=1)
# Locks must go through for a restore, and escrow for a recovery: they stand outside the quota.
UNCOUNTED = frozenset({BlobType.LOCKS, BlobType.ESCROW})
PRUNE_ALLOWANCE = timedelta(hours=24)
_MOST = {BlobType.LOCKS: MOST_LOCK_BYTES, BlobType.ESCROW: MOST_ESCROW_BYTES}


@dataclass(frozen=True, slots=True)
class Upload:
    """A blob on its way; `size` is the Content-Length that was announced."""

    archive: ArchiveId
    type: BlobType
    name: str
    size: int

    @property
    def counts(self) -> bool:
        """Whether its bytes count against quotas."""
        return self.type not in UNCOUNTED


def check_size(upload: Upload) -> None:
    """Refuse a blob that is larger than any of its type needs to be.

    Raises:
        LimitReached: BLOB_REFUSED.
    """
    most = _MOST.get(upload.type, MOST_BYTES)
    if upload.size > most:
        raise LimitReached(
            Reason.BLOB_REFUSED,
            f"Blob of {format_size(upload.size)} refused, of {upload.type} at most "
            f"{format_size(most)} are taken",
            "Use a pack size of at most 128 MiB.",
        )


def check_writable(standing: Standing, type: BlobType, generation: int | None) -> None:
    """Refuse to write for a seat that ended, or to an account that is read-only.

    A generation of None is a grant's: it writes and deletes the locks that a restore needs.

    Raises:
        Unauthenticated: the seat ended, or was renewed, since the credential was made.
        PermissionDenied: ARCHIVE_READ_ONLY.
    """
    if generation is None:
        if type is not BlobType.LOCKS:
            refuse_read_only("this is a grant")
        return
    if standing.generation != generation:
        raise Unauthenticated(
            Reason.CREDENTIALS_REVOKED,
            "The seat of this credential has ended",
            "Open the archive again with the device's own program.",
        )
    if standing.read_only and type is not BlobType.LOCKS:
        refuse_read_only(standing.read_only)


def check_deletable(standing: Standing, type: BlobType) -> None:
    """Refuse to delete from an append-only archive; locks may always go, escrow never.

    Raises:
        PermissionDenied: ARCHIVE_APPEND_ONLY.
    """
    if type is BlobType.LOCKS:
        return
    if type is BlobType.ESCROW or standing.policy.append_only:
        raise PermissionDenied(
            Reason.ARCHIVE_APPEND_ONLY,
            f"{standing.policy.name}: append-only, nothing is deleted",
            "Ask the operator of this server, who can prune it with append-only switched off.",
        )


def refuse_read_only(why: str) -> NoReturn:
    """Refuse to write.

    Raises:
        PermissionDenied: ARCHIVE_READ_ONLY.
    """
    raise PermissionDenied(
        Reason.ARCHIVE_READ_ONLY,
        f"Read-only: {why}",
        "Restores go on. Ask the operator of this server.",
    )


def most_bytes(
    type: BlobType, quota_bytes: int, allowance_ends: datetime | None, now: datetime
) -> int:
    """How much a quota may hold after an upload of a type.

    What a prune writes before it frees, index and snapshots, may stand a little above the quota;
    data only while the operator allows a prune, and then its index above that.
    """
    allowed = allowance_ends is not None and now < allowance_ends
    most = quota_bytes + (prune_allowance(quota_bytes) if allowed else 0)
    return most if type is BlobType.DATA else most + max(256 * MIB, quota_bytes // 100)


def prune_allowance(quota_bytes: int) -> int:
    """How many bytes of data a prune may write above a quota."""
    return max(GIB, quota_bytes // 20)


def quota_exceeded(holder: str, used_bytes: int, quota_bytes: int) -> LimitReached:
    """The refusal of an upload that a quota has no room for."""
    return LimitReached(
        Reason.DISK_QUOTA_EXCEEDED,
        f"{holder} disk quota exceeded ({format_size(used_bytes)} of {format_size(quota_bytes)})",
        "Forget and prune snapshots, or ask for a larger quota.",
        metadata={"used_bytes": str(used_bytes), "quota_bytes": str(quota_bytes)},
    )


def kept_exceeded(name: str, kept_bytes: int, most_bytes: int) -> LimitReached:
    """The refusal of a delete: what is deleted and kept would outgrow the quota's size."""
    return LimitReached(
        Reason.KEPT_QUOTA_EXCEEDED,
        f"{name}: deleted and kept already {format_size(kept_bytes)} of "
        f"{format_size(most_bytes)}, nothing more is deleted",
        "Wait until the delay is over, or ask the operator of this server to purge or to allow a "
        "prune.",
    )
