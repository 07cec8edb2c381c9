"""Tells followers of the audit trail when to look for new events."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress

# Events of other replicas and of background loops: nobody wakes a follower for them.
POLL_SECONDS = 1.0
# A busy server records thousands of events a second: a follower reads them together.
_GATHER_SECONDS = 0.05


class AuditFeed:
    """Wakes the followers of this process; with nobody following, `wake` costs nothing."""

    def __init__(self) -> None:
        self._following: set[asyncio.Event] = set()

    def wake(self) -> None:
        """Something may have been recorded."""
        for woken in self._following:
            woken.set()

    async def news(self) -> AsyncGenerator[None, None]:
        """Yields at once, and then whenever there may be new events, at least once a second."""
        woken = asyncio.Event()
        self._following.add(woken)
        try:
            while True:
                woken.clear()  # before the follower looks: what comes while it does wakes it again
                yield
                await asyncio.sleep(_GATHER_SECONDS)
                with suppress(TimeoutError):
                    async with asyncio.timeout(POLL_SECONDS):
                        await woken.wait()
        finally:
            self._following.discard(woken)
