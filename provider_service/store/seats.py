"""The seats' rows. They are found by their primary key alone, however many there are."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    bindparam,
    func,
    not_,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from provider_service.domain.seat import Kind, Seat, SeatState
from provider_service.store.tables import seats as table
from service_kit.database.engine import Transaction
from service_kit.database.paging import Page, PageRequest, paginate

SeatKey: TypeAlias = tuple[str, str]  # organization id, device GUID

STREAMED_ROWS = 5000
_COLUMNS = tuple(table.c[name] for name in Seat._fields)
_KEY = (table.c.organization_id, table.c.device_guid)

# Built once, for batches are short.
_OF_DEVICES = select(table.c.organization_id, *_COLUMNS).where(
    table.c.organization_id.in_(bindparam("organizations", expanding=True)),
    table.c.device_guid.in_(bindparam("devices", expanding=True)),
)
_PUT = {
    engine: statement.on_conflict_do_update(
        index_elements=_KEY,
        set_={name: statement.excluded[name] for name in Seat._fields if name != "device_guid"},
    )
    for engine, statement in (
        ("sqlite", sqlite.insert(table)),
        ("postgresql", postgresql.insert(table)),
    )
}


def of_devices(
    tx: Transaction, organization_ids: Collection[str], device_guids: Collection[str]
) -> dict[SeatKey, Seat]:
    """The rows of these devices in these organizations, whose rows the caller has locked."""
    values = {"organizations": list(organization_ids), "devices": list(device_guids)}
    return {(row[0], row[1]): _from_row(row[1:]) for row in tx.execute(_OF_DEVICES, values)}


def find(tx: Transaction, organization_id: str, device_guid: str) -> Seat | None:
    """A device's row in an organization that the caller has locked, or None."""
    key = (organization_id, device_guid)
    return of_devices(tx, [organization_id], [device_guid]).get(key)


def put(tx: Transaction, rows: Mapping[SeatKey, Seat]) -> None:
    """Write rows, new or changed, under locked organizations."""
    if rows:
        values = [
            {"organization_id": organization_id, **seat._asdict()}
            for (organization_id, _), seat in rows.items()
        ]
        tx.execute(_PUT[tx.dialect.name], values)


def release_all(tx: Transaction, organization_id: str, now: datetime) -> int:
    """Release every live seat of an organization; answers how many.

    The rows stay with their generations: a late request can't bring a seat back.
    """
    live = and_(table.c.organization_id == organization_id, table.c.live)
    statement = update(table).where(live)
    released = statement.values(kind=Kind.RELEASE, live=False, acquire_time=None, update_time=now)
    return tx.execute(released).rowcount


def list_all(tx: Transaction, organization_id: str, page: PageRequest) -> Page[Seat]:
    """A page of an organization's rows by device GUID, released ones included."""
    return paginate(
        tx,
        _all_of(organization_id),
        keys=[table.c.device_guid],
        page=page,
        build=_from_row,
        filter=organization_id,
    )


def list_page(
    tx: Transaction,
    organization_id: str,
    state: SeatState | None,
    device_name: str,
    page: PageRequest,
) -> Page[Seat]:
    """A page for the operator. Without a state: what is held, refused or revoked."""
    statement = _all_of(organization_id).where(_in_state(state))
    if device_name:
        statement = statement.where(func.lower(table.c.device_name) == device_name.lower())
    return paginate(
        tx,
        statement,
        keys=[table.c.device_guid],
        page=page,
        build=_from_row,
        filter=(organization_id, str(state), device_name),
    )


def live_generations(tx: Transaction, organization_id: str) -> Iterator[Sequence[tuple[str, int]]]:
    """Device GUID and generation of every live seat, by device GUID, a part at a time."""
    statement = (
        select(table.c.device_guid, table.c.generation)
        .where(table.c.organization_id == organization_id, table.c.live)
        .order_by(table.c.device_guid)
        .execution_options(yield_per=STREAMED_ROWS)
    )
    return tx.execute(statement).partitions()


def _all_of(organization_id: str) -> Select[tuple[Any, ...]]:
    return select(*_COLUMNS).where(table.c.organization_id == organization_id)


def _from_row(row: Sequence[Any]) -> Seat:
    return Seat(*row)


def _in_state(state: SeatState | None) -> ColumnElement[bool]:
    """`domain.seat.Seat.state`, in SQL."""
    acquired = table.c.kind == Kind.ACQUIRE
    match state:
        case SeatState.HELD:
            return table.c.live
        case SeatState.REVOKED:
            return and_(not_(table.c.live), table.c.revoked)
        case SeatState.REFUSED:
            return and_(not_(table.c.live), not_(table.c.revoked), acquired)
        case SeatState.RELEASED:
            return and_(not_(table.c.live), not_(table.c.revoked), not_(acquired))
        case None:
            return or_(table.c.live, table.c.revoked, acquired)
