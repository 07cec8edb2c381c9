"""A peer is dialled by its GUID: nobody else is ever believed, and the reason is named."""

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import grpc
import grpc.aio
import pytest
from offsite.common.v1.server_service_pb2 import GetServerIdentityRequest
from offsite.common.v1.server_service_pb2_grpc import ServerServiceStub

from service_kit.client.dial import dial, dial_any, open_channel, read_peer
from service_kit.clock import now
from service_kit.errors import Conflict, OffsiteError, PermissionDenied, Unavailable
from service_kit.identity.guid import peer_name
from service_kit.identity.identity import Identity
from service_kit.reasons import Reason
from service_kit.server.process import Server
from tests.support.impostor import HOST, impostor, long_ago

SHORT = timedelta(seconds=0.3)
NOBODY = "127.0.0.1:1"

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def _refusal(dialling: Awaitable[object]) -> OffsiteError:
    with pytest.raises(OffsiteError) as refused:
        await dialling
    return refused.value


async def test_a_server_is_reached_by_its_guid(server: Server) -> None:
    async with await dial(server.grpc_address, server.guid) as channel:
        answer = await ServerServiceStub(channel).GetServerIdentity(GetServerIdentityRequest())
    assert answer.guid == server.guid


async def test_any_name_that_leads_there_will_do(server: Server) -> None:
    port = server.grpc_address.rpartition(":")[2]
    chain = await read_peer(f"localhost:{port}", server.guid)
    assert chain.ca == server.ground.identity.ca_certificate


async def test_the_wrong_server_is_named(server: Server) -> None:
    expected = Identity.create().guid
    refusal = await _refusal(read_peer(server.grpc_address, expected))
    assert isinstance(refusal, PermissionDenied)
    assert refusal.reason is Reason.PEER_IDENTITY_MISMATCH
    assert expected in refusal.message
    assert server.guid in refusal.message


async def test_a_certificate_of_ones_own_proves_nothing(server: Server) -> None:
    async with impostor(Identity.create()) as shown:
        refusal = await _refusal(read_peer(shown.address, server.guid))
    assert refusal.reason is Reason.PEER_IDENTITY_MISMATCH


async def test_the_real_ca_in_anothers_chain_proves_nothing(server: Server) -> None:
    real = server.ground.identity.ca_pem
    for without_ca in (False, True):
        async with impostor(Identity.create(), extra=[real], without_ca=without_ca) as shown:
            refusal = await _refusal(read_peer(shown.address, server.guid))
        assert refusal.reason is Reason.PEER_IDENTITY_MISMATCH
        assert "did not prove" in refusal.message


async def test_a_chain_without_a_ca_proves_nothing() -> None:
    identity = Identity.create()
    async with impostor(identity, without_ca=True) as shown:
        refusal = await _refusal(read_peer(shown.address, identity.guid))
    assert refusal.reason is Reason.PEER_IDENTITY_MISMATCH


async def test_only_the_second_handshake_authenticates(server: Server) -> None:
    """Whoever shows the real chain first and takes the connection afterwards gets no request."""
    real = server.ground.identity.ca_pem
    other = Identity.create()
    for chain in ([], [real]):
        async with (
            impostor(other, extra=chain) as shown,
            open_channel(shown.address, server.guid, real, lambda: "secret") as channel,
        ):
            with pytest.raises(grpc.aio.AioRpcError) as failed:
                await ServerServiceStub(channel).GetServerIdentity(GetServerIdentityRequest())
            assert failed.value.code() is grpc.StatusCode.UNAVAILABLE
            assert not shown.heard


async def test_both_handshakes_ask_for_the_same_name() -> None:
    """So that a proxy that looks at names leads both to the same server."""
    identity = Identity.create()
    expected = peer_name(identity.guid)
    async with impostor(identity) as shown:
        await read_peer(shown.address, identity.guid)
        assert await shown.names.get() == expected
        async with open_channel(shown.address, identity.guid, identity.ca_pem) as channel:
            channel.get_state(try_to_connect=True)
            assert await asyncio.wait_for(shown.names.get(), 10) == expected


