"""The whole workflow between two real servers, in this process."""

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.pair import Pair, pair_of


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    async with pair_of(tmp_path) as both:
        yield both


async def test_a_computer_on_both_servers_holds_a_seat_on_both(pair: Pair) -> None:
    await pair.attach()
    device = await pair.device("laptop-1")
    answer = await pair.use(device)
    assert answer.destination.state == pair.HELD, answer
    assert await pair.provider_seats() == 1
    assert await pair.customer_seats() == 1
    await pair.stop(device)
    print(await pair.settled()); print(await pair.devices.GetDevice(__import__("offsite.customer.v1.device_service_pb2",fromlist=["x"]).GetDeviceRequest(device_id=device.id)))
    assert await pair.provider_seats() == 0
    assert await pair.customer_seats() == 0
