"""Part after part of a file, the next one read while the last one is sent."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine

ReadPart = Callable[[int, int], Coroutine[object, None, bytes]]


async def chunks(read: ReadPart, start: int, length: int, size: int) -> AsyncGenerator[bytes]:
    """What `read(start, length)` gives, `size` bytes at a time; ends early with the file.

    At most two chunks are in memory, and no read is under way any more once this ends.
    """
    end = start + length
    part = asyncio.ensure_future(read(start, min(size, length)))
    try:
        while chunk := await part:
            asked = min(size, end - start)
            start += len(chunk)
            if len(chunk) < asked or start == end:
                yield chunk
                return
            part = asyncio.ensure_future(read(start, min(size, end - start)))
            yield chunk
    finally:
        part.cancel()
        await asyncio.gather(part, return_exceptions=True)
