"""Purges are held while the ledger may be older than the files: after its restore."""

from sqlalchemy import delete, select

from archive_gateway.store.tables import blobs, reservations
from service_kit.database.engine import Transaction
from service_kit.database.statements import upsert
from service_kit.database.tables import server_state as table
from service_kit.errors import Conflict
from service_kit.reasons import Reason

_KEY = "archive.purges_held"
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


def let_go(tx: Transaction) -> None:
    """Let purges go on."""
    tx.execute(delete(table).where(table.c.key == _KEY))


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
