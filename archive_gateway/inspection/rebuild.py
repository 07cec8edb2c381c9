"""After the ledger was restored from a backup: makes ledger and files agree again."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

from archive_gateway.blob_stores import BlobStore, StoredFile
from archive_gateway.domain.names import Location
from archive_gateway.inspection.scrub import is_whole
from archive_gateway.inspection.strays import batches, strays_of
from archive_gateway.operations import adopting, holding, recovery
from archive_gateway.store import blobs
from archive_gateway.store.blobs import Blob
from archive_gateway.store.tables import DELETED, LIVE, QUARANTINED
from service_kit.clock import now
from service_kit.database.engine import Database
from service_kit.errors import OffsiteError

_AT_ONCE = 500
_KEPT = (LIVE, DELETED, QUARANTINED)


@dataclass(frozen=True)
class Rebuilt:
    """What was found so far, in blobs and bytes."""

    adopted_blobs: int = 0
    adopted_bytes: int = 0
    missing_blobs: int = 0
    missing_bytes: int = 0
    strange_files: int = 0
    compared: int = 0


async def rebuild(
    database: Database, store: BlobStore, *, validate_only: bool
) -> AsyncIterator[Rebuilt]:
    """Forget blobs whose files are gone, then adopt whole files that the ledger does not know.

    In this order, as a file becomes part of a repository only where no other of its name is. With
    `validate_only` nothing changes. Else purges, which a restore holds, go on at the end.
    """
    so_far = Rebuilt()
    if not validate_only:
        while await database.run(recovery.return_expired, now()):
            pass
    nonce = ""
    while found := await database.read(blobs.after, nonce, _AT_ONCE, "", _KEPT):
        so_far = await _forget(database, store, found, so_far, validate_only=validate_only)
        nonce = found[-1].location.nonce
        yield so_far
    async for some in batches(store):
        so_far = await _adopt(database, store, some, so_far, validate_only=validate_only)
        yield so_far
    if not validate_only:
        await database.run(holding.let_go)


async def _adopt(
    database: Database,
    store: BlobStore,
    files: list[StoredFile],
    so_far: Rebuilt,
    *,
    validate_only: bool,
) -> Rebuilt:
    so_far = replace(so_far, compared=so_far.compared + len(files))
    strays = await strays_of(database, store, files)
    # Of several of a name the latest becomes live: a repository that was made anew has two configs.
    for file in sorted(strays, key=_nonce, reverse=True):
        location = Location.parse(file.location)
        whole = location is not None and await _whole(store, location, file.size)
        if location is None or not whole:
            so_far = replace(so_far, strange_files=so_far.strange_files + 1)
            continue
        if not validate_only:
            await database.run(adopting.adopt, location, file.size, now())
        so_far = replace(
            so_far,
            adopted_blobs=so_far.adopted_blobs + 1,
            adopted_bytes=so_far.adopted_bytes + file.size,
        )
    return so_far


def _nonce(file: StoredFile) -> str:
    return file.location.rpartition(".")[2]


async def _forget(
    database: Database,
    store: BlobStore,
    found: list[Blob],
    so_far: Rebuilt,
    *,
    validate_only: bool,
) -> Rebuilt:
    gone = [each for each in found if await store.size(str(each.location)) is None]
    if gone and not validate_only:
        await database.run(adopting.forget_missing, gone, now())
    return replace(
        so_far,
        compared=so_far.compared + len(found),
        missing_blobs=so_far.missing_blobs + len(gone),
        missing_bytes=so_far.missing_bytes + sum(each.size for each in gone),
    )


async def _whole(store: BlobStore, location: Location, size: int) -> bool:
    try:
        return await is_whole(store, Blob(0, location, size))
    except (OffsiteError, FileNotFoundError):
        return False
