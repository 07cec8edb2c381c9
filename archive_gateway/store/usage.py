"""What single archives hold and have carried; added up they are in `totals`."""

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Select, select

from archive_gateway.domain.names import ArchiveId
from archive_gateway.domain.usage import NOTHING, ArchiveUsage
from archive_gateway.store.tables import archives
from archive_gateway.store.totals import SUMS, from_row
from service_kit.database.chunks import chunks
from service_kit.database.engine import Transaction

_FIGURES = (
    archives.c.stored_bytes,
    archives.c.reserved_bytes,
    archives.c.kept_bytes,
    archives.c.uploaded_bytes,
    archives.c.downloaded_bytes,
    archives.c.last_backup_time,
)


def of_account(
    tx: Transaction, account_id: str, devices: Select[tuple[str]] | None = None
) -> ArchiveUsage:
    """The usage of an account, or of some devices of it together."""
    statement = select(*SUMS).where(archives.c.account_id == account_id)
    if devices is not None:
        statement = statement.where(archives.c.device_guid.in_(devices))
    return from_row(tx.execute(statement).one())


def of_archive(tx: Transaction, archive: ArchiveId) -> ArchiveUsage:
    """The usage of one device."""
    found = of_devices(tx, archive.account_id, [archive.device_guid])
    return found.get(archive.device_guid, NOTHING)


def of_devices(
    tx: Transaction, account_id: str, device_guids: Collection[str]
) -> Mapping[str, ArchiveUsage]:
    """The usage of those of these devices that have ever had an archive."""
    found: dict[str, ArchiveUsage] = {}
    for some in chunks(list(device_guids)):
        statement = select(archives.c.device_guid, *_FIGURES).where(
            archives.c.account_id == account_id, archives.c.device_guid.in_(some)
        )
        found.update(_listed(row) for row in tx.execute(statement))
    return found


def _listed(row: Any) -> tuple[str, ArchiveUsage]:
    return row[0], ArchiveUsage(*row[1:])
