"""Which storages are offered: defaults by level, and each user's own copy."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Select, delete, insert, literal, select, update

from customer_service.domain.user import UserState
from customer_service.store.tables import (
    default_destinations,
    organizations,
    storages,
    user_destinations,
    users,
)
from service_kit.database.chunks import chunks
from service_kit.database.engine import Transaction


def defaults(tx: Transaction, organization_id: str) -> list[str]:
    """The storages that one level itself offers, by creation; '' is the server."""
    statement = (
        select(storages.c.id)
        .join(default_destinations, default_destinations.c.storage_id == storages.c.id)
        .where(default_destinations.c.organization_id == organization_id)
        .order_by(storages.c.create_time, storages.c.id)
    )
    return list(tx.execute(statement).scalars())


def set_defaults(tx: Transaction, organization_id: str, storage_ids: Iterable[str]) -> None:
    """Replace the storages that one level itself offers."""
    table = default_destinations
    tx.execute(delete(table).where(table.c.organization_id == organization_id))
    rows = [{"organization_id": organization_id, "storage_id": each} for each in storage_ids]
    if rows:
        tx.execute(insert(table), rows)


def set_inherits(tx: Transaction, organization_id: str, *, inherits: bool) -> None:
    """Note whether an organization takes the defaults of the level above."""
    statement = update(organizations).where(organizations.c.id == organization_id)
    tx.execute(statement.values(inherits=inherits, version=organizations.c.version + 1))


def remove_storage(tx: Transaction, storage_id: str) -> int:
    """Offer a storage to nobody any more; answers how many users it was offered to."""
    tx.execute(delete(default_destinations).where(default_destinations.c.storage_id == storage_id))
    table = user_destinations
    return tx.execute(delete(table).where(table.c.storage_id == storage_id)).rowcount


def offered(tx: Transaction, user_ids: Sequence[str]) -> dict[str, list[str]]:
    """The storages that each of these users is offered, by creation."""
    statement = (
        select(user_destinations)
        .join(storages, user_destinations.c.storage_id == storages.c.id)
        .where(user_destinations.c.user_id.in_(user_ids))
        .order_by(storages.c.create_time, storages.c.id)
    )
    found: dict[str, list[str]] = {each: [] for each in user_ids}
    for row in tx.execute(statement):
        found[row.user_id].append(row.storage_id)
    return found


def offer(tx: Transaction, user_id: str, storage_ids: Iterable[str]) -> None:
    """Replace what one user is offered."""
    table = user_destinations
    tx.execute(delete(table).where(table.c.user_id == user_id))
    rows = [{"user_id": user_id, "storage_id": each} for each in storage_ids]
    if rows:
        tx.execute(insert(table), rows)


def inheriting_users(organization_ids: Select[Any]) -> Select[Any]:
    """The ids of users in these organizations whom apply-to-existing concerns."""
    return select(users.c.id).where(
        users.c.organization_id.in_(organization_ids),
        users.c.inherits_destinations,
        users.c.state != UserState.DEACTIVATED,
    )


def gaining(tx: Transaction, concerned: Select[Any], storage_ids: Sequence[str]) -> Sequence[Any]:
    """(user, storage) pairs that are to be offered and are not."""
    people = concerned.subquery()
    wanted = (
        select(people.c.id.label("user_id"), storages.c.id.label("storage_id"))
        .join_from(people, storages, storages.c.id.in_(storage_ids))
        .subquery()
    )
    have = (
        select(literal(1))
        .where(
            user_destinations.c.user_id == wanted.c.user_id,
            user_destinations.c.storage_id == wanted.c.storage_id,
        )
        .exists()
    )
    return tx.execute(select(wanted).where(~have)).all()


def losing(tx: Transaction, concerned: Select[Any], storage_ids: Sequence[str]) -> Sequence[Any]:
    """(user, storage) pairs that are offered and are not to be."""
    statement = select(user_destinations).where(
        user_destinations.c.user_id.in_(concerned),
        user_destinations.c.storage_id.not_in(storage_ids),
    )
    return tx.execute(statement).all()


def apply(tx: Transaction, gained: Sequence[Any], lost: Sequence[Any]) -> None:
    """Offer and withdraw these (user, storage) pairs."""
    table = user_destinations
    if gained:
        rows = [{"user_id": each.user_id, "storage_id": each.storage_id} for each in gained]
        tx.execute(insert(table), rows)
    for storage_id in {each.storage_id for each in lost}:
        user_ids = [each.user_id for each in lost if each.storage_id == storage_id]
        _withdraw(tx, storage_id, user_ids)


def _withdraw(tx: Transaction, storage_id: str, user_ids: Sequence[str]) -> None:
    table = user_destinations
    for some in chunks(user_ids):
        tx.execute(delete(table).where(table.c.storage_id == storage_id, table.c.user_id.in_(some)))
