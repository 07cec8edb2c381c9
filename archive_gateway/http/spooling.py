"""Takes the body of an upload to the disk, hashing on the way, in bounded memory."""

import asyncio
import hashlib
import os
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from aiohttp import StreamReader

from archive_gateway.blob_stores.faults import refusal
from service_kit.errors import Unavailable
from service_kit.reasons import Reason

CHUNK = 256 * 1024  # bytes that one upload holds in memory, twice
STALLED_SECONDS = 60.0  # a chunk that takes longer is from a client that is gone, or holds us up


class Spooled:
    """A file being written in a thread; `digest` is of all that was written."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file: int | None = None
        self._digest = hashlib.sha256()
        self.size = 0

    def write(self, chunk: bytes | bytearray) -> None:
        """Take some bytes; without a path they are only hashed."""
        if self._path is not None:
            if self._file is None:
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
                self._file = os.open(self._path, flags, 0o600)
            view = memoryview(chunk)
            while view:
                view = view[os.write(self._file, view) :]
        self._digest.update(chunk)
        self.size += len(chunk)

    def finish(self) -> str:
        """Close the file; answers the SHA-256 of what was written, in hexadecimal."""
        self.close()
        return self._digest.hexdigest()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


async def spool(
    body: StreamReader,
    path: Path | None,
    threads: ThreadPoolExecutor,
    alive: Callable[[], Awaitable[None]],
) -> tuple[int, str]:
    """Write a body to a new file; answers its size in bytes and its SHA-256.

    Without a path the body is only hashed. `alive` is called as bytes come.

    Raises:
        Unavailable: the client stopped sending, or the disk failed.
        LimitReached: the disk is full.
        OffsiteError: what `alive` raised.
    """
    spooled = Spooled(path)
    loop = asyncio.get_running_loop()
    writing: asyncio.Future[None] | None = None
    try:
        while chunk := await _chunk(body):
            if writing is not None:
                await writing
            writing = loop.run_in_executor(threads, spooled.write, chunk)
            await alive()
        if writing is None and path is not None:  # an empty body makes an empty file
            writing = loop.run_in_executor(threads, spooled.write, b"")
        if writing is not None:
            await writing
        return spooled.size, await loop.run_in_executor(threads, spooled.finish)
    except OSError as error:
        raise refusal(error) from error
    finally:
        if writing is not None and not writing.done():
            await asyncio.wait([writing])
        spooled.close()


async def _chunk(body: StreamReader) -> bytearray:
    """The next bytes, fewer only at the end."""
    chunk = bytearray()
    try:
        async with asyncio.timeout(STALLED_SECONDS):
            while len(chunk) < CHUNK:
                some = await body.readany()
                if not some:
                    break
                chunk += some
    except TimeoutError:
        raise _given_up("stalled") from None
    except ConnectionError:
        raise _given_up("was cut off") from None
    return chunk


def _given_up(how: str) -> Unavailable:
    return Unavailable(Reason.UNAVAILABLE, f"The upload {how} and was given up", "Send it again.")
