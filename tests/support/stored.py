"""Bytes in an archive's ledger, as uploads and deletes would have counted them."""

from datetime import datetime

from archive_gateway.domain.names import ArchiveId
from archive_gateway.store import archives
from archive_gateway.store.archives import Delta
from service_kit.database.engine import Database, Transaction


def store(
    database: Database,
    account_id: str,
    device_guid: str,
    *,
    stored: int = 0,
    kept: int = 0,
    backup_time: datetime | None = None,
) -> None:
    """Count bytes in a device's archive, made where it is not there."""
    database.run_sync(_store, ArchiveId(account_id, device_guid), stored, kept, backup_time)


def _store(
    tx: Transaction, archive: ArchiveId, stored: int, kept: int, backup_time: datetime | None
) -> None:
    archives.lock_account(tx, archive.account_id)
    id = archives.ensure(tx, archive)
    uploaded = max(stored, 0)
    delta = Delta(stored_bytes=stored, kept_bytes=kept, uploaded_bytes=uploaded)
    archives.add(tx, archive.account_id, id, delta)
    if backup_time is not None:
        archives.note_backup(tx, id, backup_time)
