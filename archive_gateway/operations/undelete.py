"""Undelete: repositories become what they were at a time; what came later goes to the bin."""

from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import ColumnElement, and_, func, insert, select, update

from archive_gateway.operations.past import past
from archive_gateway.store import archives
from archive_gateway.store.archives import Delta
from archive_gateway.store.tables import DELETED, LIVE, blobs, history
from archive_gateway.tenancy import Tenancy
from service_kit.database.engine import Transaction
from service_kit.errors import FieldViolation, InvalidArgument
from service_kit.ledger import audit


@dataclass(frozen=True)
class Undeleted:
    """What changed, in blobs and bytes; `lost` are those of that time that are gone for good.

    `purge_time` is set where more of that time may be gone: what was deleted up to then was purged.
    """

    devices: int = 0
    restored_blobs: int = 0
    restored_bytes: int = 0
    deleted_blobs: int = 0
    deleted_bytes: int = 0
    lost_blobs: int = 0
    purge_time: datetime | None = None


def undelete(
    tx: Transaction,
    tenancy: Tenancy,
    account_id: str,
    device_guid: str,
    to: datetime,
    now: datetime,
) -> Undeleted:
    """Bring back one device's archive, or all of an account's, as of a time; above quotas too.

    Raises:
        NotFound: there is no such account.
        InvalidArgument: the time is not in the past.
    """
    tenancy.policy(tx, account_id)
    if to >= now:
        raise InvalidArgument([FieldViolation("time", "must be in the past")])
    archives.lock_account(tx, account_id)
    total = Undeleted()
    for archive_id, _ in archives.of_account(tx, account_id, device_guid):
        one = _undelete(tx, archive_id, to, now)
        if one.restored_blobs or one.deleted_blobs:
            total = _sum(total, replace(one, devices=1))
            delta = Delta(
                stored_bytes=one.restored_bytes - one.deleted_bytes,
                kept_bytes=one.deleted_bytes - one.restored_bytes,
            )
            archives.add(tx, account_id, archive_id, delta)
        else:
            total = _sum(total, one)
    audit.record(
        tx,
        "archive.undeleted",
        organization_id=account_id,
        subject=device_guid,
        detail=f"To {to:%Y-%m-%d %H:%M:%S} UTC: {total.restored_blobs} blobs restored, "
        f"{total.deleted_blobs} deleted.",
        now=now,
    )
    return total


def _undelete(tx: Transaction, archive_id: int, to: datetime, now: datetime) -> Undeleted:
    """One archive; locks are never kept, and escrow is never deleted, so both stay as they are."""
    then = past(tx, archive_id, to)
    restored = and_(then.here, blobs.c.state == DELETED, then.held)
    deleted = and_(then.here, blobs.c.state == LIVE, ~then.held)
    purged = archives.purge_time(tx, archive_id)
    incomplete = purged if purged is not None and to < purged else None
    figures = Undeleted(0, *_count(tx, restored), *_count(tx, deleted), then.lost, incomplete)
    remembered = select(blobs.c.nonce, blobs.c.live_time, blobs.c.delete_time).where(restored)
    tx.execute(insert(history).from_select(["nonce", "live_time", "delete_time"], remembered))
    # First out, then in: a name has one live blob at a time.
    tx.execute(update(blobs).where(deleted).values(state=DELETED, delete_time=now))
    back = {"state": LIVE, "live_time": now, "confirm_time": now, "delete_time": None}
    tx.execute(update(blobs).where(restored).values(back))
    return figures


def _count(tx: Transaction, which: ColumnElement[bool]) -> tuple[int, int]:
    columns = func.count(), func.coalesce(func.sum(blobs.c.size), 0)
    count, size = tx.execute(select(*columns).select_from(blobs).where(which)).one()
    return int(count), int(size)


def _sum(one: Undeleted, other: Undeleted) -> Undeleted:
    return Undeleted(
        one.devices + other.devices,
        one.restored_blobs + other.restored_blobs,
        one.restored_bytes + other.restored_bytes,
        one.deleted_blobs + other.deleted_blobs,
        one.deleted_bytes + other.deleted_bytes,
        one.lost_blobs + other.lost_blobs,
        max(filter(None, (one.purge_time, other.purge_time)), default=None),
    )
