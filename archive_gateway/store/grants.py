"""Read-only credentials for one device's archive. The credential itself is not stored."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, update

from archive_gateway.domain.names import ArchiveId
from archive_gateway.store.tables import grants as table
from service_kit.database.engine import Transaction
from service_kit.database.paging import Page, PageRequest, paginate


@dataclass(frozen=True)
class Grant:
    """A grant; `creator` is who gave it, as in the audit trail."""

    id: str
    archive: ArchiveId
    creator: str
    create_time: datetime
    expire_time: datetime


_COLUMNS = (
    table.c.id,
    table.c.account_id,
    table.c.device_guid,
    table.c.creator,
    table.c.create_time,
    table.c.expire_time,
)


def add(tx: Transaction, grant: Grant) -> None:
    """Write a grant down."""
    tx.execute(
        insert(table).values(
            id=grant.id,
            account_id=grant.archive.account_id,
            device_guid=grant.archive.device_guid,
            creator=grant.creator,
            create_time=grant.create_time,
            expire_time=grant.expire_time,
        )
    )


def find(tx: Transaction, id: str, now: datetime) -> Grant | None:
    """A grant in force, or None."""
    statement = select(*_COLUMNS).where(
        table.c.id == id, table.c.revoke_time.is_(None), table.c.expire_time > now
    )
    row = tx.execute(statement).first()
    return None if row is None else _grant(row)


def revoke(tx: Transaction, id: str, now: datetime) -> None:
    """End a grant; one that has ended stays so."""
    ended = update(table).where(table.c.id == id, table.c.revoke_time.is_(None))
    tx.execute(ended.values(revoke_time=now))


def list_page(tx: Transaction, account_id: str, page: PageRequest, now: datetime) -> Page[Grant]:
    """A page of an account's grants in force, by id."""
    statement = select(*_COLUMNS).where(
        table.c.account_id == account_id,
        table.c.revoke_time.is_(None),
        table.c.expire_time > now,
    )
    return paginate(tx, statement, keys=[table.c.id], page=page, build=_grant, filter=account_id)


def _grant(row: Any) -> Grant:
    id, account_id, device_guid, creator, create_time, expire_time = row
    return Grant(id, ArchiveId(account_id, device_guid), creator, create_time, expire_time)
