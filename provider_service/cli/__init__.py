"""`offsite-provider`: the provider's server, and its operator's commands."""

from service_kit.cli import common, server
from service_kit.cli.program import main as run
from service_kit.cli.program import make_app

# isort: split
from provider_service.cli import archives, attachments, organizations, seats, terms
from provider_service.cli.program import PROGRAM
from provider_service.cli.serving import serve

app = make_app(PROGRAM, "The server of a service provider, and its operator's commands.")
for each in (organizations.app, seats.app, terms.app, archives.app, archives.usage):
    app.command(each)
organizations.app.command(attachments.app, name="*")
common.register(app, organizations.id_of)
server.register(app, PROGRAM, serve)


def main() -> None:
    """The entry point."""
    run(app)
