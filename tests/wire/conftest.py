"""Fixtures of the tests over the wire."""

from collections.abc import AsyncIterator
from pathlib import Path

import grpc.aio
import pytest

from service_kit.server.process import Server
from tests.support.servers import channel, common_server, local_settings, operator_token, running


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    """A running server of the common services."""
    async with running(common_server, local_settings("offsite-test", tmp_path)) as started:
        yield started


@pytest.fixture
async def operator(server: Server) -> AsyncIterator[grpc.aio.Channel]:
    """The operator's channel to it."""
    async with channel(server, operator_token(server)) as open_channel:
        yield open_channel


@pytest.fixture
async def stranger(server: Server) -> AsyncIterator[grpc.aio.Channel]:
    """A channel without a token."""
    async with channel(server) as open_channel:
        yield open_channel
