"""A gRPC status as one of our errors: the other direction is `service_kit.server.status`."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from service_kit.errors import (
    AlreadyExists,
    Conflict,
    FieldViolation,
    InvalidArgument,
    LimitReached,
    NotFound,
    OffsiteError,
    PermissionDenied,
    Stale,
    Unauthenticated,
    Unavailable,
    Unimplemented,
)
from service_kit.reasons import DOMAIN, Reason
from service_kit.validation import plain

ERRORS: dict[grpc.StatusCode, type[OffsiteError]] = {
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.ALREADY_EXISTS: AlreadyExists,
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDenied,
    grpc.StatusCode.RESOURCE_EXHAUSTED: LimitReached,
    grpc.StatusCode.FAILED_PRECONDITION: Conflict,
    grpc.StatusCode.ABORTED: Stale,
}

LONGEST_TEXT = 2000  # characters of what another server says
LONGEST_WAIT = timedelta(days=1)

_KINDS = (
    error_details_pb2.ErrorInfo,
    error_details_pb2.BadRequest,
    error_details_pb2.RetryInfo,
    error_details_pb2.Help,
)


def error_of(failure: grpc.RpcError) -> OffsiteError:
    """The error that a failed call stands for.

    Only an `ErrorInfo` of ours makes an outcome certain: without one it is Unavailable, for the
    code may be gRPC's own, or a proxy's. So it is after a fault of the other side's own.
    """
    code = failure.code()
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return Unimplemented(
            Reason.PEER_TOO_OLD,
            "The other server does not know this call.",
            "Upgrade the other server to this one's version.",
        )
    details = _details(failure)
    info = details.get(error_details_pb2.ErrorInfo)
    if info is None or info.domain != DOMAIN:
        return _unclear(code, failure.details() or "")
    if code is grpc.StatusCode.INVALID_ARGUMENT:
        return _invalid(details.get(error_details_pb2.BadRequest), _reason(info))
    message, advice = _sentences(failure, details)
    retry = details.get(error_details_pb2.RetryInfo)
    return ERRORS.get(code, Unavailable)(
        _reason(info),
        message,
        advice,
        metadata=dict(info.metadata),
        retry_after=_wait(retry) if retry else None,
    )


def _details(failure: grpc.RpcError) -> dict[type, Any]:
    """The google.rpc details by their type; of a kind that is not known, none."""
    # Pairs, whatever the stubs say: _Metadatum is a named tuple, and grpc.aio has its own class.
    metadata: Iterable[Any] = failure.trailing_metadata() or ()
    encoded = next((value for key, value in metadata if key == "grpc-status-details-bin"), b"")
    try:
        listed = status_pb2.Status.FromString(encoded).details
        known = [(kind, each) for each in listed for kind in _KINDS if each.Is(kind.DESCRIPTOR)]
        return {kind: kind.FromString(each.value) for kind, each in known}
    except DecodeError:  # another side's nonsense tells nothing
        return {}


def _sentences(failure: grpc.RpcError, details: dict[type, Any]) -> tuple[str, str]:
    """What happened, and what to do next: the status' message ends with the advice."""
    message = failure.details() or ""
    help_ = details.get(error_details_pb2.Help)
    advice = help_.links[0].description if help_ and help_.links else ""
    what = message.removesuffix(advice).rstrip()
    return plain(what, LONGEST_TEXT), plain(advice, LONGEST_TEXT)


def _reason(info: error_details_pb2.ErrorInfo) -> Reason:
    """The reason; of a newer server's that is not known here, that the state does not allow it."""
    return Reason(info.reason) if info.reason in Reason.__members__ else Reason.WRONG_STATE


def _wait(retry: error_details_pb2.RetryInfo) -> timedelta:
    """How long to wait, within reason: the other side may say any number."""
    seconds = retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9
    return timedelta(seconds=min(max(seconds, 0), LONGEST_WAIT.total_seconds()))


def _invalid(bad: error_details_pb2.BadRequest | None, reason: Reason) -> InvalidArgument:
    listed = bad.field_violations if bad else ()
    violations = [
        FieldViolation(plain(each.field, 200), plain(each.description, LONGEST_TEXT))
        for each in listed
    ]
    return InvalidArgument(violations, reason)


def _unclear(code: grpc.StatusCode, text: str) -> OffsiteError:
    return Unavailable(
        Reason.UNAVAILABLE,
        f"The other server did not answer ({code.name}): {plain(text, 300)}",
        "Check that it runs and that its gRPC port can be reached.",
        retry_after=timedelta(seconds=1),
    )
