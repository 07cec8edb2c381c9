"""Where blobs rest: a folder, or an S3 bucket."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Space:
    """Room on the medium, in bytes."""

    free_bytes: int
    total_bytes: int


@dataclass(frozen=True)
class StoredFile:
    """A file found by a walk."""

    location: str
    size: int


class BlobStore(Protocol):
    """Files that are written once, at locations never used twice.

    Every method raises Unavailable where the medium fails, and LimitReached (STORAGE_FULL) where
    it has no room.
    """

    spool: Path
    """Where an upload is written before it is whole; on the medium itself if that is a disk."""

    keeps_spooled: bool
    """Whether a spooled file becomes the blob itself, rather than being copied elsewhere."""

    async def put(self, spooled: Path, location: str) -> None:
        """Keep a spooled file at a location; it is durable, and gone from the spool, on return."""

    async def size(self, location: str) -> int | None:
        """A file's size in bytes, None where there is none."""

    async def read(self, location: str, start: int, length: int) -> bytes:
        """A part of a file, shorter at its end.

        Raises:
            FileNotFoundError: there is no such file.
        """

    def stream(self, location: str, start: int, length: int) -> AsyncIterator[bytes]:
        """The same, in chunks of bounded size."""

    async def remove(self, location: str) -> None:
        """Remove a file, durably; one that isn't there is removed already."""

    def walk(self) -> AsyncIterator[StoredFile]:
        """Every file but spool and marker."""

    async def space(self) -> Space | None:
        """The room left, None where there is no bound."""

    async def owner(self) -> str | None:
        """The id of the archive that this store was claimed for."""

    async def claim(self, archive_id: str) -> None:
        """Write down, durably, whose archive this is; an earlier claim ends."""

    async def close(self) -> None:
        """Let go of connections and threads."""
