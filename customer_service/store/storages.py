"""The storages' rows."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, case, insert, select, update
from sqlalchemy.exc import IntegrityError

from archive_gateway.domain.usage import ArchiveUsage
from archive_gateway.domain.warnings import UsageWarning
from customer_service.domain.names import name_key
from customer_service.domain.storage import (
    CONNECTED,
    Entitlement,
    Storage,
    StorageState,
    StorageType,
    StorageUsage,
)
from customer_service.store.tables import storages as table
from service_kit.database.engine import Transaction
from service_kit.database.paging import Page, PageRequest, paginate
from service_kit.errors import AlreadyExists, NotFound
from service_kit.reasons import Reason


def create(tx: Transaction, storage: Storage) -> None:
    """Add a row.

    Raises:
        AlreadyExists: the id is taken, or another storage has the name or is of this provider.
    """
    try:
        with tx.begin_nested():
            tx.execute(insert(table).values(_to_row(storage)))
    except IntegrityError as error:
        raise _taken(storage) from error


def save(tx: Transaction, storage: Storage) -> None:
    """Write a row that was locked in this transaction.

    Raises:
        AlreadyExists: another storage has the name or is of this provider.
    """
    statement = update(table).where(table.c.id == storage.id)
    try:
        with tx.begin_nested():
            tx.execute(statement.values(_to_row(storage)))
    except IntegrityError as error:
        raise _taken(storage) from error


def find(tx: Transaction, storage_id: str) -> Storage | None:
    """A storage by id, or None."""
    row = tx.execute(select(table).where(table.c.id == storage_id)).one_or_none()
    return from_row(row) if row else None


def get(tx: Transaction, storage_id: str) -> Storage:
    """A storage by id.

    Raises:
        NotFound: there is none.
    """
    return _found(find(tx, storage_id), storage_id)


def lock(tx: Transaction, storage_id: str) -> Storage:
    """A storage by id, the row held until the transaction ends.

    Raises:
        NotFound: there is none.
    """
    statement = select(table).where(table.c.id == storage_id).with_for_update(key_share=True)
    row = tx.execute(statement).one_or_none()
    return _found(from_row(row) if row else None, storage_id)


def hold(tx: Transaction, storage_ids: Sequence[str]) -> dict[str, Storage]:
    """Those of these storages that there are; none can be changed until the transaction ends."""
    statement = select(table).where(table.c.id.in_(storage_ids)).order_by(table.c.id)
    return {row.id: from_row(row) for row in tx.execute(statement.with_for_update(read=True))}


def local(tx: Transaction) -> Storage | None:
    """The customer's own server, or None before the first start."""
    row = tx.execute(select(table).where(table.c.type == StorageType.LOCAL)).one_or_none()
    return from_row(row) if row else None


def by_ids(tx: Transaction, storage_ids: Sequence[str]) -> dict[str, Storage]:
    """Those of these storages that there are."""
    statement = select(table).where(table.c.id.in_(storage_ids))
    return {row.id: from_row(row) for row in tx.execute(statement)}


def connected(tx: Transaction) -> list[Storage]:
    """The storages at which a provider holds an attachment of this server."""
    statement = select(table).where(
        table.c.type == StorageType.ATTACHED_SERVER, table.c.state.in_(CONNECTED)
    )
    return [from_row(row) for row in tx.execute(statement.order_by(table.c.id))]


def hear(tx: Transaction, storage_id: str, position: int, now: datetime) -> None:
    """Keep the highest position that the provider has told, and that it was heard of."""
    highest = case((table.c.position < position, position), else_=table.c.position)
    statement = update(table).where(table.c.id == storage_id)
    tx.execute(statement.values(position=highest, last_contact_time=now))


def forget_compared(tx: Transaction) -> None:
    """Note that no attached storage's ledger was compared in the present session."""
    attached = table.c.type == StorageType.ATTACHED_SERVER
    tx.execute(update(table).where(attached).values(compared=False))


def claim_due(tx: Transaction, now: datetime, lease: timedelta) -> list[Storage]:
    """Attaches and detaches that are due, taken for this replica until the lease ends."""
    statement = (
        select(table)
        .where(
            table.c.next_attempt_time <= now,
            table.c.state.in_([StorageState.ATTACHING, StorageState.DETACHING]),
        )
        .order_by(table.c.id)
        .with_for_update(skip_locked=True, key_share=True)
    )
    due = [from_row(row) for row in tx.execute(statement)]
    for each in due:
        tx.execute(update(table).where(table.c.id == each.id).values(next_attempt_time=now + lease))
    return due


def list_page(
    tx: Transaction, page: PageRequest, *, name: str = "", show_detached: bool = False
) -> Page[Storage]:
    """A page of a list, by id."""
    statement = select(table)
    if name:
        statement = statement.where(table.c.name_key == name_key(name))
    if not show_detached:
        statement = statement.where(table.c.state != StorageState.DETACHED)
    return paginate(
        tx, statement, keys=[table.c.id], page=page, build=from_row, filter=(name, show_detached)
    )


def from_row(row: Row[Any]) -> Storage:
    """The storage of a row."""
    values = row._asdict()
    values.pop("name_key")
    entitlement = dict(values.pop("entitlement"))
    entitlement["grpc_addresses"] = tuple(entitlement.get("grpc_addresses", ()))
    values["usage"] = _usage(values["usage"])
    values["type"] = StorageType(values["type"])
    values["state"] = StorageState(values["state"])
    return Storage(**values, entitlement=Entitlement(**entitlement))


def _to_row(storage: Storage) -> dict[str, Any]:
    values = asdict(storage)
    if storage.usage is not None and (time := storage.usage.archive.last_backup_time):
        values["usage"]["archive"]["last_backup_time"] = time.isoformat()
    return {**values, "name_key": name_key(storage.name)}


def _usage(stored: dict[str, Any] | None) -> StorageUsage | None:
    if stored is None:
        return None
    time = stored["archive"]["last_backup_time"]
    archive = {
        **stored["archive"],
        "last_backup_time": datetime.fromisoformat(time) if time else None,
    }
    warnings = tuple(UsageWarning(**each) for each in stored["warnings"])
    return StorageUsage(ArchiveUsage(**archive), warnings)


def _found(storage: Storage | None, storage_id: str) -> Storage:
    if storage is None:
        raise NotFound(
            Reason.NOT_FOUND,
            f"There is no storage {storage_id}.",
            "List the storages and use one of their ids.",
        )
    return storage


def _taken(storage: Storage) -> AlreadyExists:
    return AlreadyExists(
        Reason.ALREADY_EXISTS,
        f"A storage of the name {storage.name}, of this provider, or with this id exists.",
        "Use that storage, or detach it first.",
    )
