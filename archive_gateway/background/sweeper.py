"""Removes the files of blobs that are marked for it, then forgets them."""

from archive_gateway.blob_stores import BlobStore
from archive_gateway.operations import purging
from archive_gateway.tenancy import Tenancy
from service_kit.clock import now
from service_kit.database.engine import Database


class Sweeper:
    """Purges of one server. Marked, unlinked, forgotten: a crash between any two is made good."""

    def __init__(self, database: Database, store: BlobStore, tenancy: Tenancy) -> None:
        self._database = database
        self._store = store
        self._tenancy = tenancy

    async def sweep(self) -> None:
        """Purge all whose time has come."""
        while await self._database.run(purging.mark_due, self._tenancy, now()):
            await self.remove_marked()
        while await self._database.run(purging.mark_lapsed, self._tenancy, now()):
            await self.remove_marked()
        await self.remove_marked()

    async def remove_marked(self) -> None:
        """Remove the files of all blobs that are marked."""
        while marked := await self._database.read(purging.waiting):
            for blob in marked:
                await self._store.remove(str(blob.location))
            await self._database.run(purging.forget, marked)
