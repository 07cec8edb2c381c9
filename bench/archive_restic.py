"""The real restic against our gateway and against rest-server: a gigabyte there and back."""

import asyncio
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from bench.archive_servers import Server, both
from bench.processes import folder
from bench.table import Row, times
from tests.support.restic import Restic, restic_program

ROUNDS = 3
FILES, FILE = 64, 16 << 20  # 1 GiB that doesn't compress


async def restic() -> list[Row]:
    """Backup to an empty repository, the server's work in it, and restore."""
    walls: tuple[list[float], list[float]] = ([], [])
    works: tuple[list[float], list[float]] = ([], [])
    restores: tuple[list[float], list[float]] = ([], [])
    with folder() as place:
        await asyncio.to_thread(_make_files, place / "files")
        async with both(place) as servers:
            for number in range(ROUNDS):
                for which in (0, 1) if number % 2 else (1, 0):
                    wall, work, restore = await _round(servers[which], place)
                    walls[which].append(wall)
                    works[which].append(work)
                    restores[which].append(restore)
    return [
        times("restic backup of 1 GiB, wall", *walls, 1.05),
        times("restic backup of 1 GiB, server's CPU", *works, 1.5),
        times("restic restore of it, wall", *restores, 1.1),
    ]


async def _round(server: Server, place: Path) -> tuple[float, float, float]:
    """Seconds of a backup, of the server's work in it, and of a restore."""
    made = await server.new()
    client = Restic(
        restic_program("newest"),
        f"rest:{made.url}",
        Path(made.ca_file),
        place / "cache",
        made.user,
        made.password,
    )
    await asyncio.to_thread(client.run, "init")
    os.sync()
    worked = server.cpu_seconds()
    wall = await _seconds(lambda: client.run("backup", place / "files"))
    work = server.cpu_seconds() - worked
    target = place / "restored"
    restore = await _seconds(lambda: client.run("restore", "latest", "--target", target))
    await asyncio.to_thread(shutil.rmtree, target)
    return wall, work, restore


async def _seconds(work: Callable[[], object]) -> float:
    begun = time.monotonic()
    await asyncio.to_thread(work)
    return time.monotonic() - begun


def _make_files(files: Path) -> None:
    files.mkdir()
    for number in range(FILES):
        (files / str(number)).write_bytes(os.urandom(FILE))
