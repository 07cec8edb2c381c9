"""One of our errors as a gRPC status with google.rpc details.

The other direction is `service_kit.client.status`. grpcurl shows the details because this module
loads their descriptors. The whole stays below 8 KiB, which is what gRPC clients take of trailing
metadata: grpc-message may treble by percent-encoding, and the details grow by a third in base64.
"""

from typing import NamedTuple

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from service_kit import errors
from service_kit.errors import InvalidArgument, LimitReached, OffsiteError
from service_kit.reasons import DOMAIN, Reason

CODES: dict[type[OffsiteError], grpc.StatusCode] = {
    errors.InvalidArgument: grpc.StatusCode.INVALID_ARGUMENT,
    errors.NotFound: grpc.StatusCode.NOT_FOUND,
    errors.AlreadyExists: grpc.StatusCode.ALREADY_EXISTS,
    errors.Unauthenticated: grpc.StatusCode.UNAUTHENTICATED,
    errors.PermissionDenied: grpc.StatusCode.PERMISSION_DENIED,
    errors.LimitReached: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.Conflict: grpc.StatusCode.FAILED_PRECONDITION,
    errors.Stale: grpc.StatusCode.ABORTED,
    errors.Unavailable: grpc.StatusCode.UNAVAILABLE,
    errors.Unimplemented: grpc.StatusCode.UNIMPLEMENTED,
    errors.DeadlineExceeded: grpc.StatusCode.DEADLINE_EXCEEDED,
    errors.Internal: grpc.StatusCode.INTERNAL,
    errors.OffsiteError: grpc.StatusCode.UNKNOWN,
}


MESSAGE_BYTES = 600
ADVICE_BYTES = 200
FACT_BYTES = 200
FIELD_BYTES = 100
VIOLATIONS_BYTES = 2000  # fields beyond are not listed


class GrpcStatus(NamedTuple):
    """What `context.abort` takes."""

    code: grpc.StatusCode
    details: str
    trailing_metadata: tuple[tuple[str, bytes], ...]


def to_status(error: OffsiteError) -> GrpcStatus:
    """The status of an error: its code by class ancestry, its text, and the details."""
    code = next(CODES[each] for each in type(error).__mro__ if each in CODES)
    message, advice = cut(error.message, MESSAGE_BYTES), cut(error.advice, ADVICE_BYTES)
    if advice and message[-1:] not in (".", "!", "?", ":"):
        message += "."
    text = f"{message} {advice}".strip()
    status = status_pb2.Status(
        code=code.value[0], message=text, details=map(_packed, _details(error))
    )
    return GrpcStatus(code, text, (("grpc-status-details-bin", status.SerializeToString()),))


def cut(text: str, most: int) -> str:
    """Text of at most so many bytes of UTF-8."""
    encoded = text.encode()
    return text if len(encoded) <= most else encoded[: most - 3].decode(errors="ignore") + "…"


def _details(error: OffsiteError) -> list[Message]:
    facts = {key: cut(value, FACT_BYTES) for key, value in error.metadata.items()}
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=facts)
    details: list[Message] = [info]
    if error.advice:
        link = error_details_pb2.Help.Link(description=cut(error.advice, ADVICE_BYTES))
        details.append(error_details_pb2.Help(links=[link]))
    if isinstance(error, InvalidArgument):
        details.append(_bad_request(error))
    if isinstance(error, LimitReached) and error.reason is not Reason.MESSAGE_TOO_LARGE:
        violation = error_details_pb2.QuotaFailure.Violation(
            subject=error.reason, description=cut(error.message, FACT_BYTES)
        )
        details.append(error_details_pb2.QuotaFailure(violations=[violation]))
    if error.retry_after is not None:
        delay = duration_pb2.Duration()
        delay.FromTimedelta(error.retry_after)
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    return details


def _bad_request(error: InvalidArgument) -> error_details_pb2.BadRequest:
    bad = error_details_pb2.BadRequest()
    for each in error.violations:
        bad.field_violations.add(
            field=cut(each.field, FIELD_BYTES), description=cut(each.description, FACT_BYTES)
        )
        if bad.ByteSize() > VIOLATIONS_BYTES:
            break
    return bad


def _packed(detail: Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(detail)
    return packed
