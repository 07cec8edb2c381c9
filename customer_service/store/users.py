"""The users' rows."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Row, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from customer_service.domain.names import name_key
from customer_service.domain.seat import USING
from customer_service.domain.user import User, UserState
from customer_service.store.tables import devices, seats
from customer_service.store.tables import users as table
from service_kit.database.chunks import chunks
from service_kit.database.engine import Transaction
from service_kit.database.paging import Page, PageRequest, paginate
from service_kit.errors import AlreadyExists, NotFound
from service_kit.reasons import Reason


def create(tx: Transaction, user: User) -> None:
    """Add a row.

    Raises:
        AlreadyExists: another user has the id or the address.
    """
    try:
        with tx.begin_nested():
            tx.execute(insert(table).values(_to_row(user)))
    except IntegrityError as error:
        raise _taken(user) from error


def save(tx: Transaction, user: User) -> None:
    """Write a row that was locked in this transaction.

    Raises:
        AlreadyExists: another user has the address.
    """
    statement = update(table).where(table.c.id == user.id)
    try:
        with tx.begin_nested():
            tx.execute(statement.values(_to_row(user)))
    except IntegrityError as error:
        raise _taken(user) from error


def find(tx: Transaction, user_id: str) -> User | None:
    """A user by id, or None."""
    row = tx.execute(select(table).where(table.c.id == user_id)).one_or_none()
    return from_row(row) if row else None


def get(tx: Transaction, user_id: str) -> User:
    """A user by id.

    Raises:
        NotFound: there is none.
    """
    return _found(find(tx, user_id), user_id)


def lock(tx: Transaction, user_id: str) -> User:
    """A user by id, the row held until the transaction ends.

    Raises:
        NotFound: there is none.
    """
    statement = select(table).where(table.c.id == user_id).with_for_update(key_share=True)
    row = tx.execute(statement).one_or_none()
    return _found(from_row(row) if row else None, user_id)


def hold(tx: Transaction, user_id: str) -> User:
    """A user by id, who can't be changed until the transaction ends; several may hold one.

    Raises:
        NotFound: there is none.
    """
    statement = select(table).where(table.c.id == user_id).with_for_update(read=True)
    row = tx.execute(statement).one_or_none()
    return _found(from_row(row) if row else None, user_id)


def in_organizations(tx: Transaction, organization_ids: Sequence[str]) -> list[str]:
    """Ids of the users directly in these organizations who are not deactivated."""
    found: list[str] = []
    for some in chunks(organization_ids):
        statement = select(table.c.id).where(
            table.c.organization_id.in_(some), table.c.state != UserState.DEACTIVATED
        )
        found.extend(tx.execute(statement).scalars())
    return found


def list_page(
    tx: Transaction,
    page: PageRequest,
    *,
    email: str = "",
    organization_id: str = "",
    show_deactivated: bool = False,
) -> Page[User]:
    """A page of a list, by id."""
    statement = select(table)
    if email:
        statement = statement.where(table.c.email_key == name_key(email))
    if organization_id:
        statement = statement.where(table.c.organization_id == organization_id)
    if not show_deactivated:
        statement = statement.where(table.c.state != UserState.DEACTIVATED)
    return paginate(
        tx,
        statement,
        keys=[table.c.id],
        page=page,
        build=from_row,
        filter=(email, organization_id, show_deactivated),
    )


def active_by_organization(tx: Transaction, organization_ids: Sequence[str]) -> dict[str, int]:
    """Active users directly in each of these organizations."""
    statement = (
        select(table.c.organization_id, func.count())
        .where(table.c.organization_id.in_(organization_ids), table.c.state == UserState.ACTIVE)
        .group_by(table.c.organization_id)
    )
    return {row[0]: row[1] for row in tx.execute(statement)}


def emails(tx: Transaction, user_ids: Sequence[str]) -> dict[str, str]:
    """The address of each of these users."""
    statement = select(table.c.id, table.c.email).where(table.c.id.in_(user_ids))
    return {row.id: row.email for row in tx.execute(statement)}


def device_counts(tx: Transaction, user_ids: Sequence[str]) -> dict[str, int]:
    """Devices of each of these users that are not deactivated."""
    statement = (
        select(devices.c.user_id, func.count())
        .where(devices.c.user_id.in_(user_ids), devices.c.deactivated.is_(False))
        .group_by(devices.c.user_id)
    )
    return {row[0]: row[1] for row in tx.execute(statement)}


def seats_by_user(tx: Transaction, user_ids: Sequence[str]) -> dict[str, int]:
    """Local seats that the devices of each of these users hold."""
    statement = (
        select(devices.c.user_id, func.count(devices.c.id.distinct()))
        .join(seats, seats.c.device_id == devices.c.id)
        .where(devices.c.user_id.in_(user_ids), seats.c.state.in_(USING))
        .group_by(devices.c.user_id)
    )
    return {row[0]: row[1] for row in tx.execute(statement)}


def from_row(row: Row[Any]) -> User:
    """The user of a row."""
    return User(
        id=row.id,
        email=row.email,
        organization_id=row.organization_id,
        create_time=row.create_time,
        state=UserState(row.state),
        inherits_destinations=row.inherits_destinations,
        version=row.version,
        disk_quota_bytes=row.disk_quota_bytes,
    )


def _to_row(user: User) -> dict[str, Any]:
    return {**asdict(user), "email_key": name_key(user.email)}


def _found(user: User | None, user_id: str) -> User:
    if user is None:
        raise NotFound(
            Reason.NOT_FOUND,
            f"There is no user {user_id}.",
            "List the users and use one of their ids.",
        )
    return user


def _taken(user: User) -> AlreadyExists:
    return AlreadyExists(
        Reason.ALREADY_EXISTS,
        f"Another user has the address {user.email}, or this id.",
        "Use that user, or another address.",
    )
