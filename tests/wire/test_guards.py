"""What every call passes before its handler runs."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2
from google.rpc.status_pb2 import Status
from offsite.common.v1 import license_service_pb2_grpc
from offsite.common.v1.license_service_pb2 import (
    GetLicenseRequest,
    GetLicenseResponse,
    ListLicenseUseRequest,
    ListLicenseUseResponse,
    UpdateLicenseRequest,
    UpdateLicenseResponse,
)
from offsite.common.v1.license_service_pb2_grpc import LicenseServiceServicer, LicenseServiceStub

from service_kit import logs
from service_kit.clock import now
from service_kit.errors import NotFound
from service_kit.identity import peer_token
from service_kit.identity.identity import Identity
from service_kit.ledger import access_tokens
from service_kit.ledger.actor import actor
from service_kit.reasons import Reason
from service_kit.server import interceptor
from service_kit.server.access import CHANGE, PEER, READ, AccessTable, methods
from service_kit.server.caller import current_caller, current_peer
from service_kit.server.context import Context
from service_kit.server.first_start import Ground, first_start
from service_kit.server.process import RpcService, Server
from tests.support import databases
from tests.support.servers import channel, local_settings, operator_token, running

SERVICE = "offsite.common.v1.LicenseService"
ACCESS: AccessTable = methods(SERVICE, GetLicense=READ, UpdateLicense=CHANGE, ListLicenseUse=PEER)


async def nothing() -> None:
    """A handler's work where a test wants none."""


class Probe(LicenseServiceServicer):
    """A service whose reading method does what a test wants; PEER may list."""

    def __init__(self) -> None:
        self.work: Callable[[], Awaitable[None]] = nothing

    async def GetLicense(  # noqa: N802
        self, request: GetLicenseRequest, context: Context
    ) -> GetLicenseResponse:
        await self.work()
        return GetLicenseResponse()

    async def UpdateLicense(  # noqa: N802
        self, request: UpdateLicenseRequest, context: Context
    ) -> UpdateLicenseResponse:
        return UpdateLicenseResponse()

    async def ListLicenseUse(  # noqa: N802
        self, request: ListLicenseUseRequest, context: Context
    ) -> ListLicenseUseResponse:
        return ListLicenseUseResponse(next_page_token=current_peer())


class Fixture:
    """A running server of the probe, and channels to it."""

    def __init__(self, probe: Probe, server: Server) -> None:
        self.probe = probe
        self.server = server
        self.channels: list[grpc.aio.Channel] = []

    def stub(self, token: str | None) -> "license_service_pb2_grpc.LicenseServiceAsyncStub":
        opened = channel(self.server, token)
        self.channels.append(opened)
        return LicenseServiceStub(opened)

    @property
    def operator(self) -> "license_service_pb2_grpc.LicenseServiceAsyncStub":
        return self.stub(operator_token(self.server))

    def raw(self, method: str) -> Callable[[bytes], Awaitable[object]]:
        """A method that takes any bytes."""
        opened = channel(self.server, operator_token(self.server))
        self.channels.append(opened)
        call: Any = opened.unary_unary(f"/{SERVICE}/{method}")
        return cast("Callable[[bytes], Awaitable[object]]", call)

    @property
    def ground(self) -> Ground:
        return self.server.ground

    async def metrics(self) -> str:
        return (await self.ground.metrics.scrape()).decode()


@pytest.fixture
async def running_probe(tmp_path: Path) -> AsyncIterator[Fixture]:
    probe = Probe()
    add = license_service_pb2_grpc.add_LicenseServiceServicer_to_server

    def build(settings: object) -> Server:
        ground = first_start(local_settings("offsite-test", tmp_path), databases.COMMON)
        return Server(ground, [RpcService(SERVICE, add, probe)], ACCESS)

    logs.set_up("info", "json")
    async with running(build, local_settings("offsite-test", tmp_path)) as server:
        fixture = Fixture(probe, server)
        yield fixture
        for opened in fixture.channels:
            await opened.close()


def reason_of(error: grpc.aio.AioRpcError) -> str:
    """The ErrorInfo's reason, read as a stranger's program would."""
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            for detail in Status.FromString(value).details:
                info = error_details_pb2.ErrorInfo()
                if detail.Unpack(info):
                    return str(info.reason)
    return ""


async def refusal(call: Awaitable[object]) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    return refused.value.code(), reason_of(refused.value)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines() if '"call"' in line]


