"""Where a server listens and what it advertises."""

import errno
import ipaddress
import socket
from dataclasses import dataclass

from service_kit.errors import Conflict
from service_kit.reasons import Reason
from service_kit.settings import ServerSettings, join_address, split_address


@dataclass
class Advertised:
    """The addresses at which others dial this server, best first.

    Filled when the server has bound its ports: what the settings name, else what it listens at.
    """

    grpc: tuple[str, ...] = ()
    https: tuple[str, ...] = ()


def advertised_hosts(settings: ServerSettings) -> list[str]:
    """Every host name or address of the advertised addresses: what the certificate must name."""
    grpc = settings.advertise_grpc or (reachable(settings.grpc),)
    https = settings.advertise_https or (reachable(settings.https),)
    return list(dict.fromkeys(split_address(each)[0] for each in (*grpc, *https)))


def reachable(address: str) -> str:
    """An address that others can dial: for a wildcard like 0.0.0.0, this machine's name."""
    host, port = split_address(address)
    return join_address(socket.gethostname() if _is_wildcard(host) else host, port)


def check_free(address: str) -> None:
    """Refuse an address at which something listens or that is not this machine's.

    gRPC's own failure to bind does not say why.

    Raises:
        Conflict: ADDRESS_IN_USE.
    """
    host, port = split_address(address)
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[
            0
        ]
        with socket.socket(family, kind, protocol) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(where)
            trial.listen(1)
    except OSError as error:
        raise cannot_listen(address, error) from error


def cannot_listen(address: str, error: OSError | None = None) -> Conflict:
    """The refusal to start at an address."""
    if error is None or error.errno == errno.EADDRINUSE:
        why = f"another program already listens at {address}"
        advice = "Stop it, or choose another address with --grpc or --https."
    else:
        why = f"can't listen at {address}: {error.strerror or error}"
        advice = "Choose an address of this machine with --grpc or --https."
    return Conflict(Reason.ADDRESS_IN_USE, why, advice, metadata={"address": address})


def _is_wildcard(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False
