"""The gRPC listener and the process around it."""

import asyncio
import os
import signal
import socket
import ssl
import stat
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from offsite.common.v1.license_service_pb2 import GetLicenseRequest
from offsite.common.v1.license_service_pb2_grpc import LicenseServiceStub

from service_kit.errors import Conflict
from service_kit.reasons import Reason
from service_kit.server.loops import Loop, Loops, periodic
from service_kit.server.process import Server
from tests.support.servers import channel, common_server, local_settings, operator_token, running

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


async def test_each_service_is_healthy_and_anybody_may_ask(stranger: grpc.aio.Channel) -> None:
    health: Any = health_pb2_grpc.HealthStub(stranger)  # its stub knows synchronous channels only
    for name in ("", "offsite.common.v1.AuditService", "offsite.common.v1.LicenseService"):
        answer = await health.Check(health_pb2.HealthCheckRequest(service=name))
        assert answer.status == SERVING


async def test_who_watches_the_health_hears_of_the_drain(
    server: Server, stranger: grpc.aio.Channel
) -> None:
    health: Any = health_pb2_grpc.HealthStub(stranger)
    watching = health.Watch(health_pb2.HealthCheckRequest(service="offsite.common.v1.AuditService"))
    assert (await watching.read()).status == SERVING
    stopping = asyncio.create_task(server._grpc.stop(timedelta(seconds=10)))
    assert (await watching.read()).status == NOT_SERVING
    with pytest.raises(grpc.aio.AioRpcError) as ended:
        await watching.read()
    assert ended.value.code() is grpc.StatusCode.UNAVAILABLE
    await stopping


async def test_reflection_names_the_services_and_the_details_of_errors(
    stranger: grpc.aio.Channel,
) -> None:
    reflection: Any = reflection_pb2_grpc.ServerReflectionStub
    symbol = error_details_pb2.ErrorInfo.DESCRIPTOR.full_name
    asking = reflection(stranger).ServerReflectionInfo(
        iter(
            [
                reflection_pb2.ServerReflectionRequest(list_services=""),
                reflection_pb2.ServerReflectionRequest(file_containing_symbol=symbol),
            ]
        )
    )
    listed, described = [answer async for answer in asking]
    names = {each.name for each in listed.list_services_response.service}
    assert {"offsite.common.v1.TokenService", "grpc.health.v1.Health"} <= names
    assert described.file_descriptor_response.file_descriptor_proto


async def test_a_port_that_is_taken_is_said_to_be(server: Server, tmp_path: Path) -> None:
    for option, address in (("grpc", server.grpc_address), ("https", server.https_address)):
        settings = local_settings("offsite-test", tmp_path / option, **{option: address})
        with pytest.raises(Conflict) as refused:
            async with running(common_server, settings):
                pass
        assert refused.value.reason is Reason.ADDRESS_IN_USE
        assert address in refused.value.message


async def test_the_second_process_on_the_same_data_is_refused(
    server: Server, tmp_path: Path
) -> None:
    with pytest.raises(Conflict) as refused:
        common_server(server.ground.settings)
    assert refused.value.reason is Reason.DATA_IN_USE


async def test_both_ports_serve_a_renewed_certificate_without_a_restart(server: Server) -> None:
    addresses = (server.grpc_address, server.https_address)
    before = [await asyncio.to_thread(_leaf_of, address) for address in addresses]
    server._leaf.renew()
    after = [await asyncio.to_thread(_leaf_of, address) for address in addresses]
    assert before[0] == before[1]
    assert after[0] == after[1] != before[0]
    async with channel(server, operator_token(server)) as operator:
        await LicenseServiceStub(operator).GetLicense(GetLicenseRequest())


def _leaf_of(address: str) -> bytes | None:
    host, port = address.split(":")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection((host, int(port))) as plain,
        context.wrap_socket(plain, server_hostname=host) as secured,
    ):
        return secured.getpeercert(binary_form=True)


async def test_a_first_start_makes_everything_and_a_second_one_keeps_it(tmp_path: Path) -> None:
    settings = local_settings("offsite-test", tmp_path / "data")
    files = (settings.ca_file, settings.operator_token_file, settings.identity)
    async with running(common_server, settings) as first:
        guid, made = first.guid, [file.read_bytes() for file in files]
    async with running(common_server, settings) as second:
        assert second.guid == guid
        assert [file.read_bytes() for file in files] == made
    assert stat.S_IMODE(settings.operator_token_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(settings.identity.stat().st_mode) == 0o600
    assert stat.S_IMODE(settings.data.stat().st_mode) == 0o700


async def test_a_loop_that_crashes_is_started_again() -> None:
    runs, again = [], asyncio.Event()

    async def crash() -> None:
        runs.append(1)
        if len(runs) == 3:
            again.set()
        raise RuntimeError("once more")

    loops = Loops([Loop("crashing", crash)], first_pause=timedelta(milliseconds=1))
    loops.start()
    await asyncio.wait_for(again.wait(), 10)
    await loops.stop()


async def test_a_periodic_loop_steps_at_once_and_when_woken() -> None:
    steps: asyncio.Queue[int] = asyncio.Queue()
    wake = asyncio.Event()

    async def step() -> None:
        steps.put_nowait(1)

    loops = Loops([periodic("waiting", timedelta(hours=1), step, wake)])
    loops.start()
    await asyncio.wait_for(steps.get(), 10)
    wake.set()
    await asyncio.wait_for(steps.get(), 10)
    await loops.stop()


_PROGRAM = """
import sys
from pathlib import Path
from service_kit.server.process import run_server
from tests.support.servers import common_server, local_settings
settings = local_settings("offsite-test", Path(sys.argv[1]))
run_server(settings, common_server)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains_and_ends_at_exit_0(tmp_path: Path, number: signal.Signals) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _PROGRAM,
        str(tmp_path),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert process.stdout is not None
    said = await asyncio.wait_for(process.stdout.readuntil(b"operator.token\n"), 30)
    assert b"GUID" in said
    process.send_signal(number)
    assert await asyncio.wait_for(process.wait(), 30) == 0
