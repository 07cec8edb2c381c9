"""`offsite-customer serve`."""

from service_kit.cli import server
from service_kit.cli.serve_options import ServeOptions


def serve(*, options: ServeOptions | None = None, organization: str = "Company") -> None:
    """Run the server until SIGTERM or SIGINT. The first start makes all that it needs.

    Parameters
    ----------
    organization
        The name of the root organization, at the first start.
    """
    server.service().serve((options or ServeOptions()).settings(), organization)
