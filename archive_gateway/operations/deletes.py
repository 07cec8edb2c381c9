"""Deletes: what goes out of a repository is kept for a while."""

from datetime import datetime, timedelta

from archive_gateway.domain import rules
from archive_gateway.domain.names import ArchiveId, BlobType
from archive_gateway.store import archives, blobs
from archive_gateway.store.archives import Delta
from archive_gateway.store.blobs import Blob
from archive_gateway.store.tables import DELETED, PURGING
from archive_gateway.tenancy import Tenancy
from service_kit.database.engine import Transaction
from service_kit.errors import Unauthenticated
from service_kit.reasons import Reason

AT_ONCE = timedelta(0)


def delete(
    tx: Transaction,
    tenancy: Tenancy,
    archive: ArchiveId,
    type: BlobType,
    name: str,
    generation: int | None,
    arrived: datetime,
    now: datetime,
) -> bool:
    """Delete a blob that was not promised again since the request came; True: it is to be purged.

    `generation` is None for a grant, which may delete locks alone. A blob that is not there is
    deleted already.

    Raises:
        Unauthenticated: the seat ended or was renewed since.
        PermissionDenied: ARCHIVE_READ_ONLY or ARCHIVE_APPEND_ONLY.
        LimitReached: KEPT_QUOTA_EXCEEDED, too much is deleted and kept already.
    """
    standing = tenancy.standing(tx, archive)
    if standing is None:
        raise Unauthenticated(Reason.CREDENTIALS_INVALID, "No such archive")
    rules.check_writable(standing, type, generation)
    rules.check_deletable(standing, type)
    blob = blobs.find_live(tx, archive, type, name)
    if blob is None:
        return False
    account = archives.lock_account(tx, archive.account_id)
    if type is BlobType.LOCKS:
        return blobs.remove_live(tx, blob.location.nonce, PURGING, now, arrived)
    if standing.policy.delete_delay == AT_ONCE:
        return _out(tx, archive, blob, PURGING, arrived, now)
    quota = standing.policy.quota_bytes
    if quota is not None:
        # As much as data may take: a prune that is allowed to write more deletes more, too.
        most = rules.most_bytes(BlobType.DATA, quota, account.prune_allowance_expire_time, now)
        if account.kept_bytes + blob.size > most:
            raise rules.kept_exceeded(standing.policy.name, account.kept_bytes, most)
    _out(tx, archive, blob, DELETED, arrived, now)
    return False


def _out(
    tx: Transaction, archive: ArchiveId, blob: Blob, state: str, arrived: datetime, now: datetime
) -> bool:
    """Move a blob out of its repository; its bytes leave the quota."""
    moved = blobs.remove_live(tx, blob.location.nonce, state, now, arrived)
    if moved:
        if state == PURGING:
            archives.note_purge(tx, blob.archive_id, now)
        kept = blob.size if state == DELETED else 0
        delta = Delta(stored_bytes=-blob.size, kept_bytes=kept)
        archives.add(tx, archive.account_id, blob.archive_id, delta)
    return moved
