"""The terms and conditions that the operator agrees to for each hosted organization."""

from datetime import datetime

from provider_service.domain.terms import Text
from provider_service.store import terms as store
from service_kit.database.engine import Transaction
from service_kit.ledger import audit


def get(tx: Transaction) -> Text:
    """The terms in force."""
    return store.present(tx)


def update(tx: Transaction, text: Text, now: datetime) -> Text:
    """Put other terms in force; organizations keep the version that was accepted for them."""
    if text != store.present(tx):
        store.put(tx, text, now)
        audit.record(tx, "terms.updated", subject=text.version, now=now)
    return text
