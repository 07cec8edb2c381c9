"""The enrollment codes' rows: at most one a device, whose row the caller holds."""

from sqlalchemy import delete, insert, select

from customer_service.domain.enrollment import EnrollmentCode
from customer_service.store.tables import enrollment_codes as table
from service_kit.database.engine import Transaction


def put(tx: Transaction, code: EnrollmentCode) -> None:
    """Write a device's code; an earlier one ends."""
    end(tx, code.device_id)
    tx.execute(insert(table).values(vars(code)))


def find(tx: Transaction, code_hash: str) -> EnrollmentCode | None:
    """The code with this hash, also an expired one, or None."""
    row = tx.execute(select(table).where(table.c.code_hash == code_hash)).one_or_none()
    return EnrollmentCode(**row._asdict()) if row else None


def end(tx: Transaction, device_id: str) -> None:
    """End a device's code, if it has one."""
    tx.execute(delete(table).where(table.c.device_id == device_id))


def end_all(tx: Transaction) -> int:
    """End every code; answers how many there were."""
    return tx.execute(delete(table)).rowcount
