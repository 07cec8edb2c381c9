"""Removes the files of blobs that are marked for it, then forgets them."""

import structlog

from archive_gateway.blob_stores import BlobStore
from archive_gateway.operations import purging
from archive_gateway.store.blobs import Blob
from archive_gateway.tenancy import Tenancy
from service_kit.clock import now
from service_kit.database.engine import Database
from service_kit.errors import OffsiteError

log = structlog.get_logger()


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
        """Remove the files of all blobs that are marked; what can't be removed is tried later."""
        nonce = ""
        while marked := await self._database.read(purging.waiting, nonce):
            gone = [each for each in marked if await self._is_removed(each)]
            await self._database.run(purging.forget, gone)
            nonce = marked[-1].location.nonce
            if not gone:  # the medium is gone: the next step tries again
                return

    async def _is_removed(self, blob: Blob) -> bool:
        try:
            await self._store.remove(str(blob.location))
        except OffsiteError as error:
            log.error("archive.not_removed", location=str(blob.location), message=error.message)
            return False
        return True
