"""Run every benchmark, or those named, and print one table."""

import asyncio
import sys
from collections.abc import Awaitable, Callable

from bench import archive, archive_restic, commands, seats, starting
from bench.table import Row, show

BENCHMARKS: dict[str, Callable[[], Awaitable[list[Row]]]] = {
    "acquire-sqlite": seats.on_sqlite,
    "acquire-postgresql": seats.on_postgresql,
    "acquire-million": seats.with_a_million,
    "reconcile": seats.reconcile,
    "replicas": seats.two_replicas,
    "attach": commands.attach,
    "start": starting.start,
    "archive-restic": archive_restic.restic,
    "archive-packs": archive.packs,
    "archive-small": archive.small,
    "archive-list": archive.lists,
    "archive-memory": archive.memory,
    "archive-million": archive.ledger,
}


async def main(names: list[str]) -> int:
    """Run benchmarks one after another; 1 if a target is missed."""
    rows = [row for name in names or BENCHMARKS for row in await BENCHMARKS[name]()]
    show(rows)
    return 0 if all(row.reached for row in rows) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
