"""The blobs of archives: which there are, and which were deleted and are still kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Select,
    Text,
    bindparam,
    cast,
    delete,
    func,
    insert,
    literal,
    literal_column,
    select,
    update,
)

from archive_gateway.domain.names import ArchiveId, BlobType, Location
from archive_gateway.store.tables import (
    DELETED,
    LIVE,
    PURGING,
    QUARANTINED,
    archives,
)
from archive_gateway.store.tables import blobs as table
from service_kit.database.chunks import chunks
from service_kit.database.engine import Transaction


@dataclass(frozen=True, slots=True)
class Blob:
    """A blob where it rests."""

    archive_id: int
    location: Location
    size: int


_COLUMNS = (
    table.c.archive_id,
    archives.c.account_id,
    archives.c.device_guid,
    table.c.type,
    table.c.name,
    table.c.nonce,
    table.c.size,
)
_JOINED = select(*_COLUMNS).join_from(table, archives)
# Spelled out, as no plan with an index of live blobs alone is made for a value that comes later.
_IS_LIVE = table.c.state == literal_column(f"'{LIVE}'")
_NAME = literal('"') + table.c.name + literal('"')
_NAME_AND_SIZE = (
    literal('{"name":"')
    + table.c.name
    + literal('","size":')
    + cast(table.c.size, Text)
    + literal("}")
)
# Built once, as each GET asks it: SQLAlchemy takes four times as long to build it as to run it.
_LIVE: Select[Any] = (
    select(table.c.archive_id, table.c.nonce, table.c.size)
    .join_from(table, archives)
    .where(
        archives.c.account_id == bindparam("account"),
        archives.c.device_guid == bindparam("device"),
        table.c.type == bindparam("type_"),
        table.c.name == bindparam("name_"),
        _IS_LIVE,
    )
)


def find_live(tx: Transaction, archive: ArchiveId, type: BlobType, name: str) -> Blob | None:
    """The blob of a name, None where it isn't there or was deleted."""
    values = {
        "account": archive.account_id,
        "device": archive.device_guid,
        "type_": type,
        "name_": name,
    }
    row = tx.execute(_LIVE, values).first()
    if row is None:
        return None
    archive_id, nonce, size = row
    return Blob(archive_id, Location(archive, type, name, nonce), size)


def list_live(tx: Transaction, archive: ArchiveId, type: BlobType, *, sizes: bool) -> str:
    """Names, or names and sizes, of all blobs of a type, as JSON; names need no escapes.

    The database puts it together: that is faster, and holds up no other request of this process.
    """
    item = _NAME_AND_SIZE if sizes else _NAME
    statement = (
        select(func.aggregate_strings(item, ","))
        .join_from(table, archives)
        .where(
            archives.c.account_id == archive.account_id,
            archives.c.device_guid == archive.device_guid,
            table.c.type == type,
            _IS_LIVE,
        )
    )
    return f"[{tx.execute(statement).scalar() or ''}]"


def count_live(
    tx: Transaction, archive_id: int, type: BlobType, since: datetime | None = None
) -> int:
    """How many blobs of a type there are, or have come since a time."""
    statement = select(func.count()).where(
        table.c.archive_id == archive_id, table.c.type == type, _IS_LIVE
    )
    if since is not None:
        statement = statement.where(table.c.live_time > since)
    return int(tx.execute(statement).scalar_one())


def add(
    tx: Transaction,
    blob: Blob,
    now: datetime,
    *,
    state: str = LIVE,
    since: datetime | None = None,
) -> None:
    """Write a blob down; one that is not live was deleted as it came.

    `since` is when it became part of its repository, if that was not just now.
    """
    location = blob.location
    values = {
        "nonce": location.nonce,
        "archive_id": blob.archive_id,
        "type": location.type,
        "name": location.name,
        "size": blob.size,
        "state": state,
        "live_time": now if since is None else since,
        "confirm_time": now,
        "delete_time": None if state == LIVE else now,
    }
    tx.execute(insert(table), values)


def confirm(tx: Transaction, nonce: str, now: datetime) -> bool:
    """Note that a blob was promised again; False: it is live no more."""
    statement = (
        update(table).where(table.c.nonce == nonce, table.c.state == LIVE).values(confirm_time=now)
    )
    return tx.execute(statement).rowcount == 1


