"""A whole server: both listeners, the background loops, and how they start and drain."""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta

import structlog

from service_kit import logs
from service_kit.ledger import license as licenses
from service_kit.server.access import AccessTable
from service_kit.server.authenticator import Authenticator
from service_kit.server.call_record import CallRecord
from service_kit.server.caller import Role
from service_kit.server.first_start import Ground
from service_kit.server.grpc_server import GrpcServer, RpcService, unlisted_methods
from service_kit.server.guards import standard_guards
from service_kit.server.https_server import HttpsServer, Routes
from service_kit.server.interceptor import GuardInterceptor
from service_kit.server.listening import advertised_hosts, reachable
from service_kit.server.loops import Loop, Loops, periodic
from service_kit.server.serving_leaf import ServingLeaf
from service_kit.settings import ServerSettings
from service_kit.version import VERSION

__all__ = ["Loop", "RpcService", "Server", "periodic", "run_server"]

log = structlog.get_logger()

GRACE = timedelta(seconds=10)
Opener = Callable[[], Awaitable[object]]
Closer = Callable[[], Awaitable[object]]


class Server:
    """One server of a process; made inside its event loop, started, and stopped once."""

    def __init__(
        self,
        ground: Ground,
        services: Sequence[RpcService],
        access: AccessTable,
        *,
        loops: Sequence[Loop] = (),
        routes: Sequence[Routes] = (),
        openers: Sequence[Opener] = (),
        closers: Sequence[Closer] = (),
        grace: timedelta = GRACE,
    ) -> None:
        unlisted = unlisted_methods(services, access)
        if unlisted:
            raise ValueError(f"the access table names nobody who may call {', '.join(unlisted)}")
        self.ground = ground
        self.grace = grace
        self.grpc_address = self.https_address = ""
        self._openers = tuple(openers)
        self._closers = tuple(closers)
        self._leaf = ServingLeaf(ground.identity, advertised_hosts(ground.settings))
        self._loops = Loops([Loop("certificate", self._leaf.renew_in_time), *loops])
        authenticator = _authenticator(ground, access)
        guards = standard_guards(authenticator)
        record = CallRecord(ground.metrics, ground.audit_feed)
        self._grpc = GrpcServer(services, GuardInterceptor(guards, access, record))
        self._https = HttpsServer(
            ground.metrics, self._not_ready, authenticator.may_read, routes, grace
        )
        self._serving = False
        self._started = AsyncExitStack()

    @property
    def guid(self) -> str:
        """The server's GUID."""
        return self.ground.guid

    async def start(self) -> None:
        """Open what has to be open first, listen at both ports, then run the loops.

        Raises:
            Conflict: ADDRESS_IN_USE; nothing is left running.
            OffsiteError: what an opener raised.
        """
        settings, advertised = self.ground.settings, self.ground.advertised
        self._started.callback(self.ground.database.dispose)
        for closer in reversed(self._closers):
            self._started.push_async_callback(closer)
        try:
            for opener in self._openers:
                await opener()
            self._started.push_async_callback(self._https.stop)
            self.https_address = await self._https.start(settings.https, self._leaf)
            advertised.https = settings.advertise_https or (reachable(self.https_address),)
            self.grpc_address = await self._grpc.start(settings.grpc, self._leaf)
            advertised.grpc = settings.advertise_grpc or (reachable(self.grpc_address),)
        except BaseException:
            await self._started.aclose()
            raise
        self._started.push_async_callback(self._loops.stop)
        self._started.push_async_callback(self._grpc.stop, self.grace)
        self._loops.start()
        self._serving = True

    async def stop(self) -> None:
        """Drain: calls in flight end, then loops, HTTPS, closers and the database."""
        self._serving = False
        await self._started.aclose()

    async def _not_ready(self) -> str:
        if not self._serving:
            return "starting or stopping"
        try:
            await self.ground.database.read(licenses.get)
        except Exception:  # whatever it is: a probe is answered, and the log tells more
            log.exception("readiness.failed")
            return "the database can't be read"
        return ""


def _authenticator(ground: Ground, access: AccessTable) -> Authenticator:
    """It takes the tokens of devices only where a method is theirs."""
    for_devices = any(Role.DEVICE in roles for roles in access.values())
    device_ca = ground.identity.ca_certificate if for_devices else None
    return Authenticator(ground.database, ground.guid, device_ca)


def run_server(settings: ServerSettings, build: Callable[[ServerSettings], Server]) -> None:
    """Set logging up, build a server, run it until SIGTERM or SIGINT, drain, and return.

    Raises:
        OffsiteError: it can't start; the reason and the advice say why.
    """
    logs.set_up(settings.log_level, settings.log_format)
    asyncio.run(_run(settings, build))


async def _run(settings: ServerSettings, build: Callable[[ServerSettings], Server]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = build(settings)
    await server.start()
    own = await server.ground.database.read(licenses.get)
    _announce(server, own.seats)
    await stop.wait()
    log.info("server.draining", grace_seconds=server.grace.total_seconds())
    await server.stop()
    log.info("server.stopped")


def _announce(server: Server, seats: int) -> None:
    """Tell people, on stdout, who this server is and how to reach it."""
    settings, advertised = server.ground.settings, server.ground.advertised
    lines = [
        f"{settings.program} {VERSION} is ready",
        f"  GUID   {server.guid}",
        f"  gRPC   {server.grpc_address}, advertised as {', '.join(advertised.grpc)}",
        f"  HTTPS  {server.https_address}, advertised as {', '.join(advertised.https)}",
        f"  data   {settings.data}",
        f"  token  {settings.operator_token_file}",
        f"  seats  {seats}; license set --seats changes that",
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
    log.info("server.ready", guid=server.guid, grpc=server.grpc_address, https=server.https_address)
