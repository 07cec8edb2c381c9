"""The connection of a command to its server."""

import functools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import grpc

from service_kit.cli.options import Invocation, invocation
from service_kit.client.status import error_of
from service_kit.errors import (
    FieldViolation,
    InvalidArgument,
    OffsiteError,
    PermissionDenied,
    Unavailable,
)
from service_kit.reasons import Reason

Stub = TypeVar("Stub")

TIMEOUT = 60.0  # seconds
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


def stub(kind: Callable[[grpc.Channel], Stub]) -> Stub:
    """A stub of a service, over the command's one channel."""
    return kind(_channel(invocation()))


def call(method: Callable[..., Any], request: Any) -> Any:
    """Call the server.

    Raises:
        OffsiteError: it refuses, or can't be reached.
    """
    return open_call(method, request, metadata=_authorization())


def open_call(method: Callable[..., Any], request: Any, **options: Any) -> Any:
    """Call what needs no token."""
    try:
        return method(request, timeout=TIMEOUT, **options)
    except grpc.RpcError as error:
        raise _refusal(error) from error


def call_stream(method: Callable[..., Any], request: Any) -> Iterator[Any]:
    """Call what answers again and again; the server has begun when this returns.

    The iterator raises as `call` does.
    """
    answers = method(request, metadata=_authorization())
    answers.initial_metadata()  # waits for it
    return _each(answers)


def _each(answers: Iterable[Any]) -> Iterator[Any]:
    try:
        yield from answers
    except grpc.RpcError as error:
        raise _refusal(error) from error


def _refusal(error: grpc.RpcError) -> OffsiteError:
    """The error of a call; of a server that was not reached, with its address."""
    if error.code() is not grpc.StatusCode.UNAVAILABLE or error.trailing_metadata():
        return error_of(error)
    if "CERTIFICATE_VERIFY_FAILED" in (error.details() or ""):
        return PermissionDenied(
            Reason.PEER_IDENTITY_MISMATCH,
            f"The server at {invocation().endpoint} is not the one of {invocation().ca}.",
            "Name the right --endpoint, or as --ca what that server's `identity --ca` prints.",
        )
    return Unavailable(
        Reason.UNAVAILABLE,
        f"The server at {invocation().endpoint} can't be reached.",
        "Start it (serve), or name it with --endpoint HOST:PORT and --ca FILE.",
    )


def _authorization() -> tuple[tuple[str, str], ...]:
    path = invocation().token_file
    token = _read(path, "The token").strip().decode(errors="replace")
    if not token.isascii() or not token.isprintable() or not token:
        raise InvalidArgument([FieldViolation("--token-file", f"{path} holds no token")])
    return (("authorization", f"Bearer {token}"),)


@functools.cache
def _channel(invocation: Invocation) -> grpc.Channel:
    ca_pem = _read(invocation.ca, "The identity CA")
    # A page of organizations with long notes is larger than grpc's 4 MB; the server is our own.
    options: list[tuple[str, Any]] = [("grpc.max_receive_message_length", -1)]
    if invocation.endpoint.rpartition(":")[0] not in LOOPBACK:
        options.append(("grpc.ssl_target_name_override", _server_name(ca_pem)))
    credentials = grpc.ssl_channel_credentials(ca_pem)
    return grpc.secure_channel(invocation.endpoint, credentials, options)


def _server_name(ca_pem: bytes) -> str:
    """The name that always stands in the server's certificate, however it is reached."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

    from service_kit.identity.guid import guid_of, peer_name

    try:
        key = x509.load_pem_x509_certificate(ca_pem).public_key()
    except ValueError:
        key = None
    if not isinstance(key, EllipticCurvePublicKey):
        violation = FieldViolation("--ca", "must be what the server's own `identity --ca` prints")
        raise InvalidArgument([violation])
    return peer_name(guid_of(key))


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Unavailable(
            Reason.UNAVAILABLE,
            f"{what} can't be read from {path}: {error.strerror}.",
            "Start the server once (serve), or name --data, --ca and --token-file.",
        ) from error
