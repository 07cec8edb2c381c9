"""The commands for the server's own machine: serve, migrate, backup, restore; and the health probe.

The server's code is loaded by these alone: no other command pays for it.
"""

from importlib import import_module
from pathlib import Path
from typing import Any

from cyclopts import App

from service_kit.cli import output
from service_kit.cli.common import Flag
from service_kit.cli.connection import open_call, stub
from service_kit.cli.options import Program, invocation
from service_kit.cli.program import environment
from service_kit.errors import Unavailable
from service_kit.reasons import Reason
from service_kit.settings import ServerSettings


def register(app: App, program: Program) -> None:
    """Add the commands of a program's server, except `serve`, which has options of its own."""
    for command in (migrate, backup, restore):
        app.command(
            App(default_command=command, name=command.__name__, config=environment(program))
        )
    app.command(health)


def settings(**given: Any) -> ServerSettings:
    """The settings of a command's options.

    Raises:
        InvalidArgument: an option is out of bounds.
    """
    run = invocation()
    options = {"grpc": run.program.grpc, "https": run.program.https, "data": run.options.data}
    chosen = {name: value for name, value in given.items() if value}
    return ServerSettings.make(run.program.name, **{**options, **chosen})


def service() -> Any:
    """The program's server, loaded now."""
    return import_module(f"{invocation().program.service}.app")


def migrate(*, database: str = "", identity: Path | None = None) -> None:
    """Bring the ledger to this program's schema; `serve` does it too.

    Parameters
    ----------
    database
        sqlite:///PATH or postgresql://…; a file in the data folder if left out.
    identity
        The identity file; identity.pem in the data folder if left out.
    """
    service().migrate(settings(database=database, identity=identity))
    output.line("The ledger has this program's schema.")


def backup(file: Path, /, *, database: str = "", identity: Path | None = None) -> None:
    """Write ledger and identity to one file (0600), also while the server runs. Keep it secret.

    Parameters
    ----------
    database
        sqlite:///PATH or postgresql://…; a file in the data folder if left out.
    identity
        The identity file; identity.pem in the data folder if left out.
    """
    done = service().backup(settings(database=database, identity=identity), file)
    output.line(f"{file}: server {done.guid}, {sum(done.tables.values())} rows")


def restore(
    file: Path, /, *, database: str = "", identity: Path | None = None, force: Flag = False
) -> None:
    """Bring ledger and identity back from a backup. Stop the server first.

    Parameters
    ----------
    database
        sqlite:///PATH or postgresql://…; a file in the data folder if left out.
    identity
        The identity file; identity.pem in the data folder if left out.
    force
        Replace the ledger and identity that are there.
    """
    done = service().restore(settings(database=database, identity=identity), file, force)
    output.line(f"Server {done.guid} is as it was at {done.create_time}.")


def health() -> None:
    """Ask whether the server is ready: exit status 0, or 3."""
    from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
    from grpc_health.v1.health_pb2_grpc import HealthStub

    answer = open_call(stub(HealthStub).Check, HealthCheckRequest())  # type: ignore[attr-defined]
    if answer.status != HealthCheckResponse.SERVING:
        raise Unavailable(
            Reason.UNAVAILABLE, "The server is starting or stopping.", "Ask again in a moment."
        )
    output.line("ready")
