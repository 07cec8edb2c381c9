"""kill -9 at any moment, and every blob that was acknowledged is there, byte for byte."""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest
from sqlalchemy import update

from archive_gateway.blob_stores.disk import DiskStore
from archive_gateway.store.tables import reservations
from service_kit.clock import now
from service_kit.database.engine import Database
from tests.support.archive_process import ArchiveProcess
from tests.support.at_rest import AtRest, look
from tests.support.repository import Repository, content, id_of
from tests.support.waiting import eventually

ROUNDS_OF_KILLS = 4  # of those that whole servers have, one here
LONGEST_LIFE = 0.8  # seconds of load before a kill
CLIENTS = 3  # of each device
DELAYS = (timedelta(0), timedelta(days=30))


@dataclass
class Client:
    """One of a device's connections, and what it was told of its blobs.

    `there` holds whether a blob is; a path that is not in it is one of which nobody knows.
    """

    device: str
    bodies: dict[str, bytes] = field(default_factory=dict)
    there: dict[str, bool] = field(default_factory=dict)


@dataclass
class World:
    """A server that is killed, with a load of clients that save and delete."""

    process: ArchiveProcess
    chance: random.Random
    clients: list[Client]
    numbers: "itertools.count[int]" = field(default_factory=itertools.count)
    acknowledged: int = 0

    async def load(self, client: Client) -> None:
        """Save and delete until the server is gone."""
        async with self.process.client(client.device) as session:
            while True:
                path, method = self._next(client)
                client.there.pop(path, None)
                body = client.bodies[path] if method == "POST" else None
                answer = await Repository(session).ask(method, path, data=body)
                assert answer.status == 200, answer
                client.there[path] = method == "POST"
                self.acknowledged += 1

    def _next(self, client: Client) -> tuple[str, str]:
        """A blob that is new, or one that there is or was."""
        if client.bodies and self.chance.random() < 0.6:
            return self.chance.choice(list(client.bodies)), self.chance.choice(["POST", "DELETE"])
        body = content(next(self.numbers), self.chance.choice([100, 5_000, 60_000]))
        path = f"{self.chance.choice(['data', 'index', 'locks'])}/{id_of(body)}"
        client.bodies[path] = body
        return path, "POST"

    async def check(self, client: Client) -> None:
        """What was acknowledged is as it was told; of the rest it is all or nothing."""
        async with self.process.client(client.device) as session:
            for path, body in client.bodies.items():
                answer = await Repository(session).get(path)
                assert answer.status in (200, 404), answer
                assert answer.status == 404 or answer.body == body, path
                found = client.there.setdefault(path, answer.status == 200)
                assert found == (answer.status == 200), f"{path}: {answer.status}"


@pytest.mark.timeout(0)
async def test_nothing_acknowledged_is_lost_when_the_server_is_killed(
    tmp_path: Path, kill_rounds: int
) -> None:
    seed = random.randrange(10**9)
    async with _world(tmp_path, random.Random(seed)) as world:
        for number in range(max(kill_rounds // ROUNDS_OF_KILLS, 1)):
            try:
                await _round(world)
                await asyncio.gather(*map(world.check, world.clients))
            except AssertionError as error:
                error.add_note(f"in round {number} of seed {seed}")
                raise
        assert world.acknowledged > 100  # there was a load


async def _round(world: World) -> None:
    """Load, a kill, and the restart, which brings ledger and files to agree."""
    load = [asyncio.ensure_future(world.load(each)) for each in world.clients]
    life = world.chance.uniform(0.1, LONGEST_LIFE)
    await asyncio.wait(load, timeout=life, return_when=asyncio.FIRST_EXCEPTION)
    await world.process.kill()
    for outcome in await asyncio.gather(*load, return_exceptions=True):
        assert isinstance(outcome, aiohttp.ClientError), outcome
    await _let_promises_end(world.process)
    await world.process.start(world.chance.choice(DELAYS))
    await _agreed(world.process)


async def _let_promises_end(process: ArchiveProcess) -> None:
    """Let the ten minutes pass that an unfinished upload keeps its bytes."""
    database = Database(process.database_url)
    begin = now().replace(year=2000)
    await database.run(lambda tx: tx.execute(update(reservations).values(expire_time=begin)))
    database.dispose()


async def _agreed(process: ArchiveProcess) -> None:
    """Wait until recovery ran: no promise, no stray, no missing file; counts are sums of both."""
    database = Database(process.database_url, read_only=True)
    store = DiskStore(process.archive)

    async def present() -> AtRest:
        return await look(database, store)

    try:
        (await eventually(present, lambda each: each.settled)).check()
    finally:
        await store.close()
        database.dispose()


@asynccontextmanager
async def _world(folder: Path, chance: random.Random) -> AsyncIterator[World]:
    process = ArchiveProcess(folder)
    try:
        await process.start()
        clients = [Client(device) for device in process.devices for _ in range(CLIENTS)]
        yield World(process, chance, clients)
    finally:
        await process.kill()
