"""All rows of a ledger as text that either engine can take back.

One file a table: a line with the names of the columns, then a line a row, each a JSON array. The
tables are those of the database, not of the code, so that an older schema's rows fit.
"""

import base64
import json
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    LargeBinary,
    MetaData,
    Table,
    delete,
    func,
    insert,
    select,
    text,
)
from sqlalchemy.schema import AddConstraint, DropConstraint

from service_kit.database.chunks import CHUNK
from service_kit.database.engine import Transaction

ALEMBIC_TABLE = "alembic_version"


def tables(tx: Transaction) -> list[Table]:
    """The tables of the database, but Alembic's own."""
    found = MetaData()
    found.reflect(tx)
    return [table for table in found.sorted_tables if table.name != ALEMBIC_TABLE]


def write(tx: Transaction, table: Table, file: Path) -> int:
    """Write a table's rows to a file; answers how many."""
    count = 0
    with file.open("w", encoding="utf-8") as lines:
        lines.write(_line([column.name for column in table.columns]))
        rows = tx.execute(select(table), execution_options={"yield_per": CHUNK})
        for row in rows:
            lines.write(_line([_to_json(value) for value in row]))
            count += 1
    return count


def read(tx: Transaction, all_tables: list[Table], folder: Path) -> None:
    """Replace all rows by those of `folder/TABLE.jsonl`.

    Raises:
        ValueError: a file does not fit its table.
        DBAPIError: a row does not fit its table.
    """
    # Rows may refer to rows that come later, so references are checked at the end.
    _release_references(tx, all_tables)
    for table in all_tables:
        tx.execute(delete(table))
        with (folder / f"{table.name}.jsonl").open(encoding="utf-8") as lines:
            _insert(tx, table, lines)
    _check_references(tx, all_tables)
    _move_counters(tx, all_tables)


def is_empty(tx: Transaction) -> bool:
    """Whether the database has no tables yet."""
    return not tables(tx)


def drop_everything(tx: Transaction) -> None:
    """Remove every table."""
    found = MetaData()
    found.reflect(tx)
    _release_references(tx, [])
    found.drop_all(tx)


def _insert(tx: Transaction, table: Table, lines: Iterable[str]) -> None:
    rows = (json.loads(line) for line in lines)
    names = next(rows)
    if sorted(names) != sorted(column.name for column in table.columns):
        raise ValueError(f"columns of {table.name}")
    columns = [table.columns[name] for name in names]
    for column in columns:
        if isinstance(column.type, JSON):
            column.type.none_as_null = bool(column.nullable)
    decoded = ({c.name: _of_json(c, v) for c, v in zip(columns, r, strict=True)} for r in rows)
    while part := list(islice(decoded, CHUNK)):
        tx.execute(insert(table), part)


def _release_references(tx: Transaction, all_tables: list[Table]) -> None:
    if tx.dialect.name == "sqlite":
        tx.exec_driver_sql("PRAGMA defer_foreign_keys=ON")  # until the transaction ends
        return
    for table in all_tables:
        for constraint in table.foreign_key_constraints:
            tx.execute(DropConstraint(constraint))


def _check_references(tx: Transaction, all_tables: list[Table]) -> None:
    if tx.dialect.name == "sqlite":
        if tx.exec_driver_sql("PRAGMA foreign_key_check").first() is not None:
            raise ValueError("a row refers to one that is missing")
        return
    for table in all_tables:
        for constraint in table.foreign_key_constraints:
            tx.execute(AddConstraint(constraint))


def _move_counters(tx: Transaction, all_tables: list[Table]) -> None:
    """Let PostgreSQL count on after the highest id; SQLite does so by itself."""
    if tx.dialect.name == "sqlite":
        return
    for table in all_tables:
        for column in table.primary_key.columns:
            find = text("SELECT pg_get_serial_sequence(:table, :column)")
            counter = tx.execute(find, {"table": table.name, "column": column.name}).scalar()
            if counter is not None:
                tx.execute(select(func.setval(counter, func.max(column))))


def _line(values: list[Any]) -> str:
    return json.dumps(values, ensure_ascii=False, separators=(",", ":")) + "\n"


def _to_json(value: Any) -> Any:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def _of_json(column: Column[Any], value: Any) -> Any:
    if isinstance(column.type, LargeBinary) and value is not None:
        return base64.b64decode(value, validate=True)
    return value
