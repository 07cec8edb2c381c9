"""Servers in this process that stop, start again, are copied, and are brought back from backups."""

import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, replace
from pathlib import Path

import grpc.aio

import customer_service.app
import provider_service.app
from service_kit.server.process import Server
from service_kit.settings import ServerSettings
from tests.support.fault_proxy import GrpcProxy, grpc_proxy
from tests.support.ledgers import Ledgers, read_ledgers
from tests.support.pair import Pair, first_identity
from tests.support.ports import free_port
from tests.support.servers import channel, local_settings, operator_token

COPIED = ("identity.pem", "operator.token", "ca.pem")


@dataclass
class Site:
    """A company's server, always at the same address."""

    build: Callable[[ServerSettings], Server]
    settings: ServerSettings
    server: Server | None = None
    channel: grpc.aio.Channel | None = None

    @property
    def running(self) -> Server:
        assert self.server is not None
        return self.server

    async def start(self) -> None:
        self.server = self.build(self.settings)
        await self.server.start()
        self.channel = channel(self.server, operator_token(self.server))

    async def stop(self) -> None:
        if self.server is not None and self.channel is not None:
            await self.channel.close()
            await self.server.stop()
            self.server = self.channel = None

    def copy_to(self, folder: Path) -> "Site":
        """A copy of the whole machine, taken while it runs: the other has another address."""
        folder.mkdir()
        for name in COPIED:
            shutil.copy2(self.settings.data / name, folder / name)
        source = self.settings.data / "ledger.db"
        with (
            closing(sqlite3.connect(source)) as here,
            closing(sqlite3.connect(folder / "ledger.db")) as there,
        ):
            here.backup(there)
        return Site(self.build, _settings(self.settings.program, folder))

    def go_back_to(self, earlier: "Site") -> None:
        """Put the data of a copy in the place of this server's, which must not run."""
        assert self.server is None
        for file in self.settings.data.glob("ledger.db*"):
            file.unlink()
        for name in (*COPIED, "ledger.db"):
            shutil.copy2(earlier.settings.data / name, self.settings.data / name)


@dataclass
class Sites:
    """A provider and a customer whose servers come and go."""

    provider: Site
    customer: Site
    pair: Pair

    async def restart(self, site: Site) -> None:
        """Stop a server if it runs, start it, and speak to it from now on."""
        await site.stop()
        await site.start()
        self.pair = self.seen_from(self.customer)

    def seen_from(self, customer: Site) -> Pair:
        """The pair with this customer's server in it."""
        assert self.provider.channel
        assert customer.channel
        return replace(
            self.pair,
            provider=self.provider.running,
            customer=customer.running,
            at_provider=self.provider.channel,
            at_customer=customer.channel,
        )

    def ledgers(self, customer: Site | None = None) -> Ledgers:
        """Both ledgers now."""
        return read_ledgers(
            self.provider.running.ground.database,
            self.pair.organization_id,
            (customer or self.customer).running.ground.database,
            self.pair.storage_id,
        )


@asynccontextmanager
async def sites_behind_proxy(folder: Path, seats: int) -> AsyncIterator[tuple[Sites, GrpcProxy]]:
    """As `attached_sites`; what the customer asks of the provider goes through a fault proxy."""
    async with (
        grpc_proxy(first_identity(folder / "provider")) as proxy,
        attached_sites(folder, seats, proxy) as sites,
    ):
        yield sites, proxy


@asynccontextmanager
async def attached_sites(
    folder: Path, seats: int = 10, proxy: GrpcProxy | None = None
) -> AsyncIterator[Sites]:
    """A running, attached pair."""
    theirs = _settings("offsite-provider", folder / "provider")
    if proxy is not None:
        theirs = replace(theirs, advertise_grpc=(proxy.address,))
    provider = Site(provider_service.app.build, theirs)
    customer = Site(customer_service.app.build, _settings("offsite-customer", folder / "customer"))
    try:
        await provider.start()
        await customer.start()
        assert provider.channel
        assert customer.channel
        pair = Pair(provider.running, customer.running, provider.channel, customer.channel)
        if proxy is not None:
            pair.hostname = proxy.address
            await proxy.forward_to(provider.running.grpc_address)
        await pair.attach(seats)
        yield Sites(provider, customer, pair)
    finally:
        await customer.stop()
        await provider.stop()


def _settings(program: str, folder: Path) -> ServerSettings:
    return local_settings(program, folder, grpc=f"127.0.0.1:{free_port()}")
