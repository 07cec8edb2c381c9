"""The one wrapper around every handler: deadline, guards, error table, log and metrics."""

import asyncio
import re
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from inspect import isasyncgen
from typing import Any, TypeAlias

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from service_kit.errors import FieldViolation, InvalidArgument, OffsiteError, Unimplemented
from service_kit.reasons import Reason
from service_kit.server.access import AccessTable
from service_kit.server.call_record import CallRecord
from service_kit.server.caller import ANONYMOUS, call_facts
from service_kit.server.context import Context
from service_kit.server.guards import Call, Guard, Metadata
from service_kit.server.refusals import cut_off, fault, stopping
from service_kit.server.status import to_status
from service_kit.version import VERSION

IMPOSED_SECONDS = 30.0

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Continuation: TypeAlias = "Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]]"

_TRACE_ID = re.compile(r"(?:00-)?([0-9a-f]{32})(?:-[0-9a-f]{16}-[0-9a-f]{2})?")
_TRACE_METADATA = ("x-trace-id", "traceparent")
_LONGEST_METHOD = 120


class GuardInterceptor(grpc.aio.ServerInterceptor):
    """Wraps each handler once, at its first call, and walks the guards on every call."""

    def __init__(self, guards: Sequence[Guard], access: AccessTable, record: CallRecord) -> None:
        self.guards = tuple(guards)
        self.access = access
        self.record = record
        self._wrapped: dict[str, Handler] = {}
        self._streams: set[asyncio.Timeout] = set()

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> Handler:
        """Called by grpcio before each call."""
        method = handler_call_details.method
        handler = self._wrapped.get(method)
        if handler is not None:
            return handler
        inner = await continuation(handler_call_details)
        if inner is None:
            return self._unknown(method)
        wrap = self._wrap_stream if inner.response_streaming else self._wrap
        handler = self._wrapped[method] = wrap(method, inner)
        return handler

    @property
    def has_streams(self) -> bool:
        """Whether any stream is open."""
        return bool(self._streams)

    def end_streams(self) -> None:
        """End every open stream, telling its caller that the server stops."""
        now = asyncio.get_running_loop().time()
        for scope in self._streams:
            scope.reschedule(now)

    def _wrap(self, method: str, inner: Handler) -> Handler:
        parse, serialize = inner.request_deserializer, inner.response_serializer or bytes
        behavior: Any = inner.unary_unary  # its stub knows synchronous handlers only

        async def answer(request: bytes, context: Context) -> bytes:
            started = time.perf_counter()
            call = self._begin(method, context, len(request))
            # Where the caller set a deadline, the core cancels the handler at it.
            scope = asyncio.timeout(IMPOSED_SECONDS if context.time_remaining() is None else None)
            try:
                async with scope:
                    await self._check(call)
                    response: bytes = serialize(await behavior(_parsed(parse, request), context))
            except BaseException as error:
                told = cut_off() if scope.expired() else error
                await self._end(call, context, started, told)
                raise
            self.record.answered(call, "OK", started)
            return response

        # Without a deserializer the request comes as bytes: measured before it is parsed.
        return grpc.unary_unary_rpc_method_handler(answer)

    def _wrap_stream(self, method: str, inner: Handler) -> Handler:
        parse, serialize = inner.request_deserializer, inner.response_serializer
        streamed = inner.request_streaming
        behavior: Any = inner.stream_stream if streamed else inner.unary_stream

        async def answer(request: Any, context: Context) -> None:
            started = time.perf_counter()
            call = self._begin(method, context, 0 if streamed else len(request))
            scope = asyncio.timeout(None)
            try:
                async with self._ended_by_drain(scope):
                    await self._check(call)
                    parsed = request if streamed else _parsed(parse, request)
                    await self._send(call, context, behavior(parsed, context))
            except BaseException as error:
                told = stopping() if scope.expired() else error
                await self._end(call, context, started, told)
                raise
            self.record.answered(call, "OK", started)

        if streamed:
            return grpc.stream_stream_rpc_method_handler(answer, parse, serialize)
        return grpc.unary_stream_rpc_method_handler(answer, None, serialize)

    def _unknown(self, method: str) -> Handler:
        async def refuse(_: object, context: Context) -> None:
            call = self._begin(method[:_LONGEST_METHOD], context, 0)
            error = Unimplemented(
                Reason.METHOD_UNKNOWN,
                f"this server has no method {call.method}",
                f"It has version {VERSION}: upgrade the older of the two sides.",
            )
            await self._end(call, context, time.perf_counter(), error)

        return grpc.stream_stream_rpc_method_handler(refuse)

    def _begin(self, method: str, context: Context, request_bytes: int) -> Call:
        metadata: Metadata = tuple(context.invocation_metadata() or ())
        roles = self.access.get(method, frozenset())
        call = Call(method, _trace_id(metadata), ANONYMOUS, roles, metadata, request_bytes)
        call_facts.set(call)
        return call

    async def _check(self, call: Call) -> None:
        for guard in self.guards:
            waiting = guard(call)
            if waiting is not None:
                await waiting

    @asynccontextmanager
    async def _ended_by_drain(self, scope: asyncio.Timeout) -> AsyncIterator[None]:
        async with scope:
            self._streams.add(scope)
            try:
                yield
            finally:
                self._streams.discard(scope)

    async def _send(self, call: Call, context: Context, answers: Any) -> None:
        """Send a handler's messages; a handler that writes for itself is awaited."""
        if not isasyncgen(answers):
            await answers
            return
        async with aclosing(answers):
            async for message in answers:
                await self._check(call)  # a token that ends meanwhile ends its streams
                await context.write(message)

    async def _end(
        self, call: Call, context: Context, started: float, error: BaseException
    ) -> None:
        """Record a call that did not end well and tell its caller why, which raises."""
        if isinstance(error, asyncio.CancelledError):
            self.record.answered(call, "CANCELLED", started)
        elif isinstance(error, grpc.aio.AbortError):  # by a handler that is not ours: grpc health
            self.record.answered(call, _code_name(context), started)
        elif isinstance(error, OffsiteError):
            status = to_status(error)
            self.record.refused(call, status.code.name, started, error.reason, error.message)
            await context.abort(status.code, status.details, status.trailing_metadata)
        else:
            status = to_status(fault(call.trace_id))
            self.record.failed(call, status.code.name, started, error)
            await context.abort(status.code, status.details, status.trailing_metadata)


def _parsed(parse: Callable[[bytes], Any] | None, request: bytes) -> Any:
    if parse is None:
        return request
    try:
        return parse(request)
    except DecodeError:
        violation = FieldViolation("request", "must be a message of this method's request type")
        raise InvalidArgument([violation]) from None


def _trace_id(metadata: Metadata) -> str:
    """The caller's trace id where it has the form of one, else a new one: 32 hex digits."""
    for key, value in metadata:
        if key in _TRACE_METADATA and isinstance(value, str):
            match = _TRACE_ID.fullmatch(value)
            if match is not None:
                return match[1]
    return secrets.token_hex(16)


def _code_name(context: Context) -> str:
    code = context.code()
    return code.name if isinstance(code, grpc.StatusCode) else str(code)
