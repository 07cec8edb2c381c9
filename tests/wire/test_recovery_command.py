"""A recovery key's private half is never lost while its public half may be in force."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from offsite.customer.v1 import recovery_service_pb2 as pb
from offsite.customer.v1.recovery_service_pb2_grpc import RecoveryServiceStub

from customer_service import app
from customer_service.cli import recovery
from service_kit.cli import output
from service_kit.cli.options import PrintOptions, print_as
from service_kit.errors import InvalidArgument
from service_kit.identity import recovery_key
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


SHEET = RecoverySheet(recovery_key.generate(), "0b8f4d52-7d3f-8c3b-9a53-0d1f6a1c2e11")


def interrupted(monkeypatch: pytest.MonkeyPatch, end: Callable[[], object]) -> None:
    """Make a recovery key, and end the command while the server is asked."""
    monkeypatch.setattr(recovery, "_new_sheet", lambda: SHEET)
    monkeypatch.setattr(recovery, "service", lambda: SimpleNamespace(CreateRecoveryKey=None))
    monkeypatch.setattr(recovery, "call", lambda *given: end())
    print_as(PrintOptions())
    recovery.create()


def test_a_sheet_is_printed_though_the_command_is_ended(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        before = signal.getsignal(number)
        with pytest.raises((KeyboardInterrupt, SystemExit)):
            interrupted(monkeypatch, partial(signal.raise_signal, number))
        assert signal.getsignal(number) == before
        assert RecoverySheet.parse("sheet", capsys.readouterr().out) == SHEET


def test_a_sheet_that_nobody_reads_is_told_on_stderr(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def gone(*given: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(output, "line", gone)
    with pytest.raises(BrokenPipeError):
        interrupted(monkeypatch, pb.CreateRecoveryKeyResponse)
    assert RecoverySheet.parse("sheet", capsys.readouterr().err) == SHEET


def test_half_of_a_sheet_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InvalidArgument, match="No space"):
        recovery._write(tmp_path / "sheet", "text")
    assert not list(tmp_path.iterdir())
