"""`offsite-provider serve`."""

from service_kit.cli import server
from service_kit.cli.serve_options import ServeOptions


def serve(*, options: ServeOptions | None = None) -> None:
    """Run the server until SIGTERM or SIGINT. The first start makes all that it needs."""
    server.service().serve((options or ServeOptions()).settings())
