"""Keeps a reserve of the disk free: ledgers, locks, restores and deletes live on it."""

import time

from archive_gateway.blob_stores import BlobStore, Space
from archive_gateway.blob_stores.faults import storage_full
from archive_gateway.domain.rules import GIB

_REMEMBERED_SECONDS = 1.0


class Room:
    """How much of a blob store may still be filled."""

    def __init__(self, store: BlobStore, reserve_bytes: int | None = None) -> None:
        """`reserve_bytes` stay free; 5 % of the disk and at least 1 GiB if not given."""
        self._store = store
        self._reserve_bytes = reserve_bytes
        self._space: Space | None = None
        self._until = 0.0

    async def check(self, size: int) -> None:
        """See that some bytes fit without the reserve.

        Raises:
            LimitReached: STORAGE_FULL.
        """
        left = await self.left()
        if left is not None and size > left:
            raise storage_full()

    async def left(self) -> int | None:
        """Bytes above the reserve, below zero where it is eaten into; None: without bound."""
        if time.monotonic() >= self._until:
            self._space = await self._store.space()
            self._until = time.monotonic() + _REMEMBERED_SECONDS
        if self._space is None:
            return None
        return self._space.free_bytes - self._reserve(self._space)

    def _reserve(self, space: Space) -> int:
        if self._reserve_bytes is not None:
            return self._reserve_bytes
        return max(GIB, space.total_bytes // 20)
