"""The ledger's rows, which are the outbox's too."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, Select, delete, func, insert, select, update

from customer_service.domain.provider import ProviderSeat
from customer_service.domain.seat import USING, WAITING, Seat, SeatState
from customer_service.domain.storage import SERVING
from customer_service.store.tables import devices, storages, unclaimed_seats, users
from customer_service.store.tables import seats as table
from service_kit.database.chunks import CHUNK, chunks
from service_kit.database.engine import Transaction
from service_kit.database.paging import Page, PageRequest, paginate
from service_kit.database.statements import upsert

_KEY = ["storage_id", "device_id"]
_VALUES = [each.name for each in table.c if each.name not in _KEY]


def find(tx: Transaction, storage_id: str, device_id: str) -> Seat | None:
    """A device's row at a storage, or None."""
    row = tx.execute(_one(storage_id, device_id)).one_or_none()
    return from_row(row) if row else None


def lock(tx: Transaction, storage_id: str, device_id: str) -> Seat | None:
    """A device's row at a storage, held until the transaction ends, or None."""
    row = tx.execute(_one(storage_id, device_id).with_for_update(key_share=True)).one_or_none()
    return from_row(row) if row else None


def put(tx: Transaction, *rows: Seat) -> None:
    """Write rows that were locked in this transaction, or are new."""
    if not rows:
        return
    statement = upsert(tx, table)
    changed = {each: statement.excluded[each] for each in _VALUES}
    statement = statement.on_conflict_do_update(index_elements=_KEY, set_=changed)
    tx.execute(statement, [_to_row(each) for each in rows])


def lock_of_devices(tx: Transaction, device_ids: Sequence[str], storage_id: str = "") -> list[Seat]:
    """All rows of these devices, or those at one storage, held, in one order for all callers."""
    found: list[Seat] = []
    for some in chunks(sorted(device_ids)):
        statement = select(table).where(table.c.device_id.in_(some))
        if storage_id:
            statement = statement.where(table.c.storage_id == storage_id)
        ordered = statement.order_by(table.c.device_id, table.c.storage_id)
        found.extend(map(from_row, tx.execute(ordered.with_for_update(key_share=True))))
    return found


def devices_at(tx: Transaction, storage_id: str) -> list[str]:
    """Devices that use a storage, or whose release of it waits."""
    statement = select(table.c.device_id).where(
        table.c.storage_id == storage_id, table.c.state != SeatState.NONE
    )
    return list(tx.execute(statement).scalars())


def of_devices(tx: Transaction, device_ids: Sequence[str]) -> list[Seat]:
    """All rows of these devices."""
    statement = select(table).where(table.c.device_id.in_(device_ids))
    return [from_row(row) for row in tx.execute(statement)]


def seats_by_organization(tx: Transaction, organization_ids: Sequence[str]) -> dict[str, int]:
    """Local seats that devices of users directly in each of these organizations hold."""
    statement = (
        select(users.c.organization_id, func.count(table.c.device_id.distinct()))
        .join(devices, devices.c.id == table.c.device_id)
        .join(users, users.c.id == devices.c.user_id)
        .where(table.c.state.in_(USING), users.c.organization_id.in_(organization_ids))
        .group_by(users.c.organization_id)
    )
    return {row[0]: row[1] for row in tx.execute(statement)}


def counts_by_storage(tx: Transaction, storage_ids: Sequence[str]) -> dict[tuple[str, str], int]:
    """How many rows each storage has in each state."""
    statement = (
        select(table.c.storage_id, table.c.state, func.count())
        .where(table.c.storage_id.in_(storage_ids))
        .group_by(table.c.storage_id, table.c.state)
    )
    return {(row[0], row[1]): row[2] for row in tx.execute(statement)}


def claim_due(tx: Transaction, now: datetime, lease: timedelta, most: int) -> list[Seat]:
    """Changes that are due, taken for this replica until the lease ends.

    A change sent by two replicas does no harm; the lease only keeps them from doing so often.
    """
    statement = (
        select(table)
        .join(storages, storages.c.id == table.c.storage_id)
        .where(
            table.c.next_attempt_time <= now,
            storages.c.state.in_(SERVING),
            storages.c.compared,
        )
        .order_by(table.c.next_attempt_time)
        .limit(most)
        .with_for_update(of=table, skip_locked=True, key_share=True)
    )
    due = [from_row(row) for row in tx.execute(statement)]
    for storage_id in {each.storage_id for each in due}:
        device_ids = [each.device_id for each in due if each.storage_id == storage_id]
        tx.execute(
            update(table)
            .where(table.c.storage_id == storage_id, table.c.device_id.in_(device_ids))
            .values(next_attempt_time=now + lease)
        )
    return due


