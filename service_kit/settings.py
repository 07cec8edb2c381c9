"""What a server is told at start, with the defaults filled in."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from service_kit.sizes import parse_size
from service_kit.validation import Checks

LOG_LEVELS = ("debug", "info", "warning", "error")
LOG_FORMATS = ("console", "json")
_DATABASES = ("sqlite:///", "postgresql://")


@dataclass(frozen=True)
class ServerSettings:
    """A server's settings; addresses are HOST:PORT, and port 0 takes any free one.

    `archive` is a folder or s3://BUCKET/PREFIX. `archive_reserve_bytes` of its disk stay free for
    other things than new data; None means 5 % and at least 1 GiB.
    `adopt_archive` takes the archive as this server's own though the ledger tells of another.
    """

    program: str
    data: Path
    database: str
    identity: Path
    grpc: str
    https: str
    archive: str
    archive_reserve_bytes: int | None = None
    adopt_archive: bool = False
    advertise_grpc: tuple[str, ...] = ()
    advertise_https: tuple[str, ...] = ()
    log_level: str = "info"
    log_format: str = "console"

    def __post_init__(self) -> None:
        """Refuse what is out of bounds, naming every option."""
        checks = Checks()
        for field in ("grpc", "https"):
            _check_address(checks, field, getattr(self, field), least_port=0)
        for field in ("advertise_grpc", "advertise_https"):
            for address in getattr(self, field):
                _check_address(checks, field, address, least_port=1)
        if not self.database.startswith(_DATABASES):
            checks.fail("database", "must start with sqlite:/// or postgresql://")
        if self.log_level not in LOG_LEVELS:
            checks.fail("log_level", f"must be one of {', '.join(LOG_LEVELS)}")
        if self.log_format not in LOG_FORMATS:
            checks.fail("log_format", f"must be one of {', '.join(LOG_FORMATS)}")
        checks.done()

    @classmethod
    def make(
        cls,
        program: str,
        *,
        grpc: str,
        https: str,
        data: Path | None = None,
        archive: str | None = None,
        archive_reserve: str | None = None,
        adopt_archive: bool = False,
        database: str | None = None,
        identity: Path | None = None,
        advertise_grpc: Sequence[str] = (),
        advertise_https: Sequence[str] = (),
        log_level: str = "info",
        log_format: str = "console",
    ) -> "ServerSettings":
        """Settings with defaults: all under one data folder, the platform's own unless named.

        Raises:
            InvalidArgument: an option is out of bounds; each is named.
        """
        folder = (data or default_data(program)).absolute()
        return cls(
            program=program,
            data=folder,
            database=database or f"sqlite:///{folder / 'ledger.db'}",
            identity=(identity or folder / "identity.pem").absolute(),
            grpc=grpc,
            https=https,
            archive=archive or str(folder / "archive"),
            archive_reserve_bytes=(
                parse_size("archive_reserve", archive_reserve) if archive_reserve else None
            ),
            adopt_archive=adopt_archive,
            advertise_grpc=tuple(advertise_grpc),
            advertise_https=tuple(advertise_https),
            log_level=log_level,
            log_format=log_format,
        )

    @property
    def ca_file(self) -> Path:
        """Where the identity CA certificate is written, for the commands and for grpcurl."""
        return self.data / "ca.pem"

    @property
    def operator_token_file(self) -> Path:
        """Where the first start writes the operator's token."""
        return self.data / "operator.token"


def default_data(program: str) -> Path:
    """The platform's data folder of a program."""
    return platformdirs.user_data_path(program, appauthor=False)


def split_address(address: str) -> tuple[str, int]:
    """Host and port of HOST:PORT or [IPV6]:PORT; ValueError if it is neither."""
    host, colon, port = address.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    host = host[1:-1] if bracketed else host
    if not colon or not host or (":" in host) != bracketed or any(each.isspace() for each in host):
        raise ValueError(f"{address!r} is not HOST:PORT")
    if not (port.isascii() and port.isdigit() and int(port) <= 65535):
        raise ValueError(f"{address!r} has no port of 0 to 65535")
    return host, int(port)


def join_address(host: str, port: int) -> str:
    """HOST:PORT, with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _check_address(checks: Checks, field: str, address: str, *, least_port: int) -> None:
    try:
        _, port = split_address(address)
    except ValueError:
        checks.fail(field, f"must be HOST:PORT, is {address!r}")
        return
    checks.between(field, port, least_port, 65535)
