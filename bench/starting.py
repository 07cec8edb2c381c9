"""From start to ready, and memory when idle."""

import asyncio
import statistics

from bench.processes import Process, folder
from bench.table import Row

ROUNDS = 3


async def start() -> list[Row]:
    """First starts of both servers."""
    rows = []
    for program in ("offsite-provider", "offsite-customer"):
        seconds, resident = [], []
        for _ in range(ROUNDS):
            with folder() as place:
                process = Process(program, place / "data")
                with process.child.ending():
                    seconds.append(await process.ready())
                    await asyncio.sleep(1)  # what a start allocates for a moment is given back
                    resident.append(process.resident_bytes() / 1e6)
        rows.append(Row(f"{program}: start to ready", statistics.median(seconds), "s", at_most=1.5))
        rows.append(Row(f"{program}: memory idle", statistics.median(resident), "MB", at_most=150))
    return rows
