"""To whom devices seal their repository passwords."""

from datetime import datetime

from customer_service.domain.recovery_key import RecoveryKey
from customer_service.store import recovery_keys
from service_kit.database.engine import Transaction
from service_kit.identity import recovery_key as form
from service_kit.identity import statements
from service_kit.identity.identity import Identity
from service_kit.ledger import audit


def create(tx: Transaction, identity: Identity, recipient: str, now: datetime) -> RecoveryKey:
    """Put a recovery key in force; a repeat answers the one that is.

    Raises:
        InvalidArgument: it is no age recipient.
    """
    recipient = form.parse_recipient("recipient", recipient)
    present = recovery_keys.in_force(tx)
    if present is not None and present.recipient == recipient:
        return present
    key = RecoveryKey(recipient, statements.recovery_key(identity, recipient, now), now)
    recovery_keys.add(tx, key)
    audit.record(tx, "recovery_key.created", subject=recipient, now=now)
    return key


def in_force(tx: Transaction) -> RecoveryKey | None:
    """The recovery key, or None where there is none."""
    return recovery_keys.in_force(tx)


def statement(tx: Transaction) -> str:
    """The recovery key as devices take it; empty where there is none."""
    present = recovery_keys.in_force(tx)
    return present.statement if present else ""
