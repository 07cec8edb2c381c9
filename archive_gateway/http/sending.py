"""Downloads and lists."""

import asyncio
from collections.abc import AsyncIterator, Mapping

import structlog
from aiohttp import hdrs, web

from archive_gateway.blob_stores import BlobStore
from archive_gateway.http import ranges
from archive_gateway.http.finding import Finder
from archive_gateway.http.meter import Meter
from archive_gateway.http.paths import Target
from archive_gateway.http.ranges import Part
from archive_gateway.http.refusals import plain
from archive_gateway.store import blobs
from archive_gateway.store.blobs import Blob
from service_kit.database.engine import Database
from service_kit.errors import OffsiteError, Unavailable
from service_kit.reasons import Reason

log = structlog.get_logger()

V1 = "application/vnd.x.restic.rest.v1"
V2 = "application/vnd.x.restic.rest.v2"
BINARY = "application/octet-stream"
STALLED_SECONDS = 60.0  # as for uploads
_IN_ONE_PIECE = 1 << 18  # bytes; more is streamed


class Sender:
    """Answers what an archive holds."""

    def __init__(self, database: Database, store: BlobStore, meter: Meter) -> None:
        self._database = database
        self._finder = Finder(database)
        self._store = store
        self._meter = meter

    async def list(self, request: web.Request, target: Target) -> web.StreamResponse:
        """Names, and sizes for clients that speak version 2, of all blobs of a type."""
        version_2 = V2 in request.headers.get(hdrs.ACCEPT, "")
        text = self._database.read(blobs.list_live, target.archive, target.type, sizes=version_2)
        body = (await text).encode()
        response = web.StreamResponse()
        response.content_type = V2 if version_2 else V1
        response.content_length = len(body)
        await response.prepare(request)
        if not await _sent(response, len(body), b"", _slices(body)) and request.transport:
            request.transport.abort()
        return response

    async def head(self, target: Target) -> web.Response:
        """A blob's size."""
        blob = await self._finder.find_now(target)
        if blob is None:
            return plain(404, "Not Found")
        headers = {hdrs.CONTENT_LENGTH: str(blob.size), hdrs.ACCEPT_RANGES: "bytes"}
        return web.Response(headers=headers, content_type=BINARY)

    async def get(self, request: web.Request, target: Target) -> web.StreamResponse:
        """A blob, or a part of it."""
        blob = await self._finder.find(target)
        while blob is not None:
            try:
                return await self._answer(request, blob)
            except FileNotFoundError:
                # It may have been purged since it was found, and even be there again.
                found = await self._finder.find_now(target)
                if found == blob:
                    raise _missing(blob) from None
                blob = found
        return plain(404, "Not Found")

    async def _answer(self, request: web.Request, blob: Blob) -> web.StreamResponse:
        status, part = 200, Part(0, blob.size)
        headers: dict[str, str] = {hdrs.ACCEPT_RANGES: "bytes"}
        if (header := request.headers.get(hdrs.RANGE)) is not None:
            try:
                wanted = ranges.part(header, blob.size)
            except ValueError:
                wanted = part
            else:
                status = 206
            if wanted is None:
                unsatisfied = plain(416, "Requested Range Not Satisfiable")
                unsatisfied.headers[hdrs.CONTENT_RANGE] = f"bytes */{blob.size}"
                return unsatisfied
            part = wanted
            if status == 206:
                headers[hdrs.CONTENT_RANGE] = part.content_range(blob.size)
        self._meter.add(blob.location.archive, part.length)
        return await self._send(request, blob, part, status, headers)

    async def _send(
        self,
        request: web.Request,
        blob: Blob,
        part: Part,
        status: int,
        headers: Mapping[str, str],
    ) -> web.StreamResponse:
        location = str(blob.location)
        if part.length <= _IN_ONE_PIECE:
            body = await self._store.read(location, part.start, part.length)
            if len(body) < part.length:
                raise FileNotFoundError(location)  # all of it, at least
            return web.Response(body=body, status=status, headers=headers, content_type=BINARY)
        response = web.StreamResponse(status=status, headers=headers)
        response.content_type = BINARY
        response.content_length = part.length
        chunks = self._store.stream(location, part.start, part.length)
        first = await anext(chunks, b"")  # a missing file is found out before an answer is begun
        if not first:
            raise FileNotFoundError(location)
        await response.prepare(request)
        if not await _sent(response, part.length, first, chunks) and request.transport is not None:
            log.error("archive.blob_cut_short", location=location)
            request.transport.abort()
        return response


async def _sent(
    response: web.StreamResponse, length: int, first: bytes, chunks: AsyncIterator[bytes]
) -> bool:
    """Whether the medium gave all that was promised; an answer that has begun can only be cut."""
    try:
        await _write(response, first)
        length -= len(first)
        async for chunk in chunks:
            await _write(response, chunk)
            length -= len(chunk)
    except (OffsiteError, FileNotFoundError, TimeoutError):
        return False
    except ConnectionError:  # the client went away
        return True
    return length == 0


async def _write(response: web.StreamResponse, chunk: bytes) -> None:
    """Write a chunk, to a client that takes it in time: one that stalls holds memory for nothing.

    Raises:
        TimeoutError: it does not.
    """
    async with asyncio.timeout(STALLED_SECONDS):
        await response.write(chunk)


async def _slices(body: bytes) -> AsyncIterator[bytes]:
    """A long body in pieces: sent as one it would be in memory four times."""
    for start in range(0, len(body), _IN_ONE_PIECE):
        yield body[start : start + _IN_ONE_PIECE]


def _missing(blob: Blob) -> Unavailable:
    log.error("archive.blob_missing", location=str(blob.location))
    return Unavailable(
        Reason.ARCHIVE_UNAVAILABLE,
        "The file of this blob is missing",
        "Tell the operator of this server: archive scrub finds what is missing.",
    )