async def test_a_call_without_a_token_is_refused(running_probe: Fixture) -> None:
    got = await refusal(running_probe.stub(None).GetLicense(GetLicenseRequest()))
    assert got == (grpc.StatusCode.UNAUTHENTICATED, Reason.CREDENTIALS_MISSING)


@pytest.mark.parametrize("token", ["offs_UNKNOWN", "offs_", "nonsense", "a.b.c", "e30.e30.e30"])
async def test_a_token_that_nobody_has_is_refused(running_probe: Fixture, token: str) -> None:
    got = await refusal(running_probe.stub(token).GetLicense(GetLicenseRequest()))
    assert got == (grpc.StatusCode.UNAUTHENTICATED, Reason.CREDENTIALS_INVALID)


async def test_a_reader_reads_and_changes_nothing(running_probe: Fixture) -> None:
    _, secret = running_probe.ground.database.run_sync(
        access_tokens.create, "reader", access_tokens.TokenRole.READ_ONLY, None, now()
    )
    stub = running_probe.stub(secret)
    await stub.GetLicense(GetLicenseRequest())
    got = await refusal(stub.UpdateLicense(UpdateLicenseRequest()))
    assert got == (grpc.StatusCode.PERMISSION_DENIED, Reason.ROLE_NOT_ALLOWED)


async def test_a_peer_calls_what_is_for_peers_and_nothing_else(running_probe: Fixture) -> None:
    peer = Identity.create()
    stub = running_probe.stub(peer_token.issue(peer, running_probe.server.guid, now()))
    assert (await stub.ListLicenseUse(ListLicenseUseRequest())).next_page_token == peer.guid
    got = await refusal(stub.GetLicense(GetLicenseRequest()))
    assert got == (grpc.StatusCode.PERMISSION_DENIED, Reason.ROLE_NOT_ALLOWED)
    got = await refusal(running_probe.operator.ListLicenseUse(ListLicenseUseRequest()))
    assert got == (grpc.StatusCode.PERMISSION_DENIED, Reason.ROLE_NOT_ALLOWED)


async def test_a_peer_token_for_another_server_is_refused(running_probe: Fixture) -> None:
    token = peer_token.issue(Identity.create(), Identity.create().guid, now())
    got = await refusal(running_probe.stub(token).ListLicenseUse(ListLicenseUseRequest()))
    assert got == (grpc.StatusCode.UNAUTHENTICATED, Reason.WRONG_AUDIENCE)


async def test_an_unknown_method_is_denied(running_probe: Fixture) -> None:
    got = await refusal(running_probe.raw("DropEverything")(b""))
    assert got == (grpc.StatusCode.UNIMPLEMENTED, Reason.METHOD_UNKNOWN)
    assert "DropEverything" not in await running_probe.metrics()


def test_a_method_that_the_table_lacks_keeps_the_server_from_being_built(tmp_path: Path) -> None:
    ground = first_start(local_settings("offsite-test", tmp_path), databases.COMMON)
    add = license_service_pb2_grpc.add_LicenseServiceServicer_to_server
    with pytest.raises(ValueError, match="LicenseService/ListLicenseUse"):
        Server(
            ground,
            [RpcService(SERVICE, add, Probe())],
            methods(SERVICE, GetLicense=READ, UpdateLicense=CHANGE),
        )
    ground.database.dispose()


async def test_the_handler_and_the_audit_know_the_caller(running_probe: Fixture) -> None:
    seen = []

    async def look() -> None:
        seen.append((current_caller().name, actor.get()))

    running_probe.probe.work = look
    await running_probe.operator.GetLicense(GetLicenseRequest())
    assert seen == [("token:operator", "token:operator")]


async def test_a_message_above_a_mebibyte_is_refused_with_the_bound(
    running_probe: Fixture,
) -> None:
    call = running_probe.raw("GetLicense")
    await call(_padding(1 << 20))
    got = await refusal(call(_padding((1 << 20) + 1)))
    assert got == (grpc.StatusCode.RESOURCE_EXHAUSTED, Reason.MESSAGE_TOO_LARGE)
    code, _ = await refusal(call(_padding(8 << 20)))
    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED


def _padding(size: int) -> bytes:
    """A valid message of unknown fields (number 15, length-delimited)."""
    length = size - 5
    return (
        bytes([0x7A])
        + bytes((length >> shift & 0x7F) | (0x80 if shift < 21 else 0) for shift in (0, 7, 14, 21))
        + bytes(length)
    )


