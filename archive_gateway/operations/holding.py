"""Purges are held while the ledger may be older than the files: after its restore."""

from datetime import UTC, datetime

from sqlalchemy import delete, select, update

from archive_gateway.store.tables import blobs, reservations
from service_kit.clock import now
from service_kit.database.engine import Transaction
from service_kit.database.statements import upsert
from service_kit.database.tables import server_state as table
from service_kit.errors import Conflict
from service_kit.reasons import Reason

_KEY = "archive.purges_held"
_REBUILT = "archive.rebuild_time"
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_PURGED = (blobs, reservations)


def held(tx: Transaction) -> bool:
    """Whether nothing may be removed for good."""
    return tx.execute(select(table.c.value).where(table.c.key == _KEY)).first() is not None


def hold(tx: Transaction) -> None:
    """Hold purges until the archive was rebuilt; there is nothing to purge in an empty one.

    The file of a promise is purged too, once its time is over.
    """
    if all(tx.execute(select(each.c.nonce).limit(1)).first() is None for each in _PURGED):
        return
    tx.execute(upsert(tx, table).values(key=_KEY, value="1").on_conflict_do_nothing())
    # Those uploads have ended, and may have been kept: their files are to be adopted.
    tx.execute(update(reservations).values(expire_time=_LONG_AGO))


def let_go(tx: Transaction) -> None:
    """Let purges go on; what a lapse would purge waits a retention longer."""
    tx.execute(delete(table).where(table.c.key == _KEY))
    value = now().isoformat()
    statement = upsert(tx, table).values(key=_REBUILT, value=value)
    tx.execute(statement.on_conflict_do_update(index_elements=[table.c.key], set_={"value": value}))


def rebuild_time(tx: Transaction) -> datetime | None:
    """When the archive was last rebuilt."""
    value = tx.execute(select(table.c.value).where(table.c.key == _REBUILT)).scalar()
    return None if value is None else datetime.fromisoformat(value)


def refuse_held(tx: Transaction) -> None:
    """Refuse while purges are held.

    Raises:
        Conflict: ARCHIVE_REWOUND.
    """
    if held(tx):
        raise Conflict(
            Reason.ARCHIVE_REWOUND,
            "This server's ledger was restored from a backup, so nothing is purged yet.",
            "Compare ledger and files first: archive rebuild.",
        )
