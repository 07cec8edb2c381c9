"""Blobs in a folder: each a file, written once and never replaced.

A file appears at its location by a hard link from the spool, which, other than a rename, fails
where a file is already; so the archive's file system needs hard links, as ext4, XFS, Btrfs, ZFS
and NFS have them.
"""

import asyncio
import contextlib
import errno
import os
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar, TypeVarTuple

from archive_gateway.blob_stores import Space, StoredFile, files
from archive_gateway.blob_stores.chunks import chunks
from archive_gateway.blob_stores.completion import completed
from archive_gateway.blob_stores.faults import refusal
from archive_gateway.blob_stores.locations import MARKER, SPOOL, checked
from archive_gateway.blob_stores.open_files import OpenFile, OpenFiles
from archive_gateway.blob_stores.spool import open_spool

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_CHUNK = 1 << 18  # bytes; larger ones leave the processor's cache before they are sent
_BATCH = 1000  # files that a walk finds in one go
_THREADS = 8
_MOST_SETTLED = 100_000  # folders remembered: about 20 MB
_FOLDER_MODE, _FILE_MODE = 0o700, 0o600
_NOT_OURS = "lost+found"  # of a file system's root; only root may look into it


class DiskStore:
    """A folder of blobs; every call to the disk is made in a thread of the store's own."""

    keeps_spooled = True

    def __init__(self, folder: Path) -> None:
        """Make the folder if need be.

        Raises:
            Unavailable: it can't be made or written.
        """
        try:
            folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
            self.spool = open_spool(folder / SPOOL)
        except OSError as error:
            raise refusal(error) from error
        self._folder = folder
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="archive")
        self._open = OpenFiles()
        self._settled: set[Path] = set()
        self._claimed = False  # whether the marker was ever seen in the folder

    async def put(self, spooled: Path, location: str) -> None:
        """See BlobStore; a file that is already there is left alone, and Unavailable raised."""
        await self._run(self._put, spooled, self._path(location))

    async def size(self, location: str) -> int | None:
        """See BlobStore."""
        return await self._find(files.size_of, location)

    async def read(self, location: str, start: int, length: int) -> bytes:
        """See BlobStore."""
        return await self._part(await self._opened(location), start, length)

    async def stream(self, location: str, start: int, length: int) -> AsyncIterator[bytes]:
        """See BlobStore; what was opened is read to its end, even if it is removed meanwhile."""
        file = await self._opened(location)
        parts = chunks(partial(self._part, file), start, length, _CHUNK)
        async with contextlib.aclosing(parts):
            async for chunk in parts:
                yield chunk

    async def remove(self, location: str) -> None:
        """See BlobStore."""
        self._open.drop(location)
        await self._run(self._remove, self._path(location))

    async def walk(self) -> AsyncIterator[StoredFile]:
        """See BlobStore; in no order."""
        found = self._all_files()
        while batch := await self._run(_some, found):
            for file in batch:
                yield file

    async def space(self) -> Space:
        """See BlobStore; free is what a process without root's privileges may still write."""
        room = await self._run(os.statvfs, self._folder)
        return Space(room.f_bavail * room.f_frsize, room.f_blocks * room.f_frsize)

    async def owner(self) -> str | None:
        """See BlobStore."""
        found = await self._run(files.text_of, self._folder / MARKER)
        self._claimed = self._claimed or found is not None
        return found

    async def claim(self, archive_id: str) -> None:
        """See BlobStore; an earlier owner's claim ends."""
        await self._run(self._claim, archive_id)
        self._claimed = True

    async def close(self) -> None:
        """See BlobStore; waits for what is under way."""
        self._open.drop_all()
        await asyncio.to_thread(self._threads.shutdown)

    def _path(self, location: str) -> Path:
        return self._folder / checked(location)

    async def _run(self, work: Callable[[*Ts], T], *arguments: *Ts) -> T:
        """Do blocking work in a thread."""
        job = asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)
        try:
            return await completed(job)
        except OSError as error:
            raise refusal(error) from error

    async def _find(
        self, look: Callable[[Path, *Ts], T | None], location: str, *arguments: *Ts
    ) -> T | None:
        return await self._run(self._found, look, self._path(location), *arguments)

    async def _opened(self, location: str) -> OpenFile:
        file = self._open.get(location)
        if file is None:
            file = await self._find(files.open_to_read, location)
            if file is None:
                raise FileNotFoundError(location)
            self._open.keep(location, file)
        return file

    async def _part(self, file: OpenFile, start: int, length: int) -> bytes:
        part = file.at_once(start, length)
        return await self._run(file.read, start, length) if part is None else part

    def _found(
        self, look: Callable[[Path, *Ts], T | None], path: Path, *arguments: *Ts
    ) -> T | None:
        found = look(path, *arguments)
        if found is None:
            self._make_sure()
        return found

    def _make_sure(self) -> None:
        """Fail if what isn't there may be missing only because its disk isn't mounted."""
        if self._claimed and not (self._folder / MARKER).exists():
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))

    def _remove(self, path: Path) -> None:
        if not files.remove(path):
            self._make_sure()

    def _put(self, spooled: Path, path: Path) -> None:
        files.sync(spooled, _FILE_MODE)
        self._settle(path.parent)
        try:
            os.link(spooled, path)
        except FileExistsError:
            if not path.samefile(spooled):  # else an earlier attempt of this put got this far
                raise
        files.sync(path.parent)
        spooled.unlink()

    def _settle(self, folder: Path) -> None:
        """Make a folder, and all above it, last through a power cut.

        Also one that exists: whoever made it may not have come to the fsync yet.
        """
        if folder == self._folder or (folder in self._settled and folder.is_dir()):
            return
        self._settle(folder.parent)
        folder.mkdir(mode=_FOLDER_MODE, exist_ok=True)
        files.sync(folder.parent)
        if len(self._settled) >= _MOST_SETTLED:
            self._settled.clear()
        self._settled.add(folder)

    def _claim(self, archive_id: str) -> None:
        written = self.spool / f"{MARKER}-{archive_id}"
        written.write_text(f"{archive_id}\n", encoding="utf-8")
        files.sync(written, _FILE_MODE)
        written.replace(self._folder / MARKER)
        files.sync(self._folder)
        files.sync(self._folder.parent)

    def _all_files(self) -> Iterator[StoredFile]:
        yield from self._files(self._folder)
        self._make_sure()

    def _files(self, folder: Path) -> Iterator[StoredFile]:
        for entry in files.entries(folder):
            if entry.name.startswith(".") or entry.name == _NOT_OURS:
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from self._files(Path(entry.path))
            elif entry.is_file(follow_symlinks=False):
                with contextlib.suppress(FileNotFoundError):
                    size = entry.stat(follow_symlinks=False).st_size
                    location = Path(entry.path).relative_to(self._folder).as_posix()
                    yield StoredFile(location, size)


def _some(found: Iterator[StoredFile]) -> list[StoredFile]:
    return list(islice(found, _BATCH))
