"""The server's own license: how many seats it may have in use, all organizations together."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, select, update

from service_kit.database.engine import Transaction
from service_kit.database.tables import license_table as table
from service_kit.ledger import audit
from service_kit.validation import Checks

MOST_SEATS = 10_000_000

# Built once: batches of seat requests lock and count here at every commit.
_GET = select(table.c.seats, table.c.seats_in_use)
_LOCK = _GET.with_for_update()
_ADD_IN_USE = update(table).values(seats_in_use=table.c.seats_in_use + bindparam("delta"))


@dataclass(frozen=True)
class License:
    """Seats that may be in use and, where the server counts them here, those that are."""

    seats: int
    seats_in_use: int


def get(tx: Transaction) -> License:
    """The license."""
    row = tx.execute(_GET).one()
    return License(row.seats, row.seats_in_use)


def lock(tx: Transaction) -> License:
    """The license, its row held until the transaction ends, so that a count stays true."""
    row = tx.execute(_LOCK).one()
    return License(row.seats, row.seats_in_use)


def add_in_use(tx: Transaction, delta: int) -> None:
    """Change the number of seats in use; the caller holds the row and has checked the limit."""
    tx.execute(_ADD_IN_USE, {"delta": delta})


def set_seats(tx: Transaction, seats: int, now: datetime) -> License:
    """Set the number of seats; held seats stay, also above a lower number.

    Raises:
        InvalidArgument: `seats` is not 0 to 10,000,000.
    """
    checks = Checks()
    checks.between("seats", seats, 0, MOST_SEATS)
    checks.done()
    before = lock(tx)
    tx.execute(update(table).values(seats=seats))
    audit.record(tx, "license.updated", detail=f"From {before.seats} to {seats} seats.", now=now)
    return License(seats, before.seats_in_use)
