"""Work that is not left behind half done."""

import asyncio
from typing import TypeVar

T = TypeVar("T")


async def completed(job: asyncio.Future[T]) -> T:
    """Wait for a job's end even when cancelled.

    A put that went on unseen could make a file after its reservation was cleaned up.
    """
    try:
        return await asyncio.shield(job)
    except asyncio.CancelledError:
        await asyncio.gather(job, return_exceptions=True)
        raise
