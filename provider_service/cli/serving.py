"""`offsite-provider serve`."""

from pathlib import Path

from cyclopts import App

from provider_service.cli.program import PROGRAM
from service_kit.cli import server
from service_kit.cli.program import environment
from service_kit.cli.server import Repeated


def register(app: App) -> None:
    """Add the command."""
    app.command(App(default_command=serve, name="serve", config=environment(PROGRAM)))


def serve(
    *,
    database: str = "",
    identity: Path | None = None,
    grpc: str = PROGRAM.grpc,
    https: str = PROGRAM.https,
    advertise_grpc: Repeated = (),
    advertise_https: Repeated = (),
    log_level: str = "info",
    log_format: str = "console",
) -> None:
    """Run the server until SIGTERM or SIGINT. The first start makes all that it needs.

    Parameters
    ----------
    database
        sqlite:///PATH or postgresql://…; a file in the data folder if left out.
    identity
        The identity file; identity.pem in the data folder if left out. Replicas share it.
    grpc
        HOST:PORT to listen at for gRPC.
    https
        HOST:PORT to listen at for HTTPS: health and metrics.
    advertise_grpc
        HOST:PORT that customers' servers dial; repeatable. It stands in the certificate.
    advertise_https
        HOST:PORT that computers dial; repeatable. It stands in the certificate.
    log_level
        debug, info, warning or error.
    log_format
        console or json.
    """
    server.service().serve(
        server.settings(
            database=database,
            identity=identity,
            grpc=grpc,
            https=https,
            advertise_grpc=advertise_grpc,
            advertise_https=advertise_https,
            log_level=log_level,
            log_format=log_format,
        )
    )
