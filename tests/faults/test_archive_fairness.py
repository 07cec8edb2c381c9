"""One device with many connections keeps no other from its backup."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from archive_gateway.domain.rules import MIB
from archive_gateway.http.gateway import UPLOADS_OF_DEVICE
from tests.support.archives import archive_server
from tests.support.at_rest import look, settled
from tests.support.companies import Companies, seen_by
from tests.support.repository import content, id_of, repository
from tests.support.waiting import eventually

CONNECTIONS = 64
SIZE = MIB


@pytest.mark.parametrize("whose", ["another company's", "the same company's"])
async def test_a_device_with_64_slow_uploads_does_not_starve_another(
    tmp_path: Path, whose: str
) -> None:
    companies = Companies()
    go_on = asyncio.Event()

    async def halves(body: bytes) -> AsyncIterator[bytes]:
        yield body[: SIZE // 2]
        await go_on.wait()
        yield body[SIZE // 2 :]

    async with archive_server(tmp_path, companies) as greedy:
        company = companies.others[0] if whose == "another company's" else companies
        modest = seen_by(greedy, company)
        headers = {"Content-Length": str(SIZE)}
        async with repository(greedy) as many, repository(modest) as few:
            bodies = [content(number, SIZE) for number in range(CONNECTIONS)]
            slow = [
                asyncio.ensure_future(
                    many.ask("POST", f"data/{id_of(body)}", data=halves(body), headers=headers)
                )
                for body in bodies
            ]

            async def under_way() -> int:
                found = await look(greedy.server.ground.database, greedy.archive.store)
                return len(found.promises)

            await eventually(under_way, lambda found: found == UPLOADS_OF_DEVICE)
            for number in range(10):
                path = await few.save("data", content(100 + number, SIZE))
                assert (await few.get(path)).status == 200
            assert not any(each.done() for each in slow)
            assert await under_way() == UPLOADS_OF_DEVICE  # and the others wait for their turn
            go_on.set()
            assert {each.status for each in await asyncio.gather(*slow)} == {200}
            assert len(await many.list("data")) == CONNECTIONS
        await settled(greedy)
