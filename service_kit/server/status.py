"""One of our errors as a gRPC status with google.rpc details.

The other direction is `service_kit.client.status`. grpcurl shows the details because this module loads
their descriptors.
"""

from typing import NamedTuple

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2

from service_kit import errors
from service_kit.errors import InvalidArgument, LimitReached, OffsiteError
from service_kit.reasons import DOMAIN

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


class GrpcStatus(NamedTuple):
    """What `context.abort` takes."""

    code: grpc.StatusCode
    details: str
    trailing_metadata: tuple[tuple[str, bytes], ...]


def to_status(error: OffsiteError) -> GrpcStatus:
    """The status of an error: its code by class ancestry, its text, and the details."""
    code = next(CODES[each] for each in type(error).__mro__ if each in CODES)
    text = f"{error.message} {error.advice}".strip()
    status = status_pb2.Status(
        code=code.value[0], message=text, details=map(_packed, _details(error))
    )
    return GrpcStatus(code, text, (("grpc-status-details-bin", status.SerializeToString()),))


def _details(error: OffsiteError) -> list[object]:
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.metadata)
    details: list[object] = [info]
    if error.advice:
        link = error_details_pb2.Help.Link(description=error.advice)
        details.append(error_details_pb2.Help(links=[link]))
    if isinstance(error, InvalidArgument):
        details.append(_bad_request(error))
    if isinstance(error, LimitReached):
        violation = error_details_pb2.QuotaFailure.Violation(
            subject=error.reason, description=error.message
        )
        details.append(error_details_pb2.QuotaFailure(violations=[violation]))
    if error.retry_after is not None:
        delay = duration_pb2.Duration()
        delay.FromTimedelta(error.retry_after)
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    return details


def _bad_request(error: InvalidArgument) -> error_details_pb2.BadRequest:
    violation = error_details_pb2.BadRequest.FieldViolation
    return error_details_pb2.BadRequest(
        field_violations=[
            violation(field=each.field, description=each.description) for each in error.violations
        ]
    )


def _packed(detail: object) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(detail)
    return packed
