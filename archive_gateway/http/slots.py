"""How many uploads run at once: others wait for their turn, so that no device starves another."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from archive_gateway.domain.names import ArchiveId

OF_DEVICE = 8  # restic uses 5 connections, unless told otherwise
OF_ACCOUNT = 32


class Slots:
    """Turns of devices and of accounts."""

    def __init__(self) -> None:
        self._turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    @asynccontextmanager
    async def turn(self, archive: ArchiveId) -> AsyncIterator[None]:
        """Wait for a turn of the device, then for one of its account."""
        device = self._of(f"{archive.account_id}/{archive.device_guid}", OF_DEVICE)
        account = self._of(archive.account_id, OF_ACCOUNT)
        async with device, account:
            yield

    def _of(self, key: str, most: int) -> asyncio.Semaphore:
        """Kept as long as somebody holds or awaits it."""
        found = self._turns.get(key)
        if found is None:
            found = self._turns[key] = asyncio.Semaphore(most)
        return found
