"""Background loops, supervised: one that crashes is logged and started again."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import NoReturn

import structlog

log = structlog.get_logger()

FIRST_PAUSE = timedelta(seconds=1)
LONGEST_PAUSE = timedelta(seconds=60)


@dataclass(frozen=True)
class Loop:
    """Background work that runs until it is cancelled."""

    name: str
    run: Callable[[], Awaitable[None]]


def periodic(
    name: str,
    interval: timedelta,
    step: Callable[[], Awaitable[object]],
    wake: asyncio.Event | None = None,
) -> Loop:
    """A loop that takes a step at once, then every `interval`, or sooner when `wake` is set."""

    async def run() -> None:
        event = wake or asyncio.Event()
        while True:
            event.clear()  # before the step: what is asked for during it gets another
            await step()
            with suppress(TimeoutError):
                # Not wait_for: Python 3.11 may swallow a cancellation there (bpo-37658).
                async with asyncio.timeout(interval.total_seconds()):
                    await event.wait()

    return Loop(name, run)


class Loops:
    """The running loops of a server."""

    def __init__(self, loops: Sequence[Loop], first_pause: timedelta = FIRST_PAUSE) -> None:
        self.loops = tuple(loops)
        self.first_pause = first_pause
        self._tasks: list[asyncio.Task[NoReturn]] = []

    def start(self) -> None:
        """Start every loop."""
        self._tasks = [asyncio.create_task(self._keep(each), name=each.name) for each in self.loops]

    async def stop(self) -> None:
        """Cancel every loop and wait until it has ended."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _keep(self, loop: Loop) -> NoReturn:
        """Run a loop again whenever it ends; the pause doubles while it keeps crashing."""
        clock = asyncio.get_running_loop().time
        pause = self.first_pause
        while True:
            started = clock()
            try:
                await loop.run()
                log.error("loop.ended", loop=loop.name, again_in=pause.total_seconds())
            except Exception:
                log.exception("loop.crashed", loop=loop.name, again_in=pause.total_seconds())
            if clock() - started > LONGEST_PAUSE.total_seconds():
                pause = self.first_pause
            await asyncio.sleep(pause.total_seconds())
            pause = min(pause * 2, LONGEST_PAUSE)
