"""`offsite-customer`: the customer's own server, and its administrator's commands."""

from customer_service.cli import (
    destinations,
    devices,
    organizations,
    peers,
    serving,
    storages,
    users,
)
from customer_service.cli.program import PROGRAM
from service_kit.cli import common, server
from service_kit.cli.program import main as run
from service_kit.cli.program import make_app

app = make_app(PROGRAM, "The server of a customer, and its administrator's commands.")
serving.register(app)
for each in (storages.app, organizations.app, destinations.app, users.app, devices.app):
    app.command(each)
common.register(app, organizations.id_of)
peers.register(common.token_app)
server.register(app, PROGRAM)


def main() -> None:
    """The entry point."""
    run(app)
