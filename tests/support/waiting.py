"""Wait for what another task or process does, where it offers no event to wait for."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

LOOK = 0.02  # seconds
LONGEST = 30.0  # seconds


async def eventually(
    look: Callable[[], Awaitable[T]],
    good: Callable[[T], object] = bool,
    *,
    every: float = LOOK,
    within: float = LONGEST,
) -> T:
    """What `look` finds, once it is good; AssertionError with the last finding if it never is."""
    end = asyncio.get_running_loop().time() + within
    while not good(found := await look()):
        assert asyncio.get_running_loop().time() < end, f"still {found}"
        await asyncio.sleep(every)
    return found
