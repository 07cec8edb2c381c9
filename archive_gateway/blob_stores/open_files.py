"""Files being read: kept open for a moment, and read without a thread where memory has them."""

import asyncio
import os

_KEPT_SECONDS = 0.5
_MOST_KEPT = 200


class OpenFile:
    """A file that is open for reading; it is closed when nobody has it any more."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __del__(self) -> None:
        os.close(self._descriptor)

    def at_once(self, start: int, length: int) -> bytes | None:
        """A part of it, if the kernel has all of that in memory; blocks for no disk.

        Reads of what is in memory are worth it: a thread costs more than all the rest of a request.
        """
        part = bytearray(length)
        try:
            count = os.preadv(self._descriptor, [part], start, os.RWF_NOWAIT)
        except OSError:  # it would block, or this file system can't tell
            return None
        return bytes(part) if count == length else None

    def read(self, start: int, length: int) -> bytes:
        """A part of it, shorter at its end; blocks while the disk is at work."""
        return os.pread(self._descriptor, length, start)


class OpenFiles:
    """Files that were opened a moment ago, by location: a restore reads a pack part by part."""

    def __init__(self) -> None:
        self._files: dict[str, OpenFile] = {}

    def get(self, location: str) -> OpenFile | None:
        """The file of a location, if it is still open."""
        return self._files.get(location)

    def keep(self, location: str, file: OpenFile) -> None:
        """Keep a file open for a moment."""
        if len(self._files) >= _MOST_KEPT:
            self._files.clear()
        if not self._files:
            asyncio.get_running_loop().call_later(_KEPT_SECONDS, self.drop_all)
        self._files[location] = file

    def drop(self, location: str) -> None:
        """Keep a file open no longer."""
        self._files.pop(location, None)

    def drop_all(self) -> None:
        """Keep none open."""
        self._files.clear()
