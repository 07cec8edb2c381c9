"""Counts bytes that were downloaded: in memory, and from there to the ledger now and then."""

from collections import Counter

from archive_gateway.domain.names import ArchiveId
from archive_gateway.store import archives
from service_kit.database.engine import Database, Transaction


class Meter:
    """What was read since the last flush; a crash loses at most that."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._read: Counter[ArchiveId] = Counter()

    def add(self, archive: ArchiveId, size: int) -> None:
        """Count bytes."""
        self._read[archive] += size

    async def flush(self) -> None:
        """Write down what was counted."""
        if not self._read:
            return
        counted, self._read = self._read, Counter()
        try:
            await self._database.run(_write, counted)
        except Exception:
            self._read.update(counted)
            raise


def _write(tx: Transaction, counted: Counter[ArchiveId]) -> None:
    for archive, size in sorted(
        counted.items(), key=lambda each: (each[0].account_id, each[0].device_guid)
    ):
        archives.add_downloaded(tx, archive, size)
