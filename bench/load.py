"""Load on a server, and what it carries."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any

IN_FLIGHT = 64
SECONDS = 60  # that a round may take


async def rate(call: Callable[[Any], Awaitable[Any]], requests: Iterable[Any]) -> float:
    """Calls a second, with 64 in flight."""
    waiting: Iterator[Any] = iter(requests)
    count = 0

    async def one_after_another() -> None:
        nonlocal count
        for request in waiting:
            await call(request)
            count += 1

    begin = time.perf_counter()
    async with asyncio.timeout(SECONDS):
        await asyncio.gather(*(one_after_another() for _ in range(IN_FLIGHT)))
    return count / (time.perf_counter() - begin)
