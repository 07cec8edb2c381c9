"""What a crash leaves behind: promises nobody keeps, and counts that could have drifted."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import case, func, select, update

from archive_gateway.domain.rules import UNCOUNTED
from archive_gateway.operations import holding, uploads
from archive_gateway.store import archives as store
from archive_gateway.store import reservations
from archive_gateway.store.tables import (
    DELETED,
    LIVE,
    QUARANTINED,
    accounts,
    archives,
    blobs,
)
from archive_gateway.store.tables import reservations as promised
from service_kit.database.engine import Transaction
from service_kit.ledger import audit

AT_ONCE = 500
_COUNTED = blobs.c.type.not_in([str(each) for each in UNCOUNTED])


def return_expired(tx: Transaction, now: datetime) -> Sequence[str]:
    """Give back promises whose time is over; their files, if any, are purged. Answers their nonces.

    Not while purges are held: the promise may have been kept since the backup that brought it back.
    """
    found = reservations.expired(tx, now, AT_ONCE)
    written = not holding.held(tx)
    for each in sorted(found, key=lambda each: each.location.archive.account_id):
        uploads.discard(tx, each, now, written=written)
    return [each.nonce for each in found]


def drifted(tx: Transaction) -> list[str]:
    """Accounts whose counts are not the sums of their rows, on one snapshot."""
    counted = {row[0]: tuple(row[1:]) for row in tx.execute(_COUNTS)}
    summed = {row[0]: tuple(map(int, row[1:])) for row in tx.execute(_SUMS)}
    promised_ = {row[0]: int(row[1]) for row in tx.execute(_PROMISED)}
    wrong = set()
    for archive_id, (account_id, stored, reserved, kept) in counted.items():
        real = (*summed.get(archive_id, (0, 0)), promised_.get(archive_id, 0))
        if (stored, kept, reserved) != real:
            wrong.add(account_id)
    return sorted(wrong | _wrong_totals(tx))


def recount(tx: Transaction, account_id: str, now: datetime) -> None:
    """Write an account's sums over its counts, its row held."""
    store.lock_account(tx, account_id)
    summed = {row[0]: row[1:] for row in tx.execute(_SUMS)}
    promised_ = {row[0]: row[1] for row in tx.execute(_PROMISED)}
    totals = [0, 0, 0]
    for archive_id, _ in store.of_account(tx, account_id):
        stored, kept = map(int, summed.get(archive_id, (0, 0)))
        reserved = int(promised_.get(archive_id, 0))
        values = {"stored_bytes": stored, "kept_bytes": kept, "reserved_bytes": reserved}
        tx.execute(update(archives).where(archives.c.id == archive_id).values(values))
        totals = [totals[0] + stored, totals[1] + kept, totals[2] + reserved]
    values = dict(zip(("stored_bytes", "kept_bytes", "reserved_bytes"), totals, strict=True))
    tx.execute(update(accounts).where(accounts.c.account_id == account_id).values(values))
    audit.record(
        tx,
        "archive.recounted",
        organization_id=account_id,
        detail="Its counts were not the sums of its blobs.",
        actor="server",
        now=now,
    )


def _wrong_totals(tx: Transaction) -> set[str]:
    """Accounts whose counts are not the sums of their archives' counts."""
    totals = [func.sum(archives.c[name]) for name in store.EMPTY]
    summed = select(archives.c.account_id, *totals).group_by(archives.c.account_id)
    real = {row[0]: tuple(map(int, row[1:])) for row in tx.execute(summed)}
    counted = select(accounts.c.account_id, *(accounts.c[name] for name in store.EMPTY))
    return {row[0] for row in tx.execute(counted) if tuple(row[1:]) != real.get(row[0], (0, 0, 0))}


_COUNTS = select(
    archives.c.id,
    archives.c.account_id,
    archives.c.stored_bytes,
    archives.c.reserved_bytes,
    archives.c.kept_bytes,
)
_SUMS = (
    select(
        blobs.c.archive_id,
        func.sum(case((blobs.c.state == LIVE, blobs.c.size), else_=0)),
        func.sum(case((blobs.c.state.in_([DELETED, QUARANTINED]), blobs.c.size), else_=0)),
    )
    .where(_COUNTED)
    .group_by(blobs.c.archive_id)
)
_PROMISED = (
    select(promised.c.archive_id, func.sum(promised.c.bytes))
    .where(promised.c.type.not_in([str(each) for each in UNCOUNTED]))
    .group_by(promised.c.archive_id)
)
