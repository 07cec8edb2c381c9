"""An error crosses the wire as a status with google.rpc details and comes back as it was."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2

from service_kit import errors
from service_kit.client.status import error_of
from service_kit.errors import FieldViolation, InvalidArgument, OffsiteError
from service_kit.reasons import DOMAIN, Reason
from service_kit.server.status import CODES, to_status
from service_kit.validation import plain

METADATA_BYTES = 8192  # what gRPC clients take by default
DETAILS = "grpc-status-details-bin"

CERTAIN = [
    errors.NotFound(Reason.NOT_FOUND, "No organization é is here.", "List them."),
    errors.AlreadyExists(Reason.ALREADY_EXISTS, "The name is taken.", "Choose another."),
    errors.Unauthenticated(Reason.CREDENTIALS_EXPIRED, "The token is over.", "Make a new one."),
    errors.PermissionDenied(Reason.SEAT_REVOKED, "Revoked.", "Ask.", metadata={"state": "REVOKED"}),
    errors.LimitReached(
        Reason.SEAT_LIMIT_REACHED,
        "No seat is free.",
        "Buy one.",
        metadata={"position": "7"},
        retry_after=timedelta(seconds=90),
    ),
    errors.LimitReached(Reason.MESSAGE_TOO_LARGE, "Too large.", "Send less."),
    errors.Conflict(Reason.ATTACHMENT_CONFLICT, "Two deployments.", "Take over."),
    errors.Stale(Reason.STALE_EPOCH, "Another epoch.", "", metadata={"epoch": "3"}),
    errors.Unavailable(Reason.UNAVAILABLE, "Busy.", "Wait.", retry_after=timedelta(seconds=1)),
    InvalidArgument([FieldViolation("a.b", "must be 1"), FieldViolation("c", "must be é")]),
]

UNCLEAR = [
    errors.DeadlineExceeded(Reason.DEADLINE_EXCEEDED, "Too long.", "Look."),
    errors.Internal(Reason.INTERNAL, "A fault.", "See its log."),
]


async def _returned(error: OffsiteError) -> OffsiteError:
    return await _answered(*to_status(error))


async def _answered(code: grpc.StatusCode, text: str, metadata: Any = ()) -> OffsiteError:
    async def refuse(_: bytes, context: Any) -> None:
        await context.abort(code, text, metadata)

    async with _serving(refuse) as channel:
        call: Any = channel.unary_unary("/test.Service/Method")
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await call(b"")
    return error_of(failed.value)


@pytest.mark.parametrize("error", CERTAIN, ids=lambda each: f"{type(each).__name__} {each.reason}")
async def test_an_error_comes_back_as_it_was(error: OffsiteError) -> None:
    back = await _returned(error)
    assert type(back) is type(error)
    assert vars(back) == vars(error)
    assert str(back) == str(error)


@pytest.mark.parametrize("error", UNCLEAR, ids=lambda each: type(each).__name__)
async def test_an_outcome_that_may_be_either_comes_back_as_unavailable(error: OffsiteError) -> None:
    back = await _returned(error)
    assert type(back) is errors.Unavailable
    assert (back.reason, back.message) == (error.reason, error.message)


async def test_a_call_that_the_peer_does_not_know_says_which_side_to_upgrade() -> None:
    ours = errors.Unimplemented(Reason.METHOD_UNKNOWN, "Unknown.", "Upgrade.")
    for back in [await _returned(ours), await _answered(grpc.StatusCode.UNIMPLEMENTED, "")]:
        assert type(back) is errors.Unimplemented
        assert back.reason is Reason.PEER_TOO_OLD
        assert "Upgrade the other server" in back.advice


def test_every_class_of_error_has_a_code_and_a_test() -> None:
    tested = {type(each) for each in [*CERTAIN, *UNCLEAR]} | {errors.Unimplemented}
    assert set(CODES) - {OffsiteError} == tested
    assert set(OffsiteError.__subclasses__()) == tested


@pytest.mark.parametrize("code", [each for each in grpc.StatusCode if each.name != "OK"])
async def test_a_status_without_our_details_is_no_answer(code: grpc.StatusCode) -> None:
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return
    back = await _answered(code, "from a proxy")
    assert type(back) is errors.Unavailable
    assert back.retry_after is not None
    assert code.name in back.message


@pytest.mark.parametrize("code", [grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.NOT_FOUND])
async def test_anothers_details_are_no_answer(code: grpc.StatusCode) -> None:
    theirs = Packed()
    theirs.Pack(error_details_pb2.ErrorInfo(reason="SEAT_LIMIT_REACHED", domain="elsewhere"))
    status = status_pb2.Status(code=code.value[0], details=[theirs]).SerializeToString()
    assert type(await _answered(code, "no", ((DETAILS, status),))) is errors.Unavailable


@pytest.mark.parametrize("nonsense", [b"\xff\xff\xff", b"\x1a\x02\x08\x01", b""])
async def test_nonsense_for_details_is_no_answer(nonsense: bytes) -> None:
    back = await _answered(grpc.StatusCode.NOT_FOUND, "no", ((DETAILS, nonsense),))
    assert type(back) is errors.Unavailable


@pytest.mark.parametrize(
    ("seconds", "read"),
    [(2**62, timedelta(days=1)), (10**12, timedelta(days=1)), (-5, timedelta(0))],
)
async def test_a_wait_beyond_reason_is_bounded_and_can_be_passed_on(
    seconds: int, read: timedelta
) -> None:
    info = error_details_pb2.ErrorInfo(reason=Reason.SEAT_LIMIT_REACHED, domain=DOMAIN)
    retry = error_details_pb2.RetryInfo(retry_delay=Duration(seconds=seconds))
    status = status_pb2.Status(code=grpc.StatusCode.RESOURCE_EXHAUSTED.value[0])
    for detail in (info, retry):
        status.details.add().Pack(detail)
    metadata = ((DETAILS, status.SerializeToString()),)
    back = await _answered(grpc.StatusCode.RESOURCE_EXHAUSTED, "Wait.", metadata)
    assert back.retry_after == read
    assert (await _returned(back)).retry_after == read


async def test_a_reason_of_a_newer_peer_keeps_class_and_text() -> None:
    info = error_details_pb2.ErrorInfo(reason="INVENTED_LATER", domain=DOMAIN)
    packed = Packed()
    packed.Pack(info)
    code = grpc.StatusCode.FAILED_PRECONDITION
    status = status_pb2.Status(code=code.value[0], details=[packed]).SerializeToString()
    back = await _answered(code, "What is new.", ((DETAILS, status),))
    assert type(back) is errors.Conflict
    assert back.message == "What is new."


HUGE: dict[str, Callable[[str], OffsiteError]] = {
    "message": lambda text: errors.Conflict(Reason.WRONG_STATE, text, text),
    "facts": lambda text: errors.LimitReached(
        Reason.SEAT_LIMIT_REACHED, text, text, metadata={"name": text}
    ),
    "fields": lambda text: InvalidArgument([FieldViolation("a", "b")] * len(text)),
    "long fields": lambda text: InvalidArgument([FieldViolation(text, text)] * 100),
}


@pytest.mark.parametrize("text", ["x" * 100_000, "é" * 100_000, "💾" * 100_000], ids="xéd")
@pytest.mark.parametrize("make", HUGE.values(), ids=HUGE.keys())
async def test_the_largest_error_still_reaches_a_client(
    make: Callable[[str], OffsiteError], text: str
) -> None:
    error = make(text)
    back = await _returned(error)
    assert type(back) is type(error)
    assert back.reason is error.reason
    status = to_status(error)
    wire = 3 * len(status.details.encode()) + len(status.trailing_metadata[0][1]) * 4 / 3
    assert wire < METADATA_BYTES


@asynccontextmanager
async def _serving(answer: Any) -> AsyncIterator[grpc.aio.Channel]:
    handlers: dict[str, Any] = {"Method": grpc.unary_unary_rpc_method_handler(answer)}
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("test.Service", handlers),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel
    await server.stop(None)


def test_another_servers_text_can_not_steer_a_terminal() -> None:
    said = plain("Acme\x1b[31m\r\n" + "x" * 5000, 100)
    assert len(said) == 100
    assert said.isprintable()
