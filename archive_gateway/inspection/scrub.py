"""Reads every blob again. Disks forget: better found here than by a restore."""

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import structlog

from archive_gateway.blob_stores import BlobStore
from archive_gateway.domain.names import BlobType
from archive_gateway.operations import uploads
from archive_gateway.store import blobs
from archive_gateway.store.blobs import Blob
from service_kit.clock import now
from service_kit.database.engine import Database
from service_kit.errors import OffsiteError

log = structlog.get_logger()

_AT_ONCE = 200  # blobs asked of the ledger in one go


@dataclass(frozen=True)
class Scrubbed:
    """What was read so far."""

    blobs: int = 0
    bytes: int = 0
    quarantined: int = 0
    missing: int = 0


async def scrub(database: Database, store: BlobStore, account_id: str) -> AsyncIterator[Scrubbed]:
    """Read all blobs of an account, or of all; one that is wrong twice is set aside.

    A missing file is only told of: a disk that is not mounted must not empty the archive.
    """
    so_far = Scrubbed()
    nonce = ""
    while found := await database.read(blobs.after, nonce, _AT_ONCE, account_id):
        for blob in found:
            so_far = await _one(database, store, blob, so_far)
        nonce = found[-1].location.nonce
        yield so_far


async def _one(database: Database, store: BlobStore, blob: Blob, so_far: Scrubbed) -> Scrubbed:
    so_far = replace(so_far, blobs=so_far.blobs + 1, bytes=so_far.bytes + blob.size)
    try:
        if await is_whole(store, blob) or await is_whole(store, blob):
            return so_far
    except (OffsiteError, FileNotFoundError):
        if await database.read(blobs.state_of, blob.location.nonce) is None:
            return so_far  # purged while it was looked for
        log.error("archive.blob_missing", location=str(blob.location))
        return replace(so_far, missing=so_far.missing + 1)
    if not await database.run(uploads.set_aside, blob, "its content is not what it was", now()):
        return so_far
    log.error("archive.quarantined", location=str(blob.location))
    return replace(so_far, quarantined=so_far.quarantined + 1)


async def is_whole(store: BlobStore, blob: Blob) -> bool:
    """Whether a blob's file is as long as it was, and has the hash that its name says.

    Raises:
        FileNotFoundError: there is no such file.
        OffsiteError: it can't be read.
    """
    location, digest, size = blob.location, hashlib.sha256(), 0
    if await store.size(str(location)) is None:
        raise FileNotFoundError(str(location))
    async for chunk in store.stream(str(location), 0, blob.size + 1):
        digest.update(chunk)
        size += len(chunk)
    named = location.type is not BlobType.CONFIG
    return size == blob.size and (not named or digest.hexdigest() == location.name)
