"""Blobs in an S3 bucket: each an object, put whole or not at all.

A put may be repeated where its answer was lost: the same bytes then take the place of the same
bytes. What a killed server leaves of an upload in parts is hidden in the bucket until a lifecycle
rule of the bucket removes it.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import obstore
from obstore.exceptions import BaseError

from archive_gateway.blob_stores import StoredFile
from archive_gateway.blob_stores.bucket import (
    Patience,
    is_final,
    is_missing_bucket,
    open_bucket,
    refusal,
    status,
)
from archive_gateway.blob_stores.chunks import chunks
from archive_gateway.blob_stores.completion import completed
from archive_gateway.blob_stores.faults import refusal as disk_refusal
from archive_gateway.blob_stores.faults import storage_failed
from archive_gateway.blob_stores.locations import MARKER, checked
from archive_gateway.blob_stores.spool import open_spool

if TYPE_CHECKING:
    from obstore import ObjectMeta  # there for type checkers alone

T = TypeVar("T")

_CHUNK = 4 << 20  # bytes; one request each
_MOST_IN_ONE = 24 << 20  # bytes in one request: restic's usual pack is 16 MiB and a little more
_PART = 8 << 20  # bytes in each request for a larger file
_PARTS_AT_ONCE = 4
_PUTS_AT_ONCE = 6  # so that at most about 256 MiB are in memory
_ATTEMPTS = 3  # each with the client's own retries of its requests
_PAGE = 1000  # objects
_MARKER_BYTES = 1024  # a GUID is far shorter
_PAST_THE_END = 416


class S3Store:
    """A bucket of blobs, or all below a prefix in one."""

    keeps_spooled = False

    def __init__(
        self,
        where: str,
        spool: Path,
        environment: Mapping[str, str] = os.environ,
        patience: Patience | None = None,
    ) -> None:
        """Prepare to reach `s3://BUCKET/PREFIX`; nothing is asked of it yet.

        Raises:
            InvalidArgument: the URL is malformed.
            Unavailable: the spool can't be made or written.
        """
        patience = patience or Patience()
        self._longest = patience.operation.total_seconds()
        self._bucket = open_bucket(where, environment, patience)
        self._puts = asyncio.Semaphore(_PUTS_AT_ONCE)
        try:
            self.spool = open_spool(spool)
        except OSError as error:
            raise disk_refusal(error) from error

    async def put(self, spooled: Path, location: str) -> None:
        """See BlobStore."""
        where = checked(location)
        async with self._turn():
            await completed(asyncio.ensure_future(self._put(spooled, where)))

    async def size(self, location: str) -> int | None:
        """See BlobStore; asks by GET, as an answer to HEAD can't tell that the bucket is gone."""
        try:
            return await self._ask(partial(self._whole_size, checked(location)))
        except FileNotFoundError:
            return None

    async def read(self, location: str, start: int, length: int) -> bytes:
        """See BlobStore."""
        if not length:  # S3 has no empty ranges
            await self._ask(partial(self._whole_size, checked(location)))
            return b""
        return await self._ask(partial(self._part, checked(location), start, length))

    async def stream(self, location: str, start: int, length: int) -> AsyncIterator[bytes]:
        """See BlobStore; a request for each chunk, so that a slow reader keeps none waiting."""
        parts = chunks(partial(self.read, location), start, length, _CHUNK)
        async with contextlib.aclosing(parts):
            async for chunk in parts:
                yield chunk

    async def remove(self, location: str) -> None:
        """See BlobStore."""
        work = partial(obstore.delete_async, self._bucket, checked(location))
        with contextlib.suppress(FileNotFoundError):
            await completed(asyncio.ensure_future(self._ask(work)))

    async def walk(self) -> AsyncIterator[StoredFile]:
        """See BlobStore; in the order of S3, by name."""
        pages = aiter(obstore.list(self._bucket, chunk_size=_PAGE))
        # One attempt: a listing that failed can't be taken up again, and would seem to be complete.
        while page := await self._ask(partial(_next_page, pages), attempts=1):
            for each in page:
                if not each["path"].startswith("."):
                    yield StoredFile(each["path"], each["size"])

    async def space(self) -> None:
        """See BlobStore."""
        return

    async def owner(self) -> str | None:
        """See BlobStore."""
        try:
            content = await self._ask(partial(self._part, MARKER, 0, _MARKER_BYTES))
        except FileNotFoundError:
            return None
        return content.decode(errors="replace").strip()

    async def claim(self, archive_id: str) -> None:
        """See BlobStore; an earlier owner's claim ends."""
        await self._ask(
            partial(obstore.put_async, self._bucket, MARKER, f"{archive_id}\n".encode())
        )

    async def close(self) -> None:
        """See BlobStore; connections end with the object."""

    @contextlib.asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """One of the few puts at a time."""
        try:
            async with asyncio.timeout(self._longest):
                await self._puts.acquire()
        except TimeoutError:
            raise storage_failed("S3 is too slow for the uploads that wait") from None
        try:
            yield
        finally:
            self._puts.release()

    async def _put(self, spooled: Path, location: str) -> None:
        try:
            await self._ask(partial(self._upload, spooled, location))
            await asyncio.to_thread(spooled.unlink)
        except OSError as error:
            raise disk_refusal(error) from None

    async def _upload(self, spooled: Path, location: str) -> None:
        size = (await asyncio.to_thread(spooled.stat)).st_size
        await obstore.put_async(
            self._bucket,
            location,
            spooled,
            use_multipart=size > _MOST_IN_ONE,
            chunk_size=_PART,
            max_concurrency=_PARTS_AT_ONCE,
        )

    async def _part(self, location: str, start: int, length: int) -> bytes:
        try:
            found = obstore.get_range_async(self._bucket, location, start=start, length=length)
            return bytes(await found)
        except BaseError as error:
            if status(error) == _PAST_THE_END:
                return b""
            raise

    async def _whole_size(self, location: str) -> int:
        try:
            found = await obstore.get_async(self._bucket, location, options={"range": (0, 1)})
            await found.bytes_async()  # so that the connection can be used again
        except BaseError as error:
            if status(error) == _PAST_THE_END:
                return 0
            raise
        return found.meta["size"]

    async def _ask(self, work: Callable[[], Awaitable[T]], attempts: int = _ATTEMPTS) -> T:
        """Do what asks something of S3, again where that may help, within the time there is.

        Raises:
            FileNotFoundError: the object isn't there.
        """
        try:
            async with asyncio.timeout(self._longest):
                return await _repeated(work, attempts)
        except (BaseError, OSError) as error:
            if isinstance(error, FileNotFoundError) and not is_missing_bucket(error):
                raise FileNotFoundError("no such object") from None
            raise refusal(error) from None


async def _repeated(work: Callable[[], Awaitable[T]], attempts: int) -> T:
    for _ in range(attempts - 1):
        try:
            return await work()
        except (BaseError, OSError) as error:
            if is_final(error):
                raise
    return await work()


async def _next_page(pages: "AsyncIterator[Sequence[ObjectMeta]]") -> "Sequence[ObjectMeta]":
    try:
        return await anext(pages)
    except StopAsyncIteration:
        return ()
