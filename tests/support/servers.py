"""Real servers, in this process, on free loopback ports."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from offsite.common.v1.server_service_pb2 import ServerKind

from service_kit.common_services import common_services
from service_kit.database.engine import Transaction
from service_kit.database.paging import Page, PageRequest
from service_kit.ledger import license as licenses
from service_kit.server.access import COMMON_ACCESS
from service_kit.server.first_start import first_start
from service_kit.server.process import Server
from service_kit.settings import ServerSettings
from tests.support import databases

FREE_PORT = "127.0.0.1:0"


def local_settings(program: str, folder: Path, **overrides: Any) -> ServerSettings:
    """Settings of a server on free loopback ports, with its data in a folder."""
    return ServerSettings.make(
        program, **{"data": folder, "grpc": FREE_PORT, "https": FREE_PORT, **overrides}
    )


@asynccontextmanager
async def running(
    build: Callable[[ServerSettings], Server], settings: ServerSettings
) -> AsyncIterator[Server]:
    """A started server; it drains at the end."""
    server = build(settings)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


def operator_token(server: Server) -> str:
    """The operator's token, as the first start wrote it."""
    return server.ground.settings.operator_token_file.read_text().strip()


def channel(server: Server, token: str | None = None) -> grpc.aio.Channel:
    """A channel that trusts the server's CA and sends a bearer token."""
    credentials = grpc.ssl_channel_credentials(server.ground.identity.ca_pem)
    if token is not None:
        bearer = grpc.access_token_call_credentials(token)
        credentials = grpc.composite_channel_credentials(credentials, bearer)
    return grpc.aio.secure_channel(server.grpc_address, credentials)


def common_server(settings: ServerSettings) -> Server:
    """A server of the common services alone."""
    ground = first_start(settings, databases.COMMON)
    services = common_services(
        ground,
        ServerKind.SERVER_KIND_PROVIDER,
        seats_in_use=_seats_in_use,
        organization_use=_organization_use,
    )
    return Server(ground, services, COMMON_ACCESS)


def _seats_in_use(tx: Transaction) -> int:
    return licenses.get(tx).seats_in_use


def _organization_use(tx: Transaction, page: PageRequest) -> Page[tuple[str, str, int]]:
    return Page([("id-1", "Acme", 3)], "")