async def test_metadata_above_16_kibibytes_is_refused(running_probe: Fixture) -> None:
    stub = running_probe.operator
    got = await refusal(
        stub.GetLicense(GetLicenseRequest(), metadata=(("x-large", "v" * (17 << 10)),))
    )
    assert got == (grpc.StatusCode.RESOURCE_EXHAUSTED, Reason.MESSAGE_TOO_LARGE)


async def test_bytes_that_are_no_message_are_an_invalid_argument(running_probe: Fixture) -> None:
    got = await refusal(running_probe.raw("GetLicense")(b"\xff\xff\xff"))
    assert got == (grpc.StatusCode.INVALID_ARGUMENT, Reason.INVALID_FIELD)


async def test_a_call_without_a_deadline_gets_one(
    running_probe: Fixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interceptor, "IMPOSED_SECONDS", 0.05)
    ended = asyncio.Event()
    running_probe.probe.work = _endless(ended)
    got = await refusal(running_probe.operator.GetLicense(GetLicenseRequest()))
    assert got == (grpc.StatusCode.DEADLINE_EXCEEDED, Reason.DEADLINE_EXCEEDED)
    assert ended.is_set()


async def test_a_handler_is_cut_off_at_its_callers_deadline(running_probe: Fixture) -> None:
    ended = asyncio.Event()
    running_probe.probe.work = _endless(ended)
    code, _ = await refusal(running_probe.operator.GetLicense(GetLicenseRequest(), timeout=0.1))
    assert code is grpc.StatusCode.DEADLINE_EXCEEDED
    await asyncio.wait_for(ended.wait(), 10)


def _endless(ended: asyncio.Event) -> Callable[[], Awaitable[None]]:
    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    return work


async def test_an_unexpected_exception_tells_the_caller_its_trace_id_alone(
    running_probe: Fixture, capsys: pytest.CaptureFixture[str]
) -> None:
    async def fail() -> None:
        raise RuntimeError("the cellar is flooded")

    running_probe.probe.work = fail
    trace_id = "0123456789abcdef0123456789abcdef"
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await running_probe.operator.GetLicense(
            GetLicenseRequest(), metadata=(("x-trace-id", trace_id),)
        )
    assert failed.value.code() is grpc.StatusCode.INTERNAL
    assert reason_of(failed.value) == Reason.INTERNAL
    details = failed.value.details() or ""
    assert trace_id in details
    assert "cellar" not in details
    (line,) = lines(capsys)
    assert line["trace_id"] == trace_id
    assert "the cellar is flooded" in str(line["exception"])


async def test_a_call_is_one_line_with_method_caller_outcome_and_trace_id(
    running_probe: Fixture, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    await running_probe.operator.GetLicense(GetLicenseRequest())
    (line,) = lines(capsys)
    assert line["method"] == f"/{SERVICE}/GetLicense"
    assert line["caller"] == "token:operator"
    assert line["outcome"] == "OK"
    assert len(str(line["trace_id"])) == 32


async def test_a_trace_parent_is_taken_over_and_nonsense_is_not(
    running_probe: Fixture, capsys: pytest.CaptureFixture[str]
) -> None:
    stub = running_probe.operator
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    parent = f"00-{trace_id}-00f067aa0ba902b7-01"
    await stub.GetLicense(GetLicenseRequest(), metadata=(("traceparent", parent),))
    await stub.GetLicense(GetLicenseRequest(), metadata=(("x-trace-id", "nonsense"),))
    taken, made = lines(capsys)
    assert taken["trace_id"] == trace_id
    assert made["trace_id"] not in (trace_id, "nonsense")


async def test_calls_and_refusals_are_counted(running_probe: Fixture) -> None:
    async def fail() -> None:
        raise NotFound(Reason.NOT_FOUND, "there is none", "")

    await running_probe.operator.GetLicense(GetLicenseRequest())
    running_probe.probe.work = fail
    await refusal(running_probe.operator.GetLicense(GetLicenseRequest()))
    text = await running_probe.metrics()
    method = f'method="/{SERVICE}/GetLicense"'
    assert f'offsite_calls_total{{code="OK",{method}}} 1.0' in text
    assert f'offsite_calls_total{{code="NOT_FOUND",{method}}} 1.0' in text
    assert 'offsite_refusals_total{reason="NOT_FOUND"} 1.0' in text
