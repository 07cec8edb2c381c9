"""The commands for the server's own machine: serve, migrate, backup, restore; and the health probe.

The server's code is loaded by these alone: no other command pays for it.
"""

from collections.abc import Callable
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from cyclopts import App

from service_kit.cli import output
from service_kit.cli.confirmation import count_of
from service_kit.cli.connection import open_call, stub
from service_kit.cli.options import Program, invocation
from service_kit.cli.parameters import Flag
from service_kit.cli.program import environment
from service_kit.cli.serve_options import LedgerOptions
from service_kit.errors import Unavailable
from service_kit.reasons import Reason


def register(app: App, program: Program, serve: Callable[..., None]) -> None:
    """Add the commands of a program's server; their options are environment variables too."""
    for command in (serve, migrate, backup, restore):
        app.command(
            App(default_command=command, name=command.__name__, config=environment(program.prefix))
        )
    app.command(health)


def service() -> Any:
    """The program's server, loaded now."""
    return import_module(f"{invocation().program.service}.app")


def migrate(*, options: LedgerOptions | None = None) -> None:
    """Bring the ledger to this program's schema; `serve` does it too."""
    service().migrate((options or LedgerOptions()).settings())
    output.line("The ledger has this program's schema.")


def backup(file: Path, /, *, options: LedgerOptions | None = None) -> None:
    """Write ledger and identity to one file (0600), also while the server runs. Keep it secret."""
    done = service().backup((options or LedgerOptions()).settings(), file)
    output.line(f"{file}: server {done.guid}, {count_of(sum(done.tables.values()), 'row')}")


def restore(file: Path, /, *, force: Flag = False, options: LedgerOptions | None = None) -> None:
    """Bring ledger and identity back from a backup. Stop the server first.

    Parameters
    ----------
    force
        Replace the ledger and identity that are there.
    """
    settings = (options or LedgerOptions()).settings()
    done = service().restore(settings, file, force)
    made = datetime.fromisoformat(done.create_time)
    output.line(f"Server {done.guid} is as it was at {made:%Y-%m-%d %H:%M:%S} UTC.")
    output.line(f"The operator's token is a new one: {settings.operator_token_file}")


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
