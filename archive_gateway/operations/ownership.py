"""Whose blob store it is: ledger and store carry the same archive id.

An empty folder where blobs should be may be a disk that is not mounted, and another server's files
would be taken for strays.
"""

import uuid

from sqlalchemy import select

from archive_gateway.operations import holding
from archive_gateway.store.tables import blobs
from service_kit.database.engine import Transaction
from service_kit.database.statements import upsert
from service_kit.database.tables import server_state as table
from service_kit.errors import Conflict
from service_kit.reasons import Reason

_KEY = "archive.id"
_ADVICE = (
    "Mount the archive's disk, or name the right place by --archive. If this is all that is left: "
    "serve --adopt-archive once, then archive rebuild."
)


def archive_id(tx: Transaction) -> str:
    """The id of the archive that this ledger tells of, made at its first start.

    Not the server's GUID: an archive outlives a lost identity, as the ledger does.
    """
    made = {"key": _KEY, "value": str(uuid.uuid4())}
    tx.execute(upsert(tx, table).values(made).on_conflict_do_nothing())
    return str(tx.execute(select(table.c.value).where(table.c.key == _KEY)).scalar_one())


def check(tx: Transaction, owner: str | None, id: str) -> None:
    """See that a blob store is the one that the ledger tells of, or that both are new.

    Raises:
        Conflict: ARCHIVE_MISPLACED.
    """
    if owner is not None and owner != id:
        raise Conflict(
            Reason.ARCHIVE_MISPLACED,
            "The archive's folder or bucket belongs to another ledger.",
            _ADVICE,
        )
    if owner is None and tx.execute(select(blobs.c.nonce).limit(1)).first() is not None:
        raise Conflict(
            Reason.ARCHIVE_MISPLACED,
            "The archive's folder or bucket is empty, and the ledger knows what should be there.",
            _ADVICE,
        )


def adopt(tx: Transaction) -> None:
    """Note that the blob store may not be what the ledger tells of: nothing is purged until then.

    `archive rebuild` makes both agree again.
    """
    holding.hold(tx)
