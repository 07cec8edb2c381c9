"""Group commit."""

import asyncio
import threading
from collections.abc import Sequence

import pytest
from sqlalchemy import insert, select

from service_kit.database.batching import Batcher
from service_kit.database.engine import Database, Transaction
from service_kit.database.tables import server_state
from service_kit.errors import Conflict, OffsiteError, Unavailable
from service_kit.ledger.actor import actor
from service_kit.reasons import Reason


class Recorder:
    """Stores keys; notes each batch; can hold the first one back until told to go on."""

    def __init__(self, *, held: bool = False) -> None:
        self.batches: list[list[str]] = []
        self.actors: list[str] = []
        self.began = threading.Event()
        self.go_on = threading.Event()
        if not held:
            self.go_on.set()

    def apply(self, tx: Transaction, requests: Sequence[str]) -> Sequence[str | OffsiteError]:
        self.batches.append(list(requests))
        self.actors.append(actor.get())
        self.began.set()
        assert self.go_on.wait(10)
        if "broken" in requests:
            raise RuntimeError("broken")
        accepted = [each for each in requests if each != "refused"]
        tx.execute(insert(server_state), [{"key": each, "value": ""} for each in accepted])
        refusal = Conflict(Reason.WRONG_STATE, "refused")
        return [refusal if each == "refused" else each for each in requests]


def keys(tx: Transaction) -> list[str]:
    return list(tx.execute(select(server_state.c.key).order_by(server_state.c.key)).scalars())


async def submit_behind(
    batcher: Batcher[str, str], recorder: Recorder, requests: Sequence[str]
) -> list[str | BaseException]:
    """Submit while a first commit, of `first`, is under way; then let all go on."""
    first = asyncio.create_task(batcher.submit("first"))
    await asyncio.to_thread(recorder.began.wait, 10)
    others = [asyncio.create_task(batcher.submit(each)) for each in requests]
    await asyncio.sleep(0)
    recorder.go_on.set()
    await first
    return await asyncio.gather(*others, return_exceptions=True)


async def test_a_lone_request_is_a_batch_of_its_own(database: Database) -> None:
    recorder = Recorder()
    assert await Batcher(database, recorder.apply).submit("a") == "a"
    assert recorder.batches == [["a"]]
    assert await database.read(keys) == ["a"]


async def test_requests_during_a_commit_share_the_next_one(database: Database) -> None:
    recorder = Recorder(held=True)
    requests = [f"{number:02}" for number in range(64)]
    outcomes = await submit_behind(Batcher(database, recorder.apply), recorder, requests)
    assert outcomes == requests
    assert recorder.batches == [["first"], requests]


async def test_a_batch_is_bounded_and_order_is_kept(database: Database) -> None:
    recorder = Recorder(held=True)
    batcher = Batcher(database, recorder.apply, max_batch=2)
    await submit_behind(batcher, recorder, ["1", "2", "3"])
    assert recorder.batches == [["first"], ["1", "2"], ["3"]]


async def test_each_request_has_its_own_outcome(database: Database) -> None:
    recorder = Recorder(held=True)
    batcher = Batcher(database, recorder.apply)
    accepted, refused = await submit_behind(batcher, recorder, ["1", "refused"])
    assert accepted == "1"
    assert isinstance(refused, Conflict)
    assert await database.read(keys) == ["1", "first"]


async def test_a_batch_that_fails_as_a_whole_is_unavailable_to_each(database: Database) -> None:
    recorder = Recorder(held=True)
    batcher = Batcher(database, recorder.apply)
    outcomes = await submit_behind(batcher, recorder, ["1", "broken"])
    assert [type(each) for each in outcomes] == [Unavailable, Unavailable]
    assert await batcher.submit("2") == "2"
    assert await database.read(keys) == ["2", "first"]


async def test_an_answer_too_few_commits_nothing(database: Database) -> None:
    def apply(tx: Transaction, requests: Sequence[str]) -> Sequence[str | OffsiteError]:
        tx.execute(insert(server_state).values(key="a", value=""))
        return []

    batcher: Batcher[str, str] = Batcher(database, apply)
    with pytest.raises(Unavailable):
        await batcher.submit("a")
    assert await database.read(keys) == []


async def test_a_request_whose_caller_gave_up_is_applied(database: Database) -> None:
    recorder = Recorder(held=True)
    batcher = Batcher(database, recorder.apply)
    caller = asyncio.create_task(batcher.submit("a"))
    await asyncio.to_thread(recorder.began.wait, 10)
    caller.cancel()
    recorder.go_on.set()
    await batcher.drain()
    assert await database.read(keys) == ["a"]


async def test_drain_waits_for_all_that_was_submitted(database: Database) -> None:
    recorder = Recorder()
    batcher = Batcher(database, recorder.apply, max_batch=1)
    tasks = [asyncio.create_task(batcher.submit(each)) for each in ("a", "b", "c")]
    await asyncio.sleep(0)
    await batcher.drain()
    assert await database.read(keys) == ["a", "b", "c"]
    await asyncio.gather(*tasks)


async def test_a_batch_does_not_act_as_its_first_caller(database: Database) -> None:
    recorder = Recorder()
    actor.set("token:somebody")
    await Batcher(database, recorder.apply).submit("a")
    assert recorder.actors == ["server"]
