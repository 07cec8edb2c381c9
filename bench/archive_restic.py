"""The real restic with our gateway and with rest-server: backup and restore of 1 GB."""

import asyncio
import os
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path

from bench.archive_client import Repository
from bench.archive_servers import Server, both
from bench.processes import folder
from bench.table import Row, times
from tests.support.restic import Restic, restic_program

ROUNDS = 5
FILES, FILE_SIZE = 64, 16_000_000


@dataclass
class Figures:
    """Seconds of each round."""

    backup: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    restore: list[float] = field(default_factory=list)


async def restic() -> list[Row]:
    """Backups of random files to empty repositories, and restores of them."""
    with folder() as place:
        files = place / "files"
        files.mkdir()
        for number in range(FILES):
            (files / str(number)).write_bytes(os.urandom(FILE_SIZE))
        found = Figures(), Figures()
        async with both(place) as servers:
            for number in range(ROUNDS):
                for which in (0, 1) if number % 2 else (1, 0):
                    await _round(servers[which], files, place / "work", found[which])
    ours, theirs = found
    return [
        times("restic backup of 1 GB, wall", ours.backup, theirs.backup, 1.05),
        times("restic backup of 1 GB, CPU of the server", ours.cpu, theirs.cpu, 1.5),
        times("restic restore of 1 GB, wall", ours.restore, theirs.restore, 1.1),
    ]


async def _round(server: Server, files: Path, work: Path, found: Figures) -> None:
    work.mkdir()
    command = _restic(await server.new(), work)
    await asyncio.to_thread(command.run, "init")
    os.sync()
    before = server.cpu_seconds()
    found.backup.append(await _seconds(command, "backup", files))
    found.cpu.append(server.cpu_seconds() - before)
    os.sync()
    found.restore.append(await _seconds(command, "restore", "latest", "--target", work / "target"))
    shutil.rmtree(work)


def _restic(repository: Repository, work: Path) -> Restic:
    return Restic(
        restic_program("newest"),
        f"rest:{repository.url}",
        Path(repository.ca_file),
        work / "cache",
        repository.user,
        repository.password,
    )


async def _seconds(command: Restic, *words: str | Path) -> float:
    begin = time.perf_counter()
    await asyncio.to_thread(command.run, *words)
    return time.perf_counter() - begin