def remove_live(
    tx: Transaction, nonce: str, state: str, now: datetime, confirmed_before: datetime | None = None
) -> bool:
    """Take a blob out of its repository; False: it was out, or has been promised again since."""
    statement = update(table).where(table.c.nonce == nonce, table.c.state == LIVE)
    if confirmed_before is not None:
        statement = statement.where(table.c.confirm_time < confirmed_before)
    return tx.execute(statement.values(state=state, delete_time=now)).rowcount == 1


def set_aside_deleted(tx: Transaction, nonce: str) -> bool:
    """Set a deleted blob aside, so that nothing brings it back; False: it is not deleted."""
    statement = update(table).where(table.c.nonce == nonce, table.c.state == DELETED)
    return tx.execute(statement.values(state=QUARANTINED)).rowcount == 1


def due(tx: Transaction, account_id: str, deleted_before: datetime, most: int) -> list[Blob]:
    """Some blobs deleted before a time, in the order of their deletion.

    A prune deletes index and packs in an order that keeps the repository whole; so does a purge.
    """
    statement = (
        _JOINED.where(
            archives.c.account_id == account_id,
            table.c.state == DELETED,
            table.c.delete_time <= deleted_before,
        )
        .order_by(table.c.delete_time)
        .limit(most)
    )
    return [_blob(row) for row in tx.execute(statement)]


def in_states(
    tx: Transaction, archive_id: int, states: Sequence[str], most: int
) -> list[tuple[Blob, str]]:
    """Some blobs of an archive, with the state of each.

    Data comes last: without its index, half a repository is not taken for a whole one.
    """
    statement = select(*_COLUMNS, table.c.state).join_from(table, archives)
    statement = statement.where(table.c.archive_id == archive_id, table.c.state.in_(states))
    statement = statement.order_by(table.c.type == BlobType.DATA, table.c.nonce).limit(most)
    return [(_blob(row), row.state) for row in tx.execute(statement)]


def to_purge(tx: Transaction, nonces: Sequence[str]) -> None:
    """Mark blobs that will be removed for good; from here on nothing brings them back."""
    for some in chunks(nonces):
        tx.execute(update(table).where(table.c.nonce.in_(some)).values(state=PURGING))


def purging(tx: Transaction, after: str, most: int) -> list[Blob]:
    """Some blobs that are marked so, in the order of their nonces, that follow one."""
    marked = _JOINED.where(table.c.state == PURGING, table.c.nonce > after)
    return [_blob(row) for row in tx.execute(marked.order_by(table.c.nonce).limit(most))]


def forget(tx: Transaction, nonces: Sequence[str]) -> None:
    """Forget blobs whose files are gone."""
    for some in chunks(nonces):
        tx.execute(delete(table).where(table.c.nonce.in_(some)))


def known(tx: Transaction, nonces: Sequence[str]) -> set[str]:
    """Those of these nonces that are blobs, in whatever state."""
    found: set[str] = set()
    for some in chunks(nonces):
        found.update(tx.execute(select(table.c.nonce).where(table.c.nonce.in_(some))).scalars())
    return found


def state_of(tx: Transaction, nonce: str) -> str | None:
    """A blob's state, None where it is unknown or being purged."""
    statement = select(table.c.state).where(table.c.nonce == nonce, table.c.state != PURGING)
    state: str | None = tx.execute(statement).scalar()
    return state


def after(
    tx: Transaction,
    nonce: str,
    most: int,
    account_id: str = "",
    states: Sequence[str] = (LIVE, DELETED),
) -> list[Blob]:
    """Some blobs, in the order of their nonces, that follow one."""
    statement = _JOINED.where(table.c.nonce > nonce, table.c.state.in_(states))
    if account_id:
        statement = statement.where(archives.c.account_id == account_id)
    return [_blob(row) for row in tx.execute(statement.order_by(table.c.nonce).limit(most))]


def count_quarantined(tx: Transaction, account_id: str) -> int:
    """Blobs set aside whose name no live blob has."""
    other = table.alias("other")
    healed = (
        select(other.c.nonce)
        .where(
            other.c.archive_id == table.c.archive_id,
            other.c.type == table.c.type,
            other.c.name == table.c.name,
            other.c.state == LIVE,
        )
        .exists()
    )
    statement: Select[Any] = (
        select(func.count())
        .select_from(table.join(archives))
        .where(archives.c.account_id == account_id, table.c.state == QUARANTINED, ~healed)
    )
    return int(tx.execute(statement).scalar_one())


def _blob(row: Any) -> Blob:
    archive = ArchiveId(row.account_id, row.device_guid)
    location = Location(archive, BlobType(row.type), row.name, row.nonce)
    return Blob(row.archive_id, location, row.size)
