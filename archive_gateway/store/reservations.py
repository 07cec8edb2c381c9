"""Bytes promised to uploads under way, and where each will rest."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, insert, select, update

from archive_gateway.domain.names import ArchiveId, BlobType, Location
from archive_gateway.store.tables import archives
from archive_gateway.store.tables import reservations as table
from service_kit.database.engine import Transaction


@dataclass(frozen=True, slots=True)
class Reservation:
    """A promise; `archive_id` is the number of its archive's row."""

    archive_id: int
    location: Location
    size: int
    expire_time: datetime

    @property
    def nonce(self) -> str:
        """Its key."""
        return self.location.nonce


def add(tx: Transaction, reservation: Reservation) -> None:
    """Write a promise down."""
    location = reservation.location
    values = {
        "nonce": location.nonce,
        "archive_id": reservation.archive_id,
        "type": location.type,
        "name": location.name,
        "bytes": reservation.size,
        "expire_time": reservation.expire_time,
    }
    tx.execute(insert(table), values)


def count(tx: Transaction, archive_id: int, type: BlobType) -> int:
    """How many blobs of a type are promised."""
    statement = select(func.count()).where(table.c.archive_id == archive_id, table.c.type == type)
    return int(tx.execute(statement).scalar_one())


def take(tx: Transaction, nonce: str) -> bool:
    """End a promise; False: it has ended already."""
    return tx.execute(delete(table).where(table.c.nonce == nonce)).rowcount == 1


def extend(tx: Transaction, nonce: str, until: datetime) -> bool:
    """Make a promise last longer; False: it has ended already."""
    statement = update(table).where(table.c.nonce == nonce).values(expire_time=until)
    return tx.execute(statement).rowcount == 1


def expired(tx: Transaction, now: datetime, most: int) -> Sequence[Reservation]:
    """Some promises whose time is over."""
    statement = (
        select(
            table.c.archive_id,
            archives.c.account_id,
            archives.c.device_guid,
            table.c.type,
            table.c.name,
            table.c.nonce,
            table.c.bytes,
            table.c.expire_time,
        )
        .join_from(table, archives)
        .where(table.c.expire_time <= now)
        .order_by(table.c.expire_time)
        .limit(most)
    )
    return [
        Reservation(
            each.archive_id,
            Location(
                ArchiveId(each.account_id, each.device_guid),
                BlobType(each.type),
                each.name,
                each.nonce,
            ),
            each.bytes,
            each.expire_time,
        )
        for each in tx.execute(statement)
    ]