async def test_a_wrong_clock_is_named_with_both_times() -> None:
    identity = Identity.create()
    for at in (long_ago(), now() + timedelta(days=30)):
        async with impostor(identity, at=at) as shown:
            refusal = await _refusal(read_peer(shown.address, identity.guid))
        assert isinstance(refusal, Conflict)
        assert refusal.reason is Reason.PEER_CLOCK
        assert f"{now():%Y-%m-%d}" in refusal.message
        assert f"{at - timedelta(days=1):%Y-%m-%d}" in refusal.message


async def test_an_identity_made_under_a_fast_clock_is_named_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its leaves are good once the clock is set right; its CA is from the future for longer."""
    fast = now() + timedelta(days=30)
    monkeypatch.setattr("service_kit.identity.identity.now", lambda: fast)
    identity = Identity.create()
    async with impostor(identity) as shown:
        refusal = await _refusal(read_peer(shown.address, identity.guid))
    assert refusal.reason is Reason.PEER_CLOCK
    assert f"{now():%Y-%m-%d}" in refusal.message
    assert f"{fast - timedelta(days=1):%Y-%m-%d}" in refusal.message


@pytest.mark.parametrize(
    "address",
    [NOBODY, "127.0.0.1:0", "127.0.0.1:99999", "127.0.0.1:port", "127.0.0.1", "a..b:1", "[::1]:1"],
)
async def test_an_address_where_nobody_answers_is_named(address: str) -> None:
    refusal = await _refusal(read_peer(address, Identity.create().guid, within=SHORT))
    assert isinstance(refusal, Unavailable)
    assert refusal.reason is Reason.PEER_UNREACHABLE
    assert address in refusal.message


async def _stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def _trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The beginning of a TLS record, a byte at a time."""
    writer.write(b"\x16\x03\x03\x40\x00")
    while True:
        writer.write(b"\x02")
        await writer.drain()
        await asyncio.sleep(0.05)


async def _hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def _speak_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await writer.drain()


@pytest.mark.parametrize("talk", [_stall, _trickle, _hang_up, _speak_http])
async def test_who_speaks_no_tls_is_left_in_time(talk: Talk) -> None:
    async with _listening(talk) as address:
        started = time.monotonic()
        refusal = await _refusal(read_peer(address, Identity.create().guid, within=SHORT))
    assert refusal.reason is Reason.PEER_UNREACHABLE
    assert time.monotonic() - started < 5


async def test_the_first_address_that_answers_is_taken(server: Server) -> None:
    addresses = [NOBODY, server.grpc_address]
    async with await dial_any(addresses, server.guid, within=SHORT) as channel:
        answer = await ServerServiceStub(channel).GetServerIdentity(GetServerIdentityRequest())
    assert answer.guid == server.guid


async def test_if_none_answers_the_first_refusal_is_told(server: Server) -> None:
    addresses = [NOBODY, server.grpc_address]
    refusal = await _refusal(dial_any(addresses, Identity.create().guid, within=SHORT))
    assert NOBODY in refusal.message


async def test_a_server_of_no_address_is_unreachable() -> None:
    refusal = await _refusal(dial_any([], Identity.create().guid))
    assert isinstance(refusal, Unavailable)
    assert refusal.reason is Reason.PEER_UNREACHABLE


async def test_a_server_is_not_reached_by_any_other_root(server: Server) -> None:
    root = Identity.create().ca_pem
    async with open_channel(server.grpc_address, server.guid, root) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await ServerServiceStub(channel).GetServerIdentity(GetServerIdentityRequest())
    assert failed.value.code() is grpc.StatusCode.UNAVAILABLE


@asynccontextmanager
async def _listening(talk: Talk) -> AsyncIterator[str]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, ssl.SSLError):
            await talk(reader, writer)
        writer.close()

    listener = await asyncio.start_server(answer, HOST, 0)
    try:
        yield f"{HOST}:{listener.sockets[0].getsockname()[1]}"
    finally:
        listener.close()
