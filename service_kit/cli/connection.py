"""The connection of a command to its server."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import grpc

from service_kit.cli.options import Invocation, invocation
from service_kit.client.status import error_of
from service_kit.errors import Conflict, Unavailable
from service_kit.reasons import Reason

Stub = TypeVar("Stub")

TIMEOUT = 60.0  # seconds
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


def stub(kind: Callable[[grpc.Channel], Stub]) -> Stub:
    """A stub of a service, over the command's one channel."""
    return kind(_channel(invocation()))


def call(method: Callable[..., Any], request: Any, timeout: float | None = TIMEOUT) -> Any:
    """Call the server.

    Raises:
        OffsiteError: it refuses, or can't be reached.
    """
    token = _read(invocation().token_file, "The token").decode().strip()
    try:
        return method(request, timeout=timeout, metadata=(("authorization", f"Bearer {token}"),))
    except grpc.RpcError as error:
        raise reached(error) from error


def open_call(method: Callable[..., Any], request: Any) -> Any:
    """Call what needs no token."""
    try:
        return method(request, timeout=TIMEOUT)
    except grpc.RpcError as error:
        raise reached(error) from error


def reached(error: grpc.RpcError) -> Exception:
    """The error of a call; of a server that was not reached, with its address."""
    failure = error_of(error)
    if isinstance(failure, Unavailable) and failure.reason == Reason.UNAVAILABLE:
        endpoint = invocation().endpoint
        return Unavailable(
            Reason.UNAVAILABLE,
            f"The server at {endpoint} can't be reached.",
            "Start it (serve), or name it with --endpoint HOST:PORT and --ca FILE.",
        )
    return failure


@functools.cache
def _channel(invocation: Invocation) -> grpc.Channel:
    ca_pem = _read(invocation.ca, "The identity CA")
    options = []
    if invocation.endpoint.rpartition(":")[0] not in LOOPBACK:
        options = [("grpc.ssl_target_name_override", _server_name(ca_pem))]
    credentials = grpc.ssl_channel_credentials(ca_pem)
    return grpc.secure_channel(invocation.endpoint, credentials, options)


def _server_name(ca_pem: bytes) -> str:
    """The name that always stands in the server's certificate, however it is reached."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

    from service_kit.identity.guid import guid_of, peer_name

    key = x509.load_pem_x509_certificate(ca_pem).public_key()
    if not isinstance(key, EllipticCurvePublicKey):
        raise Conflict(
            Reason.IDENTITY_UNREADABLE,
            "The identity CA is no server's.",
            "Use the server's own: identity --ca.",
        )
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
