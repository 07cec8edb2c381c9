"""What an archive needs now and then: recovery, purges, warnings, a look at the disk."""

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import timedelta

import structlog

from archive_gateway.background.sweeper import Sweeper
from archive_gateway.blob_stores import BlobStore
from archive_gateway.blob_stores.room import Room
from archive_gateway.inspection import strays
from archive_gateway.operations import recovery, warn
from archive_gateway.tenancy import Tenancy
from service_kit.clock import now
from service_kit.database.engine import Database, Transaction
from service_kit.database.paging import PageRequest
from service_kit.ledger import audit

log = structlog.get_logger()

EVERY = timedelta(minutes=1)
RECOUNT_EVERY = timedelta(minutes=10)
LOOK_FOR_STRAYS_EVERY = timedelta(days=1)


class Upkeep:
    """The steps of the loops; each may be taken at any time, by any number of replicas."""

    def __init__(
        self, database: Database, store: BlobStore, tenancy: Tenancy, room: Room, sweeper: Sweeper
    ) -> None:
        self._database = database
        self._store = store
        self._tenancy = tenancy
        self._room = room
        self._sweeper = sweeper
        self._nearly_full = False
        self.stray_files = 0

    async def step(self) -> None:
        """Give back what crashed uploads held, purge what is due, warn."""
        await self._recover()
        await self._sweeper.sweep()
        await self._look_at_disk()
        await self._warn()

    async def recount(self) -> None:
        """Compare counts with sums; they can't differ, and if they do, the sums are right."""
        for account_id in await self._database.read(recovery.drifted):
            log.error("archive.drifted", account_id=account_id)
            await self._database.run(recovery.recount, account_id, now())

    async def look_for_strays(self) -> None:
        """Count files that the ledger does not know, and tell of them."""
        self.stray_files = await strays.count(self._database, self._store)
        if self.stray_files:
            detail = f"{self.stray_files} files that the ledger does not know: archive rebuild."
            log.error("archive.stray_files", files=self.stray_files)
            await self._database.run(_record, "archive.stray_files", detail)

    async def _recover(self) -> None:
        while nonces := await self._database.run(recovery.return_expired, now()):
            await asyncio.to_thread(self._empty_spool, nonces)

    def _empty_spool(self, nonces: Sequence[str]) -> None:
        for each in nonces:
            with contextlib.suppress(OSError):  # it is looked through again at the next start
                (self._store.spool / each).unlink(missing_ok=True)

    async def _look_at_disk(self) -> None:
        left = await self._room.left()
        nearly_full = left is not None and left <= 0
        if nearly_full and not self._nearly_full:
            log.error("archive.storage_full")
            detail = "The disk is full up to its reserve: new data is refused."
            await self._database.run(_record, "archive.storage_full", detail)
        self._nearly_full = nearly_full

    async def _warn(self) -> None:
        token = ""
        while True:
            page = await self._database.read(
                warn.to_look_at, self._tenancy, PageRequest(1000, token)
            )
            for account_id in page.items:
                for each in await self._database.run(warn.warn, self._tenancy, account_id, now()):
                    log.warning("usage.warning", account_id=account_id, message=each.message)
            token = page.next_page_token
            if not token:
                return


def _record(tx: Transaction, kind: str, detail: str) -> None:
    audit.record(tx, kind, detail=detail, actor="server", now=now())
