"""Keeps every attachment going: attach, session, contact, comparison of ledgers, resync, detach."""

import asyncio
import contextlib
from collections.abc import Coroutine
from datetime import datetime, timedelta

import structlog

from customer_service.domain.seat import retry_delay
from customer_service.domain.storage import CONNECTED, SERVING, Storage, StorageState
from customer_service.operations import attach, contacts, detach, reconcile, sessions
from customer_service.operations.peers import Dial
from customer_service.store import storages
from service_kit.clock import now
from service_kit.database.engine import Database
from service_kit.errors import OffsiteError
from service_kit.identity.identity import Identity

log = structlog.get_logger()

LOOK = timedelta(seconds=1)
CONTACT = timedelta(seconds=60)
RECONCILE = timedelta(hours=1)
LEASE = timedelta(seconds=60)  # longer than an attach with its list of seats takes


class Upkeep:
    """One replica's care of the attachments."""

    def __init__(self, database: Database, dial: Dial, identity: Identity) -> None:
        self._database = database
        self._dial = dial
        self._identity = identity
        self._in_session: set[str] = set()
        self._next: dict[str, datetime] = {}
        self._failures: dict[str, int] = {}
        self._tasks: dict[asyncio.Task[None], str] = {}
        self._wakes = 0
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Look after every attachment now."""
        self._next.clear()
        self._wakes += 1
        self._woken.set()

    async def run(self) -> None:
        """Look after what is due, for ever."""
        await self._database.run(sessions.begin_process)
        try:
            while True:
                self._woken.clear()
                await self._begin_what_is_due()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK.total_seconds()):
                        await self._woken.wait()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _begin_what_is_due(self) -> None:
        """Look after each in a task of its own: none waits for a provider that does not answer."""
        for storage in await self._database.run(storages.claim_due, now(), LEASE):
            self._begin(storage.id, self._attach_or_detach(storage))
        for storage in await self._database.read(storages.connected):
            if self._is_due(storage.id):
                self._begin(storage.id, self._look_after(storage))

    def _begin(self, storage_id: str, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks[task] = storage_id
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        storage_id = self._tasks.pop(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("storage.failed", storage=storage_id, exc_info=error)
            self._next[storage_id] = now() + CONTACT

    async def _attach_or_detach(self, storage: Storage) -> None:
        try:
            if storage.state is StorageState.ATTACHING:
                await attach.complete(self._database, self._dial, self._identity, storage.id)
            else:
                await detach.complete(self._database, self._dial, storage.id)
        except OffsiteError as error:
            log.warning("storage.refused", storage=storage.name, reason=error.reason)

    async def _look_after(self, storage: Storage) -> None:
        """Contact a provider, and do what the attachment needs next."""
        wakes, delay = self._wakes, CONTACT
        try:
            await self._go_on(storage)
            self._failures.pop(storage.id, None)
        except OffsiteError as error:
            failures = self._failures.get(storage.id, 0)
            self._failures[storage.id] = failures + 1
            delay = retry_delay(failures, 1.0)
            log.warning(
                "storage.unsettled", storage=storage.name, reason=error.reason, why=error.message
            )
        if wakes == self._wakes:
            self._next[storage.id] = now() + delay
        else:  # somebody has asked meanwhile to look now
            self._woken.set()

    def _is_due(self, storage_id: str) -> bool:
        moment = now()
        busy = storage_id in self._tasks.values()
        return not busy and self._next.get(storage_id, moment) <= moment

    async def _go_on(self, storage: Storage) -> None:
        provider = await self._dial(storage)
        storage = await contacts.contact(self._database, provider, storage)
        if storage.state is StorageState.REWOUND:
            self._in_session.discard(storage.id)
            storage = await contacts.resync(self._database, provider, storage)
            self._in_session.add(storage.id)
        if storage.state in SERVING and storage.id not in self._in_session:
            storage = await sessions.start(self._database, provider, storage.id)
            self._in_session.add(storage.id)
        if storage.state in SERVING and _comparison_due(storage):
            await reconcile.reconcile(self._database, provider, storage)
        if storage.state in CONNECTED:
            await contacts.ask_usage(self._database, provider, storage)


def _comparison_due(storage: Storage) -> bool:
    seen = storage.reconcile_time
    return not storage.compared or seen is None or seen < now() - RECONCILE
