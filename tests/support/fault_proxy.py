"""What can go wrong between two servers.

A TCP proxy cuts and stalls connections; a gRPC proxy, with the server's own identity, loses,
repeats, delays and reorders requests and answers.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import grpc
import grpc.aio

from service_kit.clock import now
from service_kit.identity.identity import Identity
from service_kit.identity.leaf import issue_leaf

HOST = "127.0.0.1"
RECONNECT = [("grpc.initial_reconnect_backoff_ms", 50), ("grpc.max_reconnect_backoff_ms", 100)]
PASSED_ON = ("authorization", "x-trace-id")


class Fault(StrEnum):
    """What happens to one call."""

    NONE = "none"
    LOSE_REQUEST = "lose the request"
    LOSE_REPLY = "lose the reply"
    DUPLICATE = "deliver the request twice"
    HOLD = "deliver the request later, and lose the reply"
    HOLD_COPY = "deliver the request now, and once more later"
    UNKNOWN = "answer as an older server that does not know the call"


FAULTS = [each for each in Fault if each not in (Fault.NONE, Fault.UNKNOWN)]
Plan = Callable[[str], Fault]


def no_faults(method: str) -> Fault:
    return Fault.NONE


@dataclass
class HeldCall:
    """A request that waits to be delivered."""

    method: str
    request: bytes
    metadata: tuple[tuple[str, str | bytes], ...]


@dataclass
class GrpcProxy:
    """Forwards raw calls to a server; `plan` says what goes wrong, by the method's bare name."""

    identity: Identity
    target: str = ""
    plan: Plan = no_faults
    address: str = ""
    held: list[HeldCall] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    _channel: grpc.aio.Channel | None = None

    async def forward_to(self, target: str) -> None:
        """Forward to a server at HOST:PORT from now on; its identity stays the same."""
        await self.close()
        self.target = target
        credentials = grpc.ssl_channel_credentials(self.identity.ca_pem)
        options = [("grpc.use_local_subchannel_pool", 1), *RECONNECT]
        self._channel = grpc.aio.secure_channel(target, credentials, options=options)

    async def deliver(self, index: int = 0) -> None:
        """Deliver a held request at last, whatever becomes of it."""
        call = self.held.pop(index)
        with contextlib.suppress(grpc.aio.AioRpcError):
            await self._forward(call)

    def forget_held(self) -> None:
        """Held requests die with the connections that they came by."""
        self.held.clear()

    async def close(self) -> None:
        if self._channel is not None:
            await self._channel.close()
            self._channel = None

    async def answer(self, method: str, request: bytes, context: Any) -> bytes:
        """Handle a call as the plan wants."""
        name = method.rpartition("/")[2]
        self.seen.append(name)
        metadata = tuple(
            (key, value) for key, value in context.invocation_metadata() if key in PASSED_ON
        )
        call = HeldCall(method, request, metadata)
        fault = self.plan(name)
        if fault in (Fault.HOLD, Fault.HOLD_COPY):
            self.held.append(call)
        if fault in (Fault.LOSE_REQUEST, Fault.HOLD):
            await _lost(context)
        if fault is Fault.UNKNOWN:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, "Method not found!")
        try:
            if fault is Fault.DUPLICATE:
                with contextlib.suppress(grpc.aio.AioRpcError):
                    await self._forward(call)
            reply = await self._forward(call)
        except grpc.aio.AioRpcError as error:
            if fault is Fault.LOSE_REPLY:
                await _lost(context)
            await context.abort(error.code(), error.details() or "", _trailing(error))
        if fault is Fault.LOSE_REPLY:
            await _lost(context)
        return reply

    async def _forward(self, call: HeldCall) -> bytes:
        assert self._channel is not None
        method: Any = self._channel.unary_unary(call.method)
        reply: bytes = await method(call.request, metadata=call.metadata, timeout=5)
        return reply


class _Every(grpc.GenericRpcHandler):
    """Handles whatever method is called."""

    def __init__(self, proxy: GrpcProxy) -> None:
        self._proxy = proxy

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        async def answer(request: bytes, context: Any) -> bytes:
            return await self._proxy.answer(handler_call_details.method, request, context)

        return grpc.unary_unary_rpc_method_handler(answer)


@asynccontextmanager
async def grpc_proxy(identity: Identity, target: str = "") -> AsyncIterator[GrpcProxy]:
    """A listening gRPC proxy in front of the server with this identity."""
    leaf = issue_leaf(identity, [], now())
    proxy = GrpcProxy(identity)
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((_Every(proxy),))
    credentials = grpc.ssl_server_credentials([(leaf.key_pem, leaf.cert_chain_pem)])
    port = server.add_secure_port(f"{HOST}:0", credentials)
    await server.start()
    proxy.address = f"{HOST}:{port}"
    if target:
        await proxy.forward_to(target)
    try:
        yield proxy
    finally:
        await server.stop(None)
        await proxy.close()


@dataclass
class TcpProxy:
    """Copies bytes both ways; connections can be refused, cut, stalled and slowed down."""

    target: str
    address: str = ""
    refusing: bool = False
    delay: float = 0.0  # seconds, for each part of either direction
    _flowing: asyncio.Event = field(default_factory=asyncio.Event)
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    def stall(self) -> None:
        """Let no byte through, but keep the connections."""
        self._flowing.clear()

    def flow(self) -> None:
        """Let bytes through again."""
        self._flowing.set()

    def cut(self) -> None:
        """Break every connection, with what is under way."""
        for writer in self._open:
            writer.transport.abort()

    async def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until either side ends it."""
        if self.refusing:
            writer.transport.abort()
            return
        host, _, port = self.target.rpartition(":")
        try:
            far_reader, far_writer = await asyncio.open_connection(host, int(port))
        except OSError:
            writer.transport.abort()
            return
        both = {writer, far_writer}
        self._open |= both
        await asyncio.gather(self._copy(reader, far_writer), self._copy(far_reader, writer))
        self._open -= both

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while part := await reader.read(65536):
                await self._flowing.wait()
                if self.delay:
                    await asyncio.sleep(self.delay)
                writer.write(part)
                await writer.drain()
        writer.close()


@asynccontextmanager
async def tcp_proxy(target: str) -> AsyncIterator[TcpProxy]:
    """A listening TCP proxy in front of HOST:PORT."""
    proxy = TcpProxy(target)
    proxy.flow()
    server = await asyncio.start_server(proxy.connect, HOST, 0)
    proxy.address = f"{HOST}:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        server.close()
        proxy.flow()
        proxy.cut()


async def _lost(context: Any) -> None:
    await context.abort(grpc.StatusCode.UNAVAILABLE, "lost on the way")


def _trailing(error: grpc.aio.AioRpcError) -> tuple[tuple[str, Any], ...]:
    listed: Any = error.trailing_metadata() or ()
    return tuple((key, value) for key, value in listed if key == "grpc-status-details-bin")
