"""The terms and conditions: every text that was ever in force, the last one counts."""

from datetime import datetime

from sqlalchemy import delete, insert, select

from provider_service.domain.terms import DEFAULT_TEXT, Text
from provider_service.store.tables import terms as table
from service_kit.database.engine import Transaction


def present(tx: Transaction) -> Text:
    """The terms in force."""
    statement = select(table.c.text).order_by(table.c.update_time.desc()).limit(1)
    return Text(tx.execute(statement).scalar_one_or_none() or DEFAULT_TEXT)


def put(tx: Transaction, text: Text, now: datetime) -> None:
    """Put terms in force; a text that was in force before moves to the front."""
    tx.execute(delete(table).where(table.c.version == text.version))
    tx.execute(insert(table).values(version=text.version, text=text.text, update_time=now))
