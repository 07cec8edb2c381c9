"""A recovery key's private half is never lost while its public half may be in force."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from offsite.customer.v1 import recovery_service_pb2 as pb
from offsite.customer.v1.recovery_service_pb2_grpc import RecoveryServiceStub

from customer_service import app
from service_kit.identity.recovery_sheet import RecoverySheet
from service_kit.server.process import Server
from tests.support.fault_proxy import Fault, GrpcProxy, grpc_proxy
from tests.support.servers import channel, local_settings, operator_token, running


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with running(app.build, local_settings("offsite-customer", tmp_path)) as started:
        yield started


@pytest.fixture
async def proxy(server: Server) -> AsyncIterator[GrpcProxy]:
    """What the command dials; it comes between for CreateRecoveryKey alone."""
    async with grpc_proxy(server.ground.identity) as between:
        await between.forward_to(server.grpc_address)
        yield between


async def create(server: Server, proxy: GrpcProxy, *options: str) -> tuple[int, str]:
    """Run the command; answers its status and what it printed."""
    words = ["-m", "customer_service.cli", "recovery-key", "create", *options]
    where = ["--data", str(server.ground.settings.data), "--endpoint", proxy.address]
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        *words,
        *where,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    printed, _ = await child.communicate()
    return await child.wait(), printed.decode()


async def in_force(server: Server) -> str:
    async with channel(server, operator_token(server)) as connection:
        request = pb.GetRecoveryKeyRequest()
        found = await RecoveryServiceStub(connection).GetRecoveryKey(request)
    return str(found.recovery_key.recipient)


def lose_the_answer(method: str) -> Fault:
    return Fault.LOSE_REPLY if method == "CreateRecoveryKey" else Fault.NONE


async def test_a_sheet_is_printed_though_the_answer_is_lost(
    server: Server, proxy: GrpcProxy
) -> None:
    proxy.plan = lose_the_answer
    status, printed = await create(server, proxy)
    assert status == 3
    sheet = RecoverySheet.parse("sheet", printed)
    assert sheet.key.recipient == await in_force(server)


async def test_a_written_sheet_stays_though_the_answer_is_lost(
    server: Server, proxy: GrpcProxy, tmp_path: Path
) -> None:
    proxy.plan = lose_the_answer
    file = tmp_path / "sheet"
    status, printed = await create(server, proxy, "--output", str(file))
    assert (status, "AGE-SECRET-KEY" in printed) == (3, False)
    sheet = RecoverySheet.parse("sheet", await asyncio.to_thread(file.read_text))
    assert sheet.key.recipient == await in_force(server)


async def test_what_the_server_refuses_leaves_no_sheet(
    server: Server, proxy: GrpcProxy, tmp_path: Path
) -> None:
    token, file = tmp_path / "token", tmp_path / "sheet"
    await asyncio.to_thread(token.write_text, "offs_UNKNOWN")
    options = ["--token-file", str(token), "--output", str(file)]
    status, printed = await create(server, proxy, *options)
    assert (status, printed, file.exists()) == (1, "", False)
    assert await in_force(server) == ""
