"""Uploads: promise, spool, hash, make durable, commit. Only then the client is told that it is."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from enum import Enum, auto
from pathlib import Path
from typing import TypeAlias

import structlog
from aiohttp import web

from archive_gateway.blob_stores import BlobStore
from archive_gateway.blob_stores.room import Room
from archive_gateway.domain.names import ArchiveId, BlobType
from archive_gateway.domain.rules import Upload
from archive_gateway.http.doorkeeper import Access
from archive_gateway.http.spooling import spool
from archive_gateway.operations import uploads
from archive_gateway.store.blobs import Blob
from archive_gateway.store.reservations import Reservation
from archive_gateway.tenancy import Tenancy
from service_kit.clock import now
from service_kit.database.engine import Database
from service_kit.errors import FieldViolation, InvalidArgument, OffsiteError
from service_kit.reasons import Reason

log = structlog.get_logger()

BlobKey: TypeAlias = tuple[ArchiveId, BlobType, str]

# A promise is no older when the blob is put: a bucket's put may take nearly all of its lifetime.
_FRESH = timedelta(minutes=1)
_THREADS = 4  # hashing is all they do: more than there are cores would not be faster


class Step(Enum):
    """How far an upload has come."""

    SPOOLING = auto()
    PUTTING = auto()
    STORED = auto()


class Receiver:
    """Takes uploads of one server."""

    def __init__(self, database: Database, store: BlobStore, tenancy: Tenancy, room: Room) -> None:
        self._database = database
        self._store = store
        self._tenancy = tenancy
        self._room = room
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="spool")
        self._promising: dict[BlobKey, list[datetime]] = {}

    async def receive(self, request: web.Request, access: Access, upload: Upload) -> None:
        """Take an upload; it is durable on return.

        Raises:
            OffsiteError: it was refused, and nothing of it is kept.
        """
        if upload.counts:
            await self._room.check(upload.size, into_reserve=upload.type is not BlobType.DATA)
        outcome = await self._database.run(
            uploads.reserve, self._tenancy, upload, access.generation, now()
        )
        if isinstance(outcome, Reservation):
            await self._store_new(request, access, upload, outcome)
        else:
            await self._confirm(request, access, upload, outcome)

    def promised(self, archive: ArchiveId, type: BlobType, name: str) -> datetime:
        """Since when a blob may have been promised without an answer yet; else the present."""
        return min(self._promising.get((archive, type, name), ()), default=now())

    async def close(self) -> None:
        """Let go of the threads."""
        self._threads.shutdown(wait=False)

    async def _store_new(
        self, request: web.Request, access: Access, upload: Upload, reservation: Reservation
    ) -> None:
        spooled = self._store.spool / reservation.nonce
        reached = Step.SPOOLING
        try:
            await self._spool(request, upload, reservation, spooled)
            reached = Step.PUTTING
            await self._store.put(spooled, str(reservation.location))
            reached = Step.STORED
            with self._promise(upload) as time:
                await self._database.run(
                    uploads.commit, self._tenancy, upload, reservation, access.generation, time
                )
        except BaseException:
            await asyncio.shield(self._give_up(reservation, spooled, reached))
            raise

    async def _spool(
        self, request: web.Request, upload: Upload, reservation: Reservation, path: Path
    ) -> None:
        """Take the whole body; the promise still holds for a while when this returns."""
        extended = now()

        async def alive(most: timedelta = uploads.LIFETIME / 2) -> None:
            nonlocal extended
            if now() - extended > most:
                extended = now()
                await self._database.run(uploads.extend, reservation.nonce, extended)

        await self._take(request, upload, path, alive)
        await alive(_FRESH)

    async def _take(
        self,
        request: web.Request,
        upload: Upload,
        path: Path | None,
        alive: Callable[[], Awaitable[None]],
    ) -> None:
        kept = self._store.keeps_spooled
        size, digest = await spool(request.content, path, self._threads, alive, kept=kept)
        if size != upload.size:
            raise _wrong("Content-Length", f"says {upload.size} bytes, and {size} came")
        if upload.type is not BlobType.CONFIG and digest != upload.name:
            raise _wrong("the body", "has another SHA-256 than its name says")

    async def _give_up(self, reservation: Reservation, spooled: Path, reached: Step) -> None:
        """Leave nothing behind; what can't be given back now ends by its time.

        A bucket may still store what it was sent, and did not answer for: that promise stays until
        nothing of it can come any more, and is then purged.
        """
        with contextlib.suppress(OffsiteError, OSError):
            await asyncio.to_thread(spooled.unlink, missing_ok=True)
            if reached is not Step.PUTTING:
                stored = reached is Step.STORED
                await self._database.run(uploads.discard, reservation, now(), written=stored)

    async def _confirm(
        self, request: web.Request, access: Access, upload: Upload, blob: Blob
    ) -> None:
        """Take once more what is there already: what was sent is compared, not kept."""

        async def alive() -> None:
            return

        size = await self._store.size(str(blob.location))
        if size != blob.size:
            await self._database.run(uploads.set_aside, blob, _missing(size), now())
            log.error("archive.blob_missing", location=str(blob.location))
            raise uploads.outlived()  # the client sends it again, and it is stored anew
        await self._take(request, upload, None, alive)
        with self._promise(upload) as time:
            await self._database.run(
                uploads.confirm, self._tenancy, upload, blob, access.generation, time
            )

    @contextlib.contextmanager
    def _promise(self, upload: Upload) -> Iterator[datetime]:
        """The time of a promise; a delete that comes before it is written down came before it."""
        key, time = (upload.archive, upload.type, upload.name), now()
        begun = self._promising.setdefault(key, [])
        begun.append(time)
        try:
            yield time
        finally:
            begun.remove(time)
            if not begun:
                del self._promising[key]


def _missing(size: int | None) -> str:
    return "its file is missing" if size is None else f"its file has {size} bytes"


def _wrong(field: str, description: str) -> InvalidArgument:
    return InvalidArgument([FieldViolation(field, description)], Reason.BLOB_REFUSED)
