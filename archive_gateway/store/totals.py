"""What archives hold and have carried, added up."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row, func, select

from archive_gateway.domain.usage import ArchiveUsage
from archive_gateway.store.tables import archives
from service_kit.database.chunks import chunks
from service_kit.database.engine import Transaction

_BYTES = ("stored_bytes", "reserved_bytes", "kept_bytes", "uploaded_bytes", "downloaded_bytes")

# What a query selects over rows of `archives` whose usage is added up: one row a group.
SUMS = (
    *(func.coalesce(func.sum(archives.c[name]), 0).label(name) for name in _BYTES),
    func.max(archives.c.last_backup_time).label("last_backup_time"),
)


def of_accounts(tx: Transaction, account_ids: Sequence[str]) -> Mapping[str, ArchiveUsage]:
    """The usage of those of these accounts that have ever had an archive."""
    found: dict[str, ArchiveUsage] = {}
    for some in chunks(account_ids):
        statement = select(archives.c.account_id, *SUMS).where(archives.c.account_id.in_(some))
        rows = tx.execute(statement.group_by(archives.c.account_id))
        found.update((row.account_id, from_row(row)) for row in rows)
    return found


def from_row(row: Row[Any]) -> ArchiveUsage:
    """The usage of a row of sums."""
    # PostgreSQL adds whole numbers up to a decimal.
    values = {name: int(getattr(row, name)) for name in _BYTES}
    return ArchiveUsage(**values, last_backup_time=row.last_backup_time)
