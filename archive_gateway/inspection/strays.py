"""Files that no row and no promise knows: they prove that the ledger went back in time."""

from collections.abc import AsyncIterator, Sequence

from sqlalchemy import select

from archive_gateway.blob_stores import BlobStore, StoredFile
from archive_gateway.domain.names import Location
from archive_gateway.store import blobs
from archive_gateway.store.tables import reservations
from service_kit.database.engine import Database, Transaction

_AT_ONCE = 500


async def count(database: Database, store: BlobStore) -> int:
    """How many there are; they are never removed by themselves."""
    found = 0
    async for some in batches(store):
        found += len(await strays_of(database, store, some))
    return found


async def batches(store: BlobStore) -> AsyncIterator[list[StoredFile]]:
    """All files of a store, some at a time."""
    some: list[StoredFile] = []
    async for file in store.walk():
        some.append(file)
        if len(some) >= _AT_ONCE:
            yield some
            some = []
    if some:
        yield some


async def strays_of(
    database: Database, store: BlobStore, files: Sequence[StoredFile]
) -> list[StoredFile]:
    """Those of these files that the ledger does not know, and that are still there."""
    nonces = {each.location: _nonce(each) for each in files}
    known = await database.read(_known, [each for each in nonces.values() if each])
    unknown = [each for each in files if nonces[each.location] not in known]
    # A purge removes file and row while this looks.
    return [each for each in unknown if await store.size(each.location) is not None]


def _known(tx: Transaction, nonces: Sequence[str]) -> set[str]:
    promised = select(reservations.c.nonce).where(reservations.c.nonce.in_(nonces))
    return blobs.known(tx, nonces) | set(tx.execute(promised).scalars())


def _nonce(file: StoredFile) -> str:
    location = Location.parse(file.location)
    return location.nonce if location else ""
