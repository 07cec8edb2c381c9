"""Looks blobs up in the ledger, and remembers for a moment what it found."""

import time

from archive_gateway.http.paths import Target
from archive_gateway.store import blobs
from archive_gateway.store.blobs import Blob
from service_kit.database.engine import Database

_REMEMBERED_SECONDS = 0.5


class Finder:
    """Where blobs are; a restore asks for one pack again and again.

    All that is remembered is forgotten with the next change of the ledger by this process, so what
    it deletes is gone at once; and after half a second, as other replicas change it too.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._found: dict[Target, Blob] = {}
        self._version = database.version
        self._until = 0.0

    async def find(self, target: Target) -> Blob | None:
        """A blob, or None; as the ledger said at most half a second ago."""
        found = self._remembered()
        blob = found.get(target)
        if blob is None:
            blob = await self.find_now(target)
            # If a change came meanwhile, these are not the ones remembered any more.
            if blob is not None:
                found[target] = blob
        return blob

    async def find_now(self, target: Target) -> Blob | None:
        """The same, as the ledger says now."""
        return await self._database.read(blobs.find_live, target.archive, target.type, target.name)

    def _remembered(self) -> dict[Target, Blob]:
        version, moment = self._database.version, time.monotonic()
        if version is not self._version or moment >= self._until:
            self._found = {}
            self._version, self._until = version, moment + _REMEMBERED_SECONDS
        return self._found
