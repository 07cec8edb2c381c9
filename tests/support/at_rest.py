"""What an archive holds at rest: the ledger's rows beside the files, and whether they agree."""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from archive_gateway.blob_stores import BlobStore
from archive_gateway.domain.names import BlobType, Location
from archive_gateway.domain.rules import UNCOUNTED
from archive_gateway.operations import recovery
from archive_gateway.store.tables import (
    DELETED,
    LIVE,
    QUARANTINED,
    accounts,
    archives,
    blobs,
    reservations,
)
from service_kit.database.engine import Database, Transaction
from tests.support.archives import ArchiveServer
from tests.support.waiting import eventually


@dataclass(frozen=True)
class AtRest:
    """Locations with their sizes, of rows by state and of files; what uploads have left; counts."""

    rows: dict[str, dict[str, int]]
    files: dict[str, int]
    promises: list[str]
    spool: list[str]
    used_bytes: int
    kept_bytes: int
    drifted: list[str]

    @property
    def settled(self) -> bool:
        """Whether nothing is under way, and nothing waits to be removed."""
        return not (self.promises or self.spool or self.rows.get("purging"))

    def check(self) -> None:
        """Every row has its file and every file its row; counts are the sums of both."""
        assert self.settled, self
        known = {
            location: size
            for state in (LIVE, DELETED, QUARANTINED)
            for location, size in self.rows.get(state, {}).items()
        }
        assert self.files == known
        assert self.drifted == []
        assert self.used_bytes == sum(map(self._counted, self.rows.get(LIVE, {})))
        assert self.used_bytes + self.kept_bytes == sum(map(self._counted, self.files))

    def _counted(self, path: str) -> int:
        location = Location.parse(path)
        assert location is not None
        return 0 if location.type in UNCOUNTED else self.files[path]


async def look(database: Database, store: BlobStore) -> AtRest:
    """What there is now."""
    rows, promises, used, kept = await database.read(_rows)
    files = {each.location: each.size async for each in store.walk()}
    drifted = await database.read(recovery.drifted)
    return AtRest(rows, files, promises, _names(store.spool), used, kept, drifted)


async def settled(server: ArchiveServer) -> AtRest:
    """What there is once nothing is under way and swept; ledger and files have to agree."""

    async def now() -> AtRest:
        await server.archive._upkeep.step()
        return await look(server.server.ground.database, server.archive.store)

    found = await eventually(now, lambda each: each.settled)
    found.check()
    return found


def _rows(tx: Transaction) -> tuple[dict[str, dict[str, int]], list[str], int, int]:
    joined = select(
        blobs.c.state,
        blobs.c.size,
        archives.c.account_id,
        archives.c.device_guid,
        blobs.c.type,
        blobs.c.name,
        blobs.c.nonce,
    ).join_from(blobs, archives)
    rows: dict[str, dict[str, int]] = {}
    for each in tx.execute(joined):
        path = f"{each.account_id}/{each.device_guid}/{BlobType(each.type)}/{each.name[:2]}"
        rows.setdefault(each.state, {})[f"{path}/{each.name}.{each.nonce}"] = each.size
    promises = list(tx.execute(select(reservations.c.nonce)).scalars())
    found = tx.execute(select(accounts)).all()
    used = sum(each.stored_bytes + each.reserved_bytes for each in found)
    return rows, promises, used, sum(each.kept_bytes for each in found)


def _names(folder: Path) -> list[str]:
    return [each.name for each in folder.iterdir() if each.is_file()]
