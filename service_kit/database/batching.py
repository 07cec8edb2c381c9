"""Group commit: requests that arrive while a commit is under way share the next one."""

import asyncio
import contextvars
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Generic, TypeVar

import structlog

from service_kit.database.engine import Database, Transaction
from service_kit.errors import OffsiteError, Unavailable
from service_kit.reasons import Reason

log = structlog.get_logger(__name__)

# As long as a commit takes on a slow disk: a request that waits this long loses little.
GATHER_SECONDS = 0.005

Request = TypeVar("Request")
Outcome = TypeVar("Outcome")


class Batcher(Generic[Request, Outcome]):
    """Applies requests in the order of their arrival, many to a transaction.

    `apply` answers an outcome or a refusal for each request, in their order. It runs in a neutral
    context, as a batch belongs to no single caller: what it needs to know of one (the actor) is in
    the request. A request whose caller gave up is applied all the same.
    """

    def __init__(
        self,
        database: Database,
        apply: Callable[[Transaction, Sequence[Request]], Sequence[Outcome | OffsiteError]],
        *,
        max_batch: int = 256,
    ) -> None:
        self._database = database
        self._apply = apply
        self._max_batch = max_batch
        self._waiting: deque[tuple[Request, asyncio.Future[Outcome]]] = deque()
        self._commits: asyncio.Task[None] | None = None
        self._expected = 1
        self._gathered = asyncio.Event()

    async def submit(self, request: Request) -> Outcome:
        """Apply a request; returns when it is durable.

        Raises:
            OffsiteError: the refusal that `apply` answered for it.
            Unavailable: its batch failed as a whole; the outcome is unclear.
        """
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append((request, future))
        if len(self._waiting) >= self._expected:
            self._gathered.set()
        if self._commits is None:
            context = contextvars.Context()
            self._commits = asyncio.get_running_loop().create_task(
                self._commit_all(), context=context
            )
        return await future

    async def drain(self) -> None:
        """Wait until all that was submitted is answered."""
        while self._commits is not None:
            await asyncio.wait([self._commits])

    async def _commit_all(self) -> None:
        try:
            while self._waiting:
                await self._commit_one()
        finally:
            self._commits = None

    async def _gather(self) -> None:
        """Let the callers of the last batch come back, a moment long, so that they share this one.

        Without it a few early ones would start a commit of their own, and batches stay small.
        One caller alone never waits: then one request is all that is expected.
        """
        if len(self._waiting) >= self._expected:
            return
        self._gathered.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(GATHER_SECONDS):
                await self._gathered.wait()

    async def _commit_one(self) -> None:
        await self._gather()
        taken = min(len(self._waiting), self._max_batch)
        batch = [self._waiting.popleft() for _ in range(taken)]
        try:
            outcomes = await self._database.run(self._answers, [request for request, _ in batch])
        except Exception as error:
            log.exception("batch_failed", requests=len(batch))
            _fail(batch, error)
            return
        self._expected = min(taken + len(self._waiting), self._max_batch)
        for (_, future), outcome in zip(batch, outcomes, strict=True):
            _settle(future, outcome)

    def _answers(
        self, tx: Transaction, requests: Sequence[Request]
    ) -> Sequence[Outcome | OffsiteError]:
        outcomes = self._apply(tx, requests)
        if len(outcomes) != len(requests):  # nothing may be committed that isn't answered
            raise AssertionError(f"{len(outcomes)} outcomes for {len(requests)} requests")
        return outcomes


def _settle(future: asyncio.Future[Outcome], outcome: Outcome | OffsiteError) -> None:
    if future.done():  # its caller gave up
        return
    if isinstance(outcome, OffsiteError):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)


def _fail(batch: Sequence[tuple[Request, asyncio.Future[Outcome]]], error: Exception) -> None:
    for _, future in batch:
        failure = Unavailable(
            Reason.UNAVAILABLE, "The change could not be saved.", "Try again in a moment."
        )
        failure.__cause__ = error
        _settle(future, failure)
