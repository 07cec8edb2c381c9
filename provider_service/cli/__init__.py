"""`offsite-provider`: the provider's server, and its operator's commands."""

from provider_service.cli import organizations, seats, serving, terms
from provider_service.cli.program import PROGRAM
from service_kit.cli import common, server
from service_kit.cli.program import main as run
from service_kit.cli.program import make_app

app = make_app(PROGRAM, "The server of a service provider, and its operator's commands.")
serving.register(app)
for each in (organizations.app, seats.app, terms.app):
    app.command(each)
common.register(app, organizations.id_of)
server.register(app, PROGRAM)


def main() -> None:
    """The entry point."""
    run(app)
