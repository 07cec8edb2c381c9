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

CHUNK = 512 * 1024  # bytes that one upload holds in memory, twice
STALLED_SECONDS = 60.0  # a chunk that takes longer is from a client that is gone, or holds us up


class Spooled:
    """A file being written in a thread; `digest` is of all that was written."""

    def __init__(self, path: Path | None, *, kept: bool) -> None:
        """`kept`: the file itself stays, so that it may go to its disk while more of it comes."""
        self._path = path
        self._kept = kept
        self._file: int | None = None
        self._digest = hashlib.sha256()
        self.size = 0

    def write(self, chunk: list[bytes]) -> None:
        """Take some bytes, in pieces; without a path they are only hashed."""
        if self._path is not None and self._file is None:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._file = os.open(self._path, flags, 0o600)
        start = self.size
        for piece in chunk:
            self._write(piece)
            self._digest.update(piece)
            self.size += len(piece)
        if self._kept and self._file is not None:
            # Begins to write it to the disk, and waits for nothing; the fsync then finds little.
            os.posix_fadvise(self._file, start, self.size - start, os.POSIX_FADV_DONTNEED)

    def _write(self, piece: bytes) -> None:
        view = memoryview(piece)
        while view and self._file is not None:
            view = view[os.write(self._file, view) :]

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
    *,
    kept: bool,
) -> tuple[int, str]:
    """Write a body to a new file; answers its size in bytes and its SHA-256.

    Without a path the body is only hashed. `alive` is called as bytes come. `kept` tells whether
    the file itself will stay on its disk.

    Raises:
        Unavailable: the client stopped sending, or the disk failed.
        LimitReached: the disk is full.
        OffsiteError: what `alive` raised.
    """
    spooled = Spooled(path, kept=kept)
    loop = asyncio.get_running_loop()
    writing: asyncio.Future[None] | None = None
    try:
        while chunk := await _chunk(body):
            if writing is not None:
                await writing
            writing = loop.run_in_executor(threads, spooled.write, chunk)
            await alive()
        if writing is None and path is not None:  # an empty body makes an empty file
            writing = loop.run_in_executor(threads, spooled.write, [])
        if writing is not None:
            await writing
        return spooled.size, await loop.run_in_executor(threads, spooled.finish)
    except OSError as error:
        raise refusal(error) from error
    finally:
        if writing is not None and not writing.done():
            await asyncio.wait([writing])
        spooled.close()


async def _chunk(body: StreamReader) -> list[bytes]:
    """The next bytes in the pieces that came, as joining would copy them; fewer only at the end."""
    chunk: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(STALLED_SECONDS):
            while size < CHUNK:
                some = await body.readany()
                if not some:
                    break
                chunk.append(some)
                size += len(some)
    except TimeoutError:
        raise _given_up("stalled") from None
    except ConnectionError:
        raise _given_up("was cut off") from None
    return chunk


def _given_up(how: str) -> Unavailable:
    return Unavailable(Reason.UNAVAILABLE, f"The upload {how} and was given up", "Send it again.")
