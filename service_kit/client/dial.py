"""Dial another server by its GUID.

Step 1 reads the certificates that whoever answers shows, without trusting them, and decides whom to
expect: the reason of a refusal can so be named. Step 2 opens the channel for use with the expected
identity CA as its only root; only that handshake authenticates.
"""

import asyncio
import select
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import grpc
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL
from OpenSSL.crypto import X509

from service_kit.clock import now
from service_kit.errors import Conflict, OffsiteError, PermissionDenied, Unavailable
from service_kit.identity.guid import guid_of, peer_name
from service_kit.reasons import Reason

CHANNEL_OPTIONS = [
    ("grpc.max_receive_message_length", 4 * 1024 * 1024),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.max_reconnect_backoff_ms", 10_000),
    ("grpc.use_local_subchannel_pool", 1),
]


WITHIN = timedelta(seconds=10)


@dataclass(frozen=True)
class PeerChain:
    """What a server showed: its leaf, and the identity CA that gives the GUID."""

    leaf: x509.Certificate
    ca: x509.Certificate


async def dial(
    address: str, guid: str, *, token: Callable[[], str] | None = None, within: timedelta = WITHIN
) -> grpc.aio.Channel:
    """A channel to the server with this GUID at HOST:PORT; `token` makes each call's peer token.

    Raises:
        Unavailable: nobody answers.
        PermissionDenied: another server answers.
        Conflict: the two clocks are too far apart.
    """
    chain = await read_peer(address, guid, within=within)
    return open_channel(address, guid, chain.ca.public_bytes(Encoding.PEM), token)


async def dial_any(
    addresses: Sequence[str],
    guid: str,
    *,
    token: Callable[[], str] | None = None,
    within: timedelta = WITHIN,
) -> grpc.aio.Channel:
    """A channel to the first of these addresses at which the server with this GUID answers.

    Raises:
        OffsiteError: the first address' refusal, if none answers.
    """
    if not addresses:
        raise Unavailable(
            Reason.PEER_UNREACHABLE,
            f"No address of the server {guid} is known.",
            "Give its hostname and port.",
        )
    refusals: list[OffsiteError] = []
    for address in addresses:
        try:
            return await dial(address, guid, token=token, within=within)
        except OffsiteError as error:
            refusals.append(error)
    raise refusals[0]


def open_channel(
    address: str, guid: str, ca_pem: bytes, token: Callable[[], str] | None = None
) -> grpc.aio.Channel:
    """A channel that trusts one identity CA alone, whatever name the server is dialled by."""
    credentials = grpc.ssl_channel_credentials(root_certificates=ca_pem)
    if token is not None:
        calls = grpc.metadata_call_credentials(_BearerToken(token))
        credentials = grpc.composite_channel_credentials(credentials, calls)
    options = [*CHANNEL_OPTIONS, ("grpc.ssl_target_name_override", peer_name(guid))]
    return grpc.aio.secure_channel(address, credentials, options=options)


async def read_peer(address: str, guid: str, *, within: timedelta = WITHIN) -> PeerChain:
    """The chain of the server at HOST:PORT, if it is the one with this GUID.

    Raises:
        Unavailable: nobody answers, or it speaks no TLS.
        PermissionDenied: another server answers.
        Conflict: the two clocks are too far apart.
    """
    certificates = await asyncio.to_thread(_certificates, address, guid, within.total_seconds())
    chain = _expected(certificates, address, guid)
    _check_clock(chain, address)
    return chain


class _BearerToken(grpc.AuthMetadataPlugin):
    """Adds a token to each call."""

    def __init__(self, token: Callable[[], str]) -> None:
        self._token = token

    def __call__(
        self,
        context: grpc.AuthMetadataContext,
        callback: grpc.AuthMetadataPluginCallback,
    ) -> None:
        """Called by gRPC before a call."""
        callback((("authorization", f"Bearer {self._token()}"),), None)


