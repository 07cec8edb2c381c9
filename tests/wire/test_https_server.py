"""The HTTPS listener: health and metrics."""

import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from service_kit.server.access import COMMON_ACCESS
from service_kit.server.first_start import first_start
from service_kit.server.process import Server
from service_kit.settings import ServerSettings
from tests.support import databases
from tests.support.servers import local_settings, running


@pytest.fixture
async def web_client(server: Server) -> AsyncIterator[aiohttp.ClientSession]:
    """A client that trusts the server's CA, and nothing else."""
    trust = ssl.create_default_context(cadata=server.ground.identity.ca_pem.decode())
    async with aiohttp.ClientSession(
        base_url=f"https://{server.https_address}",
        connector=aiohttp.TCPConnector(ssl=trust),
    ) as client:
        yield client


async def test_health_and_readiness_are_told_to_anybody(
    web_client: aiohttp.ClientSession,
) -> None:
    for path in ("/healthz", "/readyz"):
        async with web_client.get(path) as answer:
            assert answer.status == 200


async def test_metrics_tell_the_license(web_client: aiohttp.ClientSession) -> None:
    async with web_client.get("/metrics") as answer:
        text = await answer.text()
    assert answer.status == 200
    assert "offsite_license_seats 25.0" in text
    assert "offsite_seats_in_use 0.0" in text


async def test_a_draining_server_is_not_ready_and_still_alive(
    server: Server, web_client: aiohttp.ClientSession
) -> None:
    server._serving = False
    async with web_client.get("/readyz") as answer:
        assert answer.status == 503
    async with web_client.get("/healthz") as answer:
        assert answer.status == 200


async def test_a_server_without_its_database_is_not_ready(
    server: Server, web_client: aiohttp.ClientSession
) -> None:
    await server.ground.database.run(lambda tx: tx.exec_driver_sql("DROP TABLE license"))
    async with web_client.get("/readyz") as answer:
        assert answer.status == 503


async def test_other_rooms_add_their_routes(tmp_path: Path) -> None:
    async def hello(_: web.Request) -> web.Response:
        return web.Response(text="hello")

    def add(app: web.Application) -> None:
        app.router.add_get("/hello", hello)

    def build(settings: ServerSettings) -> Server:
        return Server(first_start(settings, databases.COMMON), [], COMMON_ACCESS, routes=[add])

    async with running(build, local_settings("offsite-test", tmp_path)) as server:
        trust = ssl.create_default_context(cadata=server.ground.identity.ca_pem.decode())
        async with (
            aiohttp.ClientSession() as client,
            client.get(f"https://{server.https_address}/hello", ssl=trust) as answer,
        ):
            assert await answer.text() == "hello"
