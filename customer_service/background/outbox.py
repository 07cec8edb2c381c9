"""Sends changes of seats until the provider has answered each."""

import asyncio
import contextlib
from datetime import timedelta

import structlog

from customer_service.domain.seat import Seat
from customer_service.operations import outbox
from customer_service.operations.peers import Dial
from service_kit.clock import now
from service_kit.database.engine import Database

log = structlog.get_logger()

IN_FLIGHT = 64
LOOK = timedelta(seconds=1)  # changes of other replicas are looked for so often
# A caller of `send_now` waits so long for an answer, or a comparison; the change is sent anyway.
WAIT = timedelta(seconds=10)
COMPARISON_LOOK = timedelta(seconds=0.05)


class Outbox:
    """The sender of one replica."""

    def __init__(self, database: Database, dial: Dial) -> None:
        self._database = database
        self._dial = dial
        self._sending: set[asyncio.Task[bool]] = set()
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Look for changes that are due now."""
        self._woken.set()

    async def run(self) -> None:
        """Send what is due, for ever."""
        while True:
            self._woken.clear()
            room = IN_FLIGHT - len(self._sending)
            if room <= 0:
                await asyncio.wait(self._sending, return_when=asyncio.FIRST_COMPLETED)
                continue
            due = await self._database.run(outbox.claim_due, now(), room)
            for seat in due:
                self._begin(seat)
            if len(due) < room:
                await self._rest()

    async def send_now(self, storage_id: str, device_id: str) -> None:
        """Send one device's change, and wait a while for its outcome to be recorded.

        Shortly after a start or an attach, nothing is sent until both ledgers were compared.
        """
        end = now() + WAIT
        # No event tells of it: another replica may be the one that compares.
        while not await self._send_once(storage_id, device_id) and now() < end:  # noqa: ASYNC110
            await asyncio.sleep(COMPARISON_LOOK.total_seconds())

    async def _send_once(self, storage_id: str, device_id: str) -> bool:
        """Send a change; False: it has to wait until the ledgers were compared."""
        seat = await self._database.run(outbox.claim, storage_id, device_id, now())
        if seat is None:
            return True
        sending = self._begin(seat)
        await asyncio.wait([sending], timeout=WAIT.total_seconds())
        return not sending.done() or sending.result()

    async def close(self) -> None:
        """Stop sending; what is under way is sent again by the next start."""
        for task in self._sending:
            task.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)

    def _begin(self, seat: Seat) -> asyncio.Task[bool]:
        task = asyncio.create_task(outbox.send(self._database, self._dial, seat))
        self._sending.add(task)
        task.add_done_callback(self._sent)
        return task

    def _sent(self, task: asyncio.Task[bool]) -> None:
        self._sending.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("outbox.failed", exc_info=error)  # it is sent again when its lease ends

    async def _rest(self) -> None:
        """Wait until a change may be due: woken, or the time to look has come."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK.total_seconds()):
                await self._woken.wait()