def _certificates(address: str, guid: str, seconds: float) -> list[X509]:
    """The certificates that whoever answers shows, leaf first. Nothing is trusted here.

    The name asked for (SNI) is that of the channel's own handshake, so that a proxy that looks at
    names leads both to the same server.
    """
    end = time.monotonic() + seconds
    host, _, port = address.rpartition(":")
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_verify(SSL.VERIFY_NONE)
    context.set_alpn_protos([b"h2"])
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=seconds) as plain:
            connection = SSL.Connection(context, plain)
            connection.set_tlsext_host_name(peer_name(guid).encode())
            connection.set_connect_state()
            _handshake(connection, plain, end)
            return connection.get_peer_cert_chain() or []
    except OSError as error:
        raise _unreachable(address, error.strerror or str(error)) from error
    except SSL.Error as error:
        raise _unreachable(address, "it speaks no TLS that this server knows") from error
    except (ValueError, OverflowError) as error:
        raise _unreachable(address, "that is no HOST:PORT") from error


def _handshake(connection: SSL.Connection, plain: socket.socket, end: float) -> None:
    """A TLS handshake by that time; pyOpenSSL leaves waiting for the socket to its caller."""
    plain.setblocking(False)
    while True:
        try:
            connection.do_handshake()
            return
        except (SSL.WantReadError, SSL.WantWriteError) as wanted:
            reading = isinstance(wanted, SSL.WantReadError)
            left = max(end - time.monotonic(), 0)
            poll = select.poll()  # select() takes no descriptor above 1023
            poll.register(plain, select.POLLIN if reading else select.POLLOUT)
            if not poll.poll(left * 1000):
                raise TimeoutError("no TLS handshake in time") from None


def _expected(certificates: Sequence[X509], address: str, guid: str) -> PeerChain:
    """Leaf and identity CA of a chain, if they are the expected server's."""
    chain = _self_proving(certificates)
    if chain is None:
        raise _mismatch(f"The server at {address} did not prove the GUID {guid}.")
    found = _guid(chain.ca)
    if found != guid:
        raise _mismatch(f"The server at {address} has the GUID {found}, not {guid}.")
    return chain


def _self_proving(certificates: Sequence[X509]) -> PeerChain | None:
    """A leaf and the self-signed CA that signed it, or None: anything may come from a stranger."""
    if len(certificates) < 2:
        return None
    try:
        leaf, ca = certificates[0].to_cryptography(), certificates[-1].to_cryptography()
        ca.verify_directly_issued_by(ca)
        leaf.verify_directly_issued_by(ca)
        return PeerChain(leaf, ca) if _guid(ca) else None
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return None


def _guid(ca: x509.Certificate) -> str | None:
    key = ca.public_key()
    return guid_of(key) if isinstance(key, ec.EllipticCurvePublicKey) else None


def _check_clock(chain: PeerChain, address: str) -> None:
    """Name a wrong clock, of which TLS would only say that a certificate is not valid.

    A CA made under a fast clock is from the future even when its server's clock was set right.
    """
    here = now()
    for certificate in (chain.leaf, chain.ca):
        begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        if not begin <= here <= end:
            raise _clock(address, here, begin, end)


def _clock(address: str, here: datetime, begin: datetime, end: datetime) -> Conflict:
    return Conflict(
        Reason.PEER_CLOCK,
        f"It is {here:%Y-%m-%d %H:%M} UTC here, and the certificate of {address} is valid "
        f"from {begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC.",
        "Set both servers' clocks by NTP.",
    )


def _mismatch(message: str) -> PermissionDenied:
    return PermissionDenied(
        Reason.PEER_IDENTITY_MISMATCH,
        message,
        "Compare hostname and GUID with what the other side printed; do not send the key.",
    )


def _unreachable(address: str, why: str) -> Unavailable:
    return Unavailable(
        Reason.PEER_UNREACHABLE,
        f"No server answers at {address}: {why}",
        "Check the hostname and port, and that a firewall lets the connection through.",
    )
