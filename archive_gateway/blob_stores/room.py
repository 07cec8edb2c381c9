"""Keeps a reserve of the disk free: ledgers, locks, restores and deletes live on it."""

import time

from archive_gateway.blob_stores import BlobStore, Space
from archive_gateway.blob_stores.faults import storage_full
from archive_gateway.domain.rules import GIB

_REMEMBERED_SECONDS = 1.0
_OF_LEDGER = GIB // 4  # bytes of the reserve at most, for commits while the disk is full


class Room:
    """How much of a blob store may still be filled."""

    def __init__(self, store: BlobStore, reserve_bytes: int | None = None) -> None:
        """`reserve_bytes` stay free; 5 % of the disk and at least 1 GiB if not given."""
        self._store = store
        self._reserve_bytes = reserve_bytes
        self._space: Space | None = None
        self._until = 0.0
        self._taken = 0

    async def check(self, size: int, *, into_reserve: bool = False) -> None:
        """See that some bytes fit above the reserve, or at least above what the ledger needs of it.

        Raises:
            LimitReached: STORAGE_FULL.
        """
        if not await self._fits(size, into_reserve):
            self._until = 0.0  # there may be more room by now
            if not await self._fits(size, into_reserve):
                raise storage_full()
        self._taken += size

    async def _fits(self, size: int, into_reserve: bool) -> bool:
        left = await self.left()
        if left is None or self._space is None:
            return True
        if into_reserve:  # what a prune writes before it frees
            reserve = self._reserve(self._space)
            left += reserve - min(reserve // 2, _OF_LEDGER)
        return size + self._taken <= left

    async def left(self) -> int | None:
        """Bytes above the reserve, below zero where it is eaten into; None: without bound."""
        if time.monotonic() >= self._until:
            self._space = await self._store.space()
            self._until = time.monotonic() + _REMEMBERED_SECONDS
            self._taken = 0  # since that look
        if self._space is None:
            return None
        return self._space.free_bytes - self._reserve(self._space)

    def _reserve(self, space: Space) -> int:
        if self._reserve_bytes is not None:
            return self._reserve_bytes
        return max(GIB, space.total_bytes // 20)
