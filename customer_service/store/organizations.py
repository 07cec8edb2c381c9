"""The organizations' rows: a tree by parent."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from sqlalchemy import Row, Select, bindparam, insert, select, true, update
from sqlalchemy.exc import IntegrityError

from archive_gateway.domain.keeping import whole_seconds
from customer_service.domain.names import name_key
from customer_service.domain.organization import Organization
from customer_service.store.tables import organizations as table
from service_kit.database.chunks import chunks
from service_kit.database.engine import Transaction
from service_kit.database.paging import Page, PageRequest, paginate
from service_kit.errors import AlreadyExists, NotFound
from service_kit.reasons import Reason


def _path() -> Select[Any]:
    lowest = table.c.id == bindparam("organization")
    above = select(table).where(lowest).cte("above", recursive=True)
    return select(above.union_all(select(table).join(above, table.c.id == above.c.parent_id)))


_PATH = _path()  # built once: every request of a device's restic asks for one


def create(tx: Transaction, organization: Organization) -> None:
    """Add a row.

    Raises:
        AlreadyExists: another organization has the id or the name.
    """
    try:
        with tx.begin_nested():
            tx.execute(insert(table).values(_to_row(organization)))
    except IntegrityError as error:
        raise _taken(organization) from error


def save(tx: Transaction, organization: Organization) -> None:
    """Write a row that was locked in this transaction.

    Raises:
        AlreadyExists: another organization has the name.
    """
    statement = update(table).where(table.c.id == organization.id)
    try:
        with tx.begin_nested():
            tx.execute(statement.values(_to_row(organization)))
    except IntegrityError as error:
        raise _taken(organization) from error


def find(tx: Transaction, organization_id: str) -> Organization | None:
    """An organization by id, or None."""
    row = tx.execute(select(table).where(table.c.id == organization_id)).one_or_none()
    return from_row(row) if row else None


def get(tx: Transaction, organization_id: str) -> Organization:
    """An organization by id.

    Raises:
        NotFound: there is none.
    """
    return _found(find(tx, organization_id), organization_id)


def lock_tree(tx: Transaction) -> None:
    """Hold the tree and every level's defaults, to change them: the root's row stands for them.

    Locks are taken in this order: tree, storages, users, devices, seats, license.
    """
    tx.execute(_root_row().with_for_update(key_share=True)).all()


def hold_tree(tx: Transaction) -> None:
    """Keep others from changing the tree or a default until the transaction ends."""
    tx.execute(_root_row().with_for_update(read=True)).all()


def root(tx: Transaction) -> Organization | None:
    """The root, or None before the first start."""
    row = tx.execute(select(table).where(table.c.parent_id.is_(None))).one_or_none()
    return from_row(row) if row else None


def path(tx: Transaction, organization_id: str) -> list[Organization]:
    """The organization, the one above it, and so on up to the root."""
    rows = tx.execute(_PATH, {"organization": organization_id})
    by_id = {each.id: each for each in map(from_row, rows)}
    found: list[Organization] = []
    next_id: str | None = organization_id
    while next_id in by_id:
        found.append(by_id[next_id])
        next_id = found[-1].parent_id
    if not found:
        raise _missing(organization_id)
    return found


def below(tx: Transaction, organization_id: str, *, inheriting: bool = False) -> Sequence[str]:
    """Ids of the organization and all below; `inheriting` stops at defaults of their own."""
    return tx.execute(select_below(organization_id, inheriting=inheriting)).scalars().all()


def select_below(organization_id: str, *, inheriting: bool = False) -> Select[Any]:
    """The query of `below`."""
    down = select(table.c.id).where(table.c.id == organization_id).cte("down", recursive=True)
    step = select(table.c.id).join(down, table.c.parent_id == down.c.id)
    down = down.union_all(step.where(table.c.inherits if inheriting else true()))
    return select(down.c.id)


def list_page(
    tx: Transaction, page: PageRequest, *, name: str = "", show_deactivated: bool = False
) -> Page[Organization]:
    """A page by id; without `show_deactivated` nothing that lies in a deactivated one."""
    statement = select(table)
    if name:
        statement = statement.where(table.c.name_key == name_key(name))
    if not show_deactivated:
        statement = statement.where(table.c.id.not_in(select(_deactivated().c.id)))
    return paginate(
        tx, statement, keys=[table.c.id], page=page, build=from_row, filter=(name, show_deactivated)
    )


def deactivated_among(tx: Transaction, organization_ids: Sequence[str]) -> set[str]:
    """Which of these are deactivated, themselves or by one above them."""
    down = _deactivated()
    found: set[str] = set()
    for some in chunks(organization_ids):
        found.update(tx.execute(select(down.c.id).where(down.c.id.in_(some))).scalars())
    return found


def from_row(row: Row[Any]) -> Organization:
    """The organization of a row."""
    return Organization(
        id=row.id,
        name=row.name,
        parent_id=row.parent_id,
        create_time=row.create_time,
        deactivated=row.deactivated,
        inherits=row.inherits,
        version=row.version,
        disk_quota_bytes=row.disk_quota_bytes,
        delete_delay=_duration(row.delete_delay_seconds),
        retention=_duration(row.retention_seconds),
        append_only=row.append_only,
    )


def _root_row() -> Select[Any]:
    return select(table.c.id).where(table.c.parent_id.is_(None))


def _deactivated() -> Any:
    down = select(table.c.id).where(table.c.deactivated).cte("deactivated", recursive=True)
    return down.union(select(table.c.id).join(down, table.c.parent_id == down.c.id))


def _to_row(organization: Organization) -> dict[str, Any]:
    values = asdict(organization)
    for name in ("delete_delay", "retention"):
        duration = values.pop(name)
        values[f"{name}_seconds"] = None if duration is None else whole_seconds(duration)
    return {**values, "name_key": name_key(organization.name)}


def _duration(seconds: int | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)


def _found(organization: Organization | None, organization_id: str) -> Organization:
    if organization is None:
        raise _missing(organization_id)
    return organization


def _missing(organization_id: str) -> NotFound:
    return NotFound(
        Reason.NOT_FOUND,
        f"There is no organization {organization_id}.",
        "List the organizations and use one of their ids.",
    )


def _taken(organization: Organization) -> AlreadyExists:
    return AlreadyExists(
        Reason.ALREADY_EXISTS,
        f"Another organization has the name {organization.name}, or this id.",
        "Choose another name.",
    )
