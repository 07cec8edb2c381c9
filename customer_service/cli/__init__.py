"""`offsite-customer`: the customer's own server, and its administrator's commands."""

from service_kit.cli import common, server
from service_kit.cli.program import main as run
from service_kit.cli.program import make_app

# isort: split
from customer_service.cli import (
    archives,
    destinations,
    devices,
    mending,
    organizations,
    peers,
    recovery,
    storages,
    users,
)
from customer_service.cli.program import PROGRAM
from customer_service.cli.serving import serve

app = make_app(PROGRAM, "The server of a customer, and its administrator's commands.")
for each in (
    storages.app,
    organizations.app,
    destinations.app,
    users.app,
    devices.app,
    recovery.app,
    archives.app,
    archives.usage,
):
    app.command(each)
storages.app.command(mending.app, name="*")
common.register(app, organizations.id_of)
peers.register(app["token"])
server.register(app, PROGRAM, serve)


def main() -> None:
    """The entry point."""
    run(app)
