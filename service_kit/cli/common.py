"""The commands that both servers' operators have."""

from collections.abc import Callable

from cyclopts import App

from service_kit.cli import audit, licenses, tokens
from service_kit.cli.identity import env, identity


def register(app: App, organization_id: Callable[[str], str]) -> None:
    """Add the common commands to a program; `organization_id` makes an id of a name."""
    for each in (licenses.app, audit.make_app(organization_id), tokens.make_app(), identity, env):
        app.command(each)