def forget_acknowledged(tx: Transaction, storage_id: str) -> None:
    """Forget what a storage's provider had answered: another ledger is behind it now."""
    tx.execute(
        update(table)
        .where(table.c.storage_id == storage_id)
        .values(acknowledged=0, acknowledged_held=False)
    )


def send_waiting_now(tx: Transaction, storage_id: str, now: datetime) -> None:
    """Make every change that waits at a storage due."""
    tx.execute(
        update(table)
        .where(table.c.storage_id == storage_id, table.c.state.in_(WAITING))
        .values(next_attempt_time=now)
    )


def waiting_devices(tx: Transaction, storage_id: str, most: int) -> Sequence[str]:
    """Devices with a change under way at a storage, at most so many."""
    statement = select(table.c.device_id).where(
        table.c.storage_id == storage_id, table.c.state.in_(WAITING)
    )
    return tx.execute(statement.order_by(table.c.device_id).limit(most)).scalars().all()


def walk(
    tx: Transaction, storage_id: str, states: Iterable[SeatState] | None = None
) -> Iterator[Seat]:
    """The rows of a storage by device, a part at a time, so that memory does not grow with them."""
    statement = select(table).where(table.c.storage_id == storage_id)
    if states is not None:
        statement = statement.where(table.c.state.in_(list(states)))
    last = ""
    while True:
        page = tx.execute(
            statement.where(table.c.device_id > last).order_by(table.c.device_id).limit(CHUNK)
        ).all()
        yield from map(from_row, page)
        if len(page) < CHUNK:
            return
        last = page[-1].device_id


def replace_unclaimed(tx: Transaction, storage_id: str, rows: Sequence[ProviderSeat]) -> None:
    """Note which seats of a provider no device here knows."""
    tx.execute(delete(unclaimed_seats).where(unclaimed_seats.c.storage_id == storage_id))
    if rows:
        values = [
            {
                "storage_id": storage_id,
                "device_guid": each.device_guid,
                "device_name": each.device_name,
                "generation": each.generation,
            }
            for each in rows
        ]
        tx.execute(insert(unclaimed_seats), values)


def list_unclaimed(tx: Transaction, storage_id: str, page: PageRequest) -> Page[ProviderSeat]:
    """A storage's unclaimed seats, by device GUID."""
    table = unclaimed_seats
    statement = select(table).where(table.c.storage_id == storage_id)
    keys = [table.c.device_guid]
    return paginate(tx, statement, keys=keys, page=page, build=_unclaimed, filter=(storage_id,))


def claim_unclaimed(
    tx: Transaction, storage_id: str, device_guids: Sequence[str]
) -> list[ProviderSeat]:
    """Take a storage's unclaimed seats off the list, all or those of these devices."""
    table = unclaimed_seats
    at_storage = delete(table).where(table.c.storage_id == storage_id).returning(table)
    if not device_guids:
        return [_unclaimed(row) for row in tx.execute(at_storage)]
    found: list[ProviderSeat] = []
    for some in chunks(device_guids):
        found.extend(map(_unclaimed, tx.execute(at_storage.where(table.c.device_guid.in_(some)))))
    return found


def count_unclaimed(tx: Transaction, storage_ids: Sequence[str]) -> dict[str, int]:
    """How many unclaimed seats each of these storages has."""
    statement = (
        select(unclaimed_seats.c.storage_id, func.count())
        .where(unclaimed_seats.c.storage_id.in_(storage_ids))
        .group_by(unclaimed_seats.c.storage_id)
    )
    return {row[0]: row[1] for row in tx.execute(statement)}


def from_row(row: Row[Any]) -> Seat:
    """The seat of a row."""
    return Seat(
        storage_id=row.storage_id,
        device_id=row.device_id,
        generation=row.generation,
        acknowledged=row.acknowledged,
        acknowledged_held=row.acknowledged_held,
        state=SeatState(row.state),
        update_time=row.update_time,
        reason_code=row.reason_code,
        reason=row.reason,
        advice=row.advice,
        next_attempt_time=row.next_attempt_time,
        attempts=row.attempts,
    )


def _to_row(seat: Seat) -> dict[str, Any]:
    return {each: getattr(seat, each) for each in (*_KEY, *_VALUES)}


def _unclaimed(row: Row[Any]) -> ProviderSeat:
    return ProviderSeat(row.device_guid, row.device_name, row.generation, live=True, revoked=False)


def _one(storage_id: str, device_id: str) -> Select[Any]:
    return select(table).where(table.c.storage_id == storage_id, table.c.device_id == device_id)
