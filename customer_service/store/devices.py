"""The devices' rows."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Row, insert, select, update
from sqlalchemy.exc import IntegrityError

from customer_service.domain.device import Device
from customer_service.domain.names import name_key
from customer_service.domain.seat import WAITING, SeatState
from customer_service.store.tables import devices as table
from customer_service.store.tables import seats, users
from service_kit.database.chunks import chunks
from service_kit.database.engine import Transaction
from service_kit.database.paging import Page, PageRequest, paginate
from service_kit.errors import AlreadyExists, NotFound
from service_kit.reasons import Reason


def create(tx: Transaction, device: Device) -> None:
    """Add a row.

    Raises:
        AlreadyExists: the id is taken, or the user has an active device of this name.
    """
    try:
        with tx.begin_nested():
            tx.execute(insert(table).values(_to_row(device)))
    except IntegrityError as error:
        raise _taken(device) from error


def create_all(tx: Transaction, some: Sequence[Device]) -> None:
    """Add rows, whose ids and names are known to be free."""
    if some:
        tx.execute(insert(table), [_to_row(each) for each in some])


def save(tx: Transaction, device: Device) -> None:
    """Write a row that was locked in this transaction.

    Raises:
        AlreadyExists: the user has another active device of this name.
    """
    statement = update(table).where(table.c.id == device.id)
    try:
        with tx.begin_nested():
            tx.execute(statement.values(_to_row(device)))
    except IntegrityError as error:
        raise _taken(device) from error


def find(tx: Transaction, device_id: str) -> Device | None:
    """A device by id, or None."""
    row = tx.execute(select(table).where(table.c.id == device_id)).one_or_none()
    return from_row(row) if row else None


def get(tx: Transaction, device_id: str) -> Device:
    """A device by id.

    Raises:
        NotFound: there is none.
    """
    return _found(find(tx, device_id), device_id)


def lock(tx: Transaction, device_id: str) -> Device:
    """A device by id, the row held until the transaction ends.

    Raises:
        NotFound: there is none.
    """
    statement = select(table).where(table.c.id == device_id).with_for_update(key_share=True)
    row = tx.execute(statement).one_or_none()
    return _found(from_row(row) if row else None, device_id)


def lock_all(tx: Transaction, device_ids: Sequence[str]) -> None:
    """Hold the rows of these devices until the transaction ends, in one order for all callers.

    Whoever changes whether a device uses any storage holds its row, so that its local seat is
    counted once.
    """
    for some in chunks(sorted(device_ids)):
        statement = select(table.c.id).where(table.c.id.in_(some)).order_by(table.c.id)
        tx.execute(statement.with_for_update(key_share=True)).all()


def of_users(tx: Transaction, user_ids: Sequence[str]) -> dict[str, str]:
    """These users' devices, each with its user; also those that are deactivated."""
    found: dict[str, str] = {}
    for some in chunks(user_ids):
        statement = select(table.c.id, table.c.user_id).where(table.c.user_id.in_(some))
        found.update((row.id, row.user_id) for row in tx.execute(statement))
    return found


def organizations_of(tx: Transaction, device_ids: Sequence[str]) -> dict[str, str]:
    """The organization of each of these devices' users."""
    found: dict[str, str] = {}
    for some in chunks(device_ids):
        statement = select(table.c.id, users.c.organization_id).join(
            users, users.c.id == table.c.user_id
        )
        found.update((row[0], row[1]) for row in tx.execute(statement.where(table.c.id.in_(some))))
    return found


def names(tx: Transaction, device_ids: Sequence[str]) -> dict[str, str]:
    """The names of those of these devices that there are."""
    found: dict[str, str] = {}
    for some in chunks(device_ids):
        statement = select(table.c.id, table.c.name).where(table.c.id.in_(some))
        found.update((row.id, row.name) for row in tx.execute(statement))
    return found


def list_page(
    tx: Transaction,
    page: PageRequest,
    *,
    name: str = "",
    user_id: str = "",
    refused: bool = False,
    waiting: bool = False,
    show_deactivated: bool = False,
) -> Page[Device]:
    """A page of a list, by id."""
    statement = select(table)
    if name:
        statement = statement.where(table.c.name_key == name_key(name))
    if user_id:
        statement = statement.where(table.c.user_id == user_id)
    if refused:
        refusals = (SeatState.REFUSED, SeatState.REVOKED)
        statement = statement.where(_has_seat(seats.c.state.in_(refusals)))
    if waiting:
        statement = statement.where(_has_seat(seats.c.state.in_(WAITING)))
    if not show_deactivated:
        statement = statement.where(table.c.deactivated.is_(False))
    return paginate(
        tx,
        statement,
        keys=[table.c.id],
        page=page,
        build=from_row,
        filter=(name, user_id, refused, waiting, show_deactivated),
    )


def from_row(row: Row[Any]) -> Device:
    """The device of a row."""
    return Device(
        id=row.id,
        name=row.name,
        user_id=row.user_id,
        create_time=row.create_time,
        deactivated=row.deactivated,
        deauthorized=row.deauthorized,
        key_thumbprint=row.key_thumbprint,
        enroll_time=row.enroll_time,
    )


def _has_seat(condition: Any) -> Any:
    return select(seats.c.device_id).where(seats.c.device_id == table.c.id, condition).exists()


def _to_row(device: Device) -> dict[str, Any]:
    return {**asdict(device), "name_key": name_key(device.name)}


def _found(device: Device | None, device_id: str) -> Device:
    if device is None:
        raise NotFound(
            Reason.NOT_FOUND,
            f"There is no device {device_id}.",
            "List the devices and use one of their ids.",
        )
    return device


def _taken(device: Device) -> AlreadyExists:
    return AlreadyExists(
        Reason.ALREADY_EXISTS,
        f"The user has another active device of the name {device.name}, or the id is taken.",
        "Choose another name, or deactivate the other device.",
    )
