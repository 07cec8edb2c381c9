"""kill -9 at any moment, and nothing that was acknowledged is lost."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import grpc
import grpc.aio
import pytest
from offsite.customer.v1 import device_service_pb2 as device_pb

from service_kit.database.engine import Database
from service_kit.server.process import Server
from tests.support.killable import KillableServer
from tests.support.ledgers import Ledgers, read_ledgers
from tests.support.pair import Pair
from tests.support.waiting import eventually

DEVICES = 12
SEATS = 9  # fewer than devices, so that some are refused
LONGEST_LIFE = 0.6  # seconds of load before a kill


@dataclass
class Wish:
    """What was last asked for a device, and whether it was acknowledged."""

    asked: str = "stop"
    acknowledged: bool = True
    state: int = 0


@dataclass
class World:
    """Both servers as processes, with a load of devices that come and go."""

    provider: KillableServer
    customer: KillableServer
    pair: Pair
    devices: list[device_pb.Device] = field(default_factory=list)
    wishes: dict[str, Wish] = field(default_factory=dict)
    acknowledged: int = 0

    def read(self) -> Ledgers:
        theirs = Database(self.provider.database_url, read_only=True)
        ours = Database(self.customer.database_url, read_only=True)
        try:
            return read_ledgers(theirs, self.pair.organization_id, ours, self.pair.storage_id)
        finally:
            theirs.dispose()
            ours.dispose()

    async def load(self, device: device_pb.Device, chance: random.Random) -> None:
        """Use and stop a storage in turns, until the server is gone."""
        wish = self.wishes[device.id]
        while True:
            wish.acknowledged = False
            wish.asked = chance.choice(["use", "stop"])
            call: Any = self.pair.use if wish.asked == "use" else self.pair.stop
            answer = await call(device)
            wish.acknowledged = True
            self.acknowledged += 1
            if wish.asked == "use":
                wish.state = answer.destination.state

    async def settled(self) -> Ledgers:
        """Both ledgers, once nothing is under way."""

        async def read() -> Ledgers:
            return await asyncio.to_thread(self.read)

        def good(ledgers: Ledgers) -> bool:
            customer = ledgers.customer
            return not customer.waiting and customer.compared and customer.state == "attached"

        return await eventually(read, good, every=0.1, within=60)

    def check_nothing_lost(self, ledgers: Ledgers) -> None:
        """What a caller was told has stayed, unless more was asked since."""
        for device_id, wish in self.wishes.items():
            state = ledgers.customer.states.get(device_id, "none")
            if wish.acknowledged and wish.asked == "use":
                assert state in ("held", "refused"), f"use of {device_id} lost: {state}"
                if wish.state == Pair.HELD:
                    assert device_id in ledgers.provider.live, f"the seat of {device_id} is lost"
            if wish.acknowledged and wish.asked == "stop":
                assert state == "none", f"stop of {device_id} lost: {state}"
                assert device_id not in ledgers.provider.live


@pytest.mark.timeout(0)
async def test_nothing_acknowledged_is_lost_when_servers_are_killed(
    tmp_path: Path, kill_rounds: int
) -> None:
    seed = random.randrange(10**9)
    chance = random.Random(seed)
    async with _world(tmp_path) as world:
        for number in range(kill_rounds):
            await _round(world, chance)
            ledgers = await world.settled()
            try:
                ledgers.check_always()
                ledgers.check_settled()
                assert ledgers.equal
                world.check_nothing_lost(ledgers)
            except AssertionError as error:
                error.add_note(f"in round {number} of seed {seed}: {ledgers}")
                raise
        assert world.acknowledged > kill_rounds  # there was a load


async def _round(world: World, chance: random.Random) -> None:
    """Load, a kill of either server or both, and the restart."""
    victims = chance.choice([[world.provider], [world.customer], [world.provider, world.customer]])
    load = [asyncio.ensure_future(world.load(each, chance)) for each in world.devices]
    await asyncio.wait(
        load, timeout=chance.uniform(0, LONGEST_LIFE), return_when=asyncio.FIRST_EXCEPTION
    )
    for victim in victims:
        await victim.kill()
    for each in load:
        each.cancel()
    for outcome in await asyncio.gather(*load, return_exceptions=True):
        if not isinstance(outcome, asyncio.CancelledError):
            assert isinstance(outcome, grpc.aio.AioRpcError), outcome
            assert outcome.code() is grpc.StatusCode.UNAVAILABLE, outcome
    async with asyncio.TaskGroup() as starting:
        for victim in victims:
            starting.create_task(victim.start())


@asynccontextmanager
async def _world(folder: Path) -> AsyncIterator[World]:
    provider = KillableServer("provider_service", folder / "provider")
    customer = KillableServer("customer_service", folder / "customer")
    try:
        await provider.start()
        await customer.start()
        async with provider.channel() as theirs, customer.channel() as ours:
            pair = Pair(cast("Server", provider), cast("Server", customer), theirs, ours)
            await pair.attach(SEATS)
            world = World(provider, customer, pair)
            user = await pair.user()
            for number in range(DEVICES):
                device = await pair.device(f"laptop-{number}", user.id)
                world.devices.append(device)
                world.wishes[device.id] = Wish()
            yield world
    finally:
        await provider.kill()
        await customer.kill()
