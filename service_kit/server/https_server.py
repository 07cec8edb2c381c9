"""The HTTPS listener: health and metrics, and whatever rooms a service adds."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import TypeAlias

from aiohttp import web

from service_kit.metrics import Metrics
from service_kit.server.listening import cannot_listen, check_free
from service_kit.server.serving_leaf import ServingLeaf
from service_kit.settings import join_address, split_address

Routes: TypeAlias = Callable[[web.Application], None]
Probe: TypeAlias = Callable[[], Awaitable[str]]
MayRead: TypeAlias = Callable[[str | None], Awaitable[bool]]

KEEP_ALIVE_SECONDS = 150.0  # clients close idle connections after 90; a server must not be first


class HttpsServer:
    """An aiohttp server; `start` binds, `stop` ends it.

    `not_ready` tells why the server can't serve now, or nothing when it can. The three paths are
    open, as scrapers and load balancers expect. `may_read` tells of an Authorization header whether
    the figures of single organizations are told too. Requests under way at `stop` get `grace`.
    """

    def __init__(
        self,
        metrics: Metrics,
        not_ready: Probe,
        may_read: MayRead,
        routes: Sequence[Routes],
        grace: timedelta,
    ) -> None:
        self.metrics = metrics
        self.not_ready = not_ready
        self.may_read = may_read
        app = web.Application()
        app.add_routes(
            [
                web.get("/metrics", self._metrics),
                web.get("/healthz", self._healthz),
                web.get("/readyz", self._readyz),
            ]
        )
        for add in routes:
            add(app)
        self._runner = web.AppRunner(
            app,
            access_log=None,
            handle_signals=False,
            keepalive_timeout=KEEP_ALIVE_SECONDS,
            shutdown_timeout=grace.total_seconds(),
            # A body is what its length says: unpacked, a small one could fill the disk.
            auto_decompress=False,
        )

    async def start(self, address: str, leaf: ServingLeaf) -> str:
        """Listen; returns the address with its real port.

        Raises:
            Conflict: ADDRESS_IN_USE.
        """
        check_free(address)
        host, port = split_address(address)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port, ssl_context=leaf.https_context()).start()
        except OSError as error:  # taken since the check
            raise cannot_listen(address, error) from error
        return join_address(host, self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Stop listening and end open connections."""
        await self._runner.cleanup()

    async def _metrics(self, request: web.Request) -> web.Response:
        headers = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        authorization = request.headers.get("Authorization")
        if authorization is not None and not await self.may_read(authorization):
            return web.Response(text="This token may not read.\n", status=401)
        text = await self.metrics.scrape(of_organizations=authorization is not None)
        return web.Response(body=text, headers=headers)

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, _: web.Request) -> web.Response:
        reason = await self.not_ready()
        return web.Response(text=f"{reason or 'ready'}\n", status=503 if reason else 200)
