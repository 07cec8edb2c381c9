"""The options of the commands that open a server's data themselves."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from service_kit.cli.options import invocation
from service_kit.cli.parameters import Flag
from service_kit.settings import ServerSettings

Repeated = Annotated[tuple[str, ...], Parameter(negative=(), show_default=False)]


@Parameter(name="*")
@dataclass(frozen=True)
class LedgerOptions:
    """Where ledger and identity are; what was not given has a default."""

    database: str | None = None
    """sqlite:///PATH or postgresql://…; a file in the data folder if left out."""

    identity: Path | None = None
    """The identity file; identity.pem in the data folder if left out. Replicas share it."""

    def settings(self) -> ServerSettings:
        """The server's settings.

        Raises:
            InvalidArgument: an option is out of bounds.
        """
        run = invocation()
        default = {"grpc": run.program.grpc, "https": run.program.https, "data": run.options.data}
        given = {name: value for name, value in asdict(self).items() if value}
        return ServerSettings.make(run.program.name, **{**default, **given})


@Parameter(name="*")
@dataclass(frozen=True)
class ServeOptions(LedgerOptions):
    """The options of `serve`, the same at both servers."""

    grpc: str | None = None
    """HOST:PORT to listen at for gRPC; 127.0.0.1 and the program's port if left out."""

    https: str | None = None
    """HOST:PORT to listen at for HTTPS (archives, health, metrics); 127.0.0.1 if left out."""

    archive: str | None = None
    """Where backups rest: a folder, or s3://BUCKET/PREFIX with AWS_* in the environment."""

    archive_reserve: str | None = None
    """Disk space that new data never takes, like 10GB; 5 % and at least 1 GiB if left out."""

    adopt_archive: Flag = False
    """Once, after a loss: take the archive though the ledger tells of another; then rebuild."""

    advertise_grpc: Repeated = ()
    """HOST:PORT that the other side dials; repeatable. It stands in the certificate."""

    advertise_https: Repeated = ()
    """HOST:PORT that computers dial; repeatable. It stands in the certificate."""

    log_level: str = "info"
    """debug, info, warning or error."""

    log_format: str = "console"
    """console, or json."""
