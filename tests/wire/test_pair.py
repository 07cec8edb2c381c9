"""The whole workflow between two real servers, in this process."""

from collections.abc import AsyncIterator
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
    assert answer.destination.state == pair.HELD
    assert (await pair.customer_seats(), await pair.provider_seats()) == (1, 1)
    await pair.stop(device)
    await pair.settled()
    assert (await pair.customer_seats(), await pair.provider_seats()) == (0, 0)
