"""An archive as a part of a server: a service adds its routes, loops and services to its own."""

import asyncio
from collections.abc import Sequence

from offsite.common.v1.archive_service_pb2_grpc import add_ArchiveServiceServicer_to_server
from offsite.common.v1.usage_service_pb2_grpc import add_UsageServiceServicer_to_server

from archive_gateway.background.sweeper import Sweeper
from archive_gateway.background.upkeep import (
    EVERY,
    LOOK_FOR_STRAYS_EVERY,
    RECOUNT_EVERY,
    Upkeep,
)
from archive_gateway.blob_stores.opening import open_store
from archive_gateway.blob_stores.room import Room
from archive_gateway.http.doorkeeper import Doorkeeper
from archive_gateway.http.gateway import Gateway
from archive_gateway.http.meter import Meter
from archive_gateway.http.receiving import Receiver
from archive_gateway.http.sending import Sender
from archive_gateway.measuring import measure
from archive_gateway.operations import ownership
from archive_gateway.rpc.access import ARCHIVE_ACCESS
from archive_gateway.rpc.archive_service import ArchiveServicer
from archive_gateway.rpc.usage_service import UsageServicer
from archive_gateway.tenancy import Tenancy
from service_kit.server.first_start import Ground
from service_kit.server.https_server import Routes
from service_kit.server.process import Loop, RpcService, periodic

FLUSH_EVERY = EVERY / 12


class Archive:
    """The archives of one server."""

    access = ARCHIVE_ACCESS

    def __init__(self, ground: Ground, tenancy: Tenancy) -> None:
        """Open the blob store that the settings name.

        Raises:
            InvalidArgument: `archive` names none.
            Unavailable: it can't be opened.
        """
        settings, database = ground.settings, ground.database
        self.store = open_store(settings.archive, settings.data / "spool")
        self.tenancy = tenancy
        self._ground = ground
        self._wake = asyncio.Event()
        self._meter = Meter(database)
        self._room = Room(self.store, settings.archive_reserve_bytes)
        self._receiver = Receiver(database, self.store, tenancy, self._room)
        sweeper = Sweeper(database, self.store, tenancy)
        self._upkeep = Upkeep(database, self.store, tenancy, self._room, sweeper)
        self._gateway = Gateway(
            database,
            tenancy,
            Doorkeeper(database, ground.identity, tenancy),
            self._receiver,
            Sender(database, self.store, self._meter),
            self._wake.set,
            ground.metrics,
        )
        measure(ground, tenancy, self._room, lambda: self._upkeep.stray_files)

    @property
    def routes(self) -> Routes:
        """What is added to the HTTPS listener."""
        return self._gateway.add_routes

    @property
    def services(self) -> Sequence[RpcService]:
        """What is added to the gRPC listener."""
        return [
            RpcService(
                "offsite.common.v1.ArchiveService",
                add_ArchiveServiceServicer_to_server,
                ArchiveServicer(self._ground, self.store, self.tenancy, self._wake.set),
            ),
            RpcService(
                "offsite.common.v1.UsageService",
                add_UsageServiceServicer_to_server,
                UsageServicer(self._ground.database, self.tenancy),
            ),
        ]

    @property
    def loops(self) -> Sequence[Loop]:
        """What runs beside."""
        upkeep = self._upkeep
        return [
            periodic("archive upkeep", EVERY, upkeep.step, self._wake),
            periodic("archive recount", RECOUNT_EVERY, upkeep.recount),
            periodic("archive strays", LOOK_FOR_STRAYS_EVERY, upkeep.look_for_strays),
            periodic("archive downloads", FLUSH_EVERY, self._meter.flush),
        ]

    async def open(self) -> None:
        """See that the blob store is this server's own, before anything is served.

        Raises:
            Conflict: ARCHIVE_MISPLACED.
            Unavailable: it can't be read.
        """
        database, adopt = self._ground.database, self._ground.settings.adopt_archive
        id = await database.run(ownership.archive_id)
        owner = await self.store.owner()
        if adopt and owner != id:
            await database.run(ownership.adopt)
        else:
            await database.read(ownership.check, owner, id)
        if owner != id:
            await self.store.claim(id)

    async def close(self) -> None:
        """Write down what was counted, and let go of the blob store."""
        await self._meter.flush()
        await self._receiver.close()
        await self.store.close()
