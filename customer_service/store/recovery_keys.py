"""The recovery keys' rows, of which the newest is in force."""

from sqlalchemy import insert, select

from customer_service.domain.recovery_key import RecoveryKey
from customer_service.store.tables import recovery_keys as table
from service_kit.database.engine import Transaction


def add(tx: Transaction, key: RecoveryKey) -> None:
    """Add a key, which is in force from now on."""
    tx.execute(insert(table).values(vars(key)))


def in_force(tx: Transaction) -> RecoveryKey | None:
    """The newest key, or None before there is any."""
    newest = select(table.c.recipient, table.c.statement, table.c.create_time)
    row = tx.execute(newest.order_by(table.c.id.desc()).limit(1)).one_or_none()
    return RecoveryKey(**row._asdict()) if row else None
