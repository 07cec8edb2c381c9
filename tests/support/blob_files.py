"""Spooled files, and how much memory is taken."""

import hashlib
import os
import re
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

from archive_gateway.blob_stores import BlobStore

MIB = 1 << 20
ARCHIVE = "0b0f77a9-3f35-4b0e-9d0f-3e4d5f1c2a10/6f1f0c0e-7a57-4b21-8d0b-97f5a2f0c3d1"


def location(name: str = "") -> str:
    """A location as the gateway makes them, never used before."""
    name = name or secrets.token_hex(32)
    return f"{ARCHIVE}/data/{name[:2]}/{name}.{secrets.token_hex(12)}"


def spooled(store: BlobStore, content: bytes) -> Path:
    """A file in the spool with this content."""
    file = store.spool / secrets.token_hex(8)
    file.write_bytes(content)
    return file


def large_file(store: BlobStore, size: int) -> tuple[Path, str]:
    """A spooled file that is never whole in memory, and its hash."""
    file, digest = store.spool / secrets.token_hex(8), hashlib.sha256()
    with file.open("wb") as out:
        for _ in range(size // MIB):
            part = os.urandom(MIB)
            digest.update(part)
            out.write(part)
    return file, digest.hexdigest()


async def put(store: BlobStore, content: bytes) -> str:
    """Put content at a new location."""
    where = location()
    await store.put(spooled(store, content), where)
    return where


async def hash_of(stream: AsyncIterator[bytes]) -> str:
    """The hash of all that streams."""
    digest = hashlib.sha256()
    async for chunk in stream:
        digest.update(chunk)
    return digest.hexdigest()


class PeakMemory:
    """How far this process's memory grew, in bytes, since the object was made."""

    def __init__(self) -> None:
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
        self._before = _status("VmRSS")

    def growth(self) -> int:
        return _status("VmHWM") - self._before


def _status(name: str) -> int:
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024
