"""What a ledger restored from a backup must know: it may be older than what it has told."""

from datetime import datetime

from archive_gateway.operations import holding
from customer_service.operations import sessions
from customer_service.store import enrollment_codes
from service_kit.database.engine import Transaction


def mark_restored(tx: Transaction, now: datetime) -> None:
    """Let every attachment begin a new session, and end every enrollment code.

    A code of the backup may have ended since; new ones are made by device enroll-code. What was
    deleted may have been brought back since, so nothing is purged until `archive rebuild`.
    """
    sessions.forget_sessions(tx, now)
    enrollment_codes.end_all(tx)
    holding.hold(tx)
