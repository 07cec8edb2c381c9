"""`offsite-customer token peer`: prove to a provider who this server is, by hand."""

from pathlib import Path

from cyclopts import App

from service_kit.cli import output
from service_kit.cli.options import invocation


def register(token_app: App) -> None:
    """Add the command to those of tokens."""
    token_app.command(peer)


def peer(*, audience: str, identity: Path | None = None) -> None:
    """Print a five-minute token by which grpcurl calls a provider as this server.

    Parameters
    ----------
    audience
        The provider's GUID.
    identity
        The identity file; identity.pem in the data folder if left out.
    """
    from service_kit.clock import now
    from service_kit.identity import peer_token
    from service_kit.identity.guid import parse_guid
    from service_kit.identity.identity import Identity

    own = Identity.load(identity or invocation().data / "identity.pem")
    output.line(peer_token.issue(own, parse_guid("--audience", audience), now()))
