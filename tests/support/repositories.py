"""A folder to back up, and restic on the archive of a device."""

import asyncio
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from tests.support.archives import ArchiveServer
from tests.support.restic import Restic

LARGE = 6 << 20  # bytes; three of them are more than one pack
V2 = {"Accept": "application/vnd.x.restic.rest.v2"}


@dataclass
class Site:
    """A running archive, and restic on one device of it."""

    server: ArchiveServer
    restic: Restic

    async def run(self, *words: str | Path, **options: Any) -> str:
        """Run restic; answers what it printed."""
        return (await asyncio.to_thread(self.restic.run, *words, **options)).stdout

    async def json(self, *words: str | Path) -> Any:
        """What restic prints with --json."""
        return await asyncio.to_thread(self.restic.json, *words)

    def with_password(self, password: str) -> Self:
        """The same with another password for the archive."""
        return replace(self, restic=replace(self.restic, password=password))

    async def listed(self, type: str) -> list[dict[str, Any]]:
        """The blobs of a type."""
        async with self.server.client() as client, client.get(f"{type}/", headers=V2) as answer:
            found: list[dict[str, Any]] = await answer.json(content_type=None)
        return found

    async def usage(self) -> dict[str, Any]:
        """What the archive says of itself."""
        async with self.server.client() as client, client.get("usage") as answer:
            found: dict[str, Any] = await answer.json()
        return found


def repository_of(server: ArchiveServer, program: Path, folder: Path) -> Restic:
    """restic on the archive of a server's device, with its cache in a folder."""
    return Restic(
        program,
        f"rest:{server.url}",
        server.ca_file,
        folder / "cache",
        server.device_guid,
        server.credential,
    )


def make_files(folder: Path) -> Path:
    """Some of what a computer holds: small and large, empty, linked, oddly named."""
    deep = folder / "ä name" / "with spaces" / "deep"
    deep.mkdir(parents=True)
    for number in range(100):
        (deep / f"{number}.txt").write_text(f"file {number}\n" * number)
    for number in range(3):
        (folder / f"{number}.bin").write_bytes(os.urandom(LARGE))
    (folder / "empty").touch()
    (folder / "script").write_text("#!/bin/sh\n")
    (folder / "script").chmod(0o750)
    (folder / "link").symlink_to("script")
    return folder


def contents(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """All below a folder, by relative path: mode, time of change, its bytes or where it leads."""
    found = {}
    for path in sorted(folder.rglob("*")):
        data = b""
        if path.is_symlink():
            data = os.readlink(path).encode()
        elif path.is_file():
            data = path.read_bytes()
        status = path.lstat()
        found[str(path.relative_to(folder))] = (status.st_mode, status.st_mtime_ns, data)
    return found
