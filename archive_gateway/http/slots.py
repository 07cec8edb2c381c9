"""How many requests of a kind run at once: others wait, so that no device starves another."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from archive_gateway.domain.names import ArchiveId


class Slots:
    """Turns of devices and of accounts."""

    def __init__(self, of_device: int, of_account: int) -> None:
        self._of_device = of_device
        self._of_account = of_account
        self._turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    @asynccontextmanager
    async def turn(self, archive: ArchiveId) -> AsyncIterator[None]:
        """Wait for a turn of the device, then for one of its account."""
        device = self._of(f"{archive.account_id}/{archive.device_guid}", self._of_device)
        account = self._of(archive.account_id, self._of_account)
        async with device, account:
            yield

    def _of(self, key: str, most: int) -> asyncio.Semaphore:
        """Kept as long as somebody holds or awaits it."""
        found = self._turns.get(key)
        if found is None:
            found = self._turns[key] = asyncio.Semaphore(most)
        return found
