"""SQL that SQLite and PostgreSQL both know, but SQLAlchemy spells by dialect."""

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite

from service_kit.database.engine import Transaction


def upsert(tx: Transaction, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An insert that has `on_conflict_do_update` and `on_conflict_do_nothing`."""
    return sqlite.insert(table) if tx.dialect.name == "sqlite" else postgresql.insert(table)
