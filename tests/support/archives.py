"""A server that has an archive and nothing else: one company, whose devices a test names."""

import base64
import ssl
import uuid
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
from offsite.common.v1.server_service_pb2 import ServerKind

from archive_gateway.app import Archive
from archive_gateway.credentials import archive_url, storage_credential
from archive_gateway.domain.names import ArchiveId
from archive_gateway.domain.standing import Limit, Policy, Standing, Tenant
from service_kit.common_services import common_services
from service_kit.database.engine import Transaction
from service_kit.database.paging import Page, PageRequest
from service_kit.errors import NotFound
from service_kit.reasons import Reason
from service_kit.server.access import COMMON_ACCESS
from service_kit.server.first_start import first_start
from service_kit.server.process import Server
from service_kit.settings import ServerSettings
from tests.support.servers import local_settings

MIGRATIONS = "tests.support.archive_migrations"


@dataclass
class Company:
    """A tenancy of one account, whose devices, seats and rules a test sets as it likes."""

    account_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    policy_: Policy = field(default_factory=lambda: Policy("Acme", 10**12))
    generations: dict[str, int | None] = field(default_factory=dict)
    released: dict[str, datetime] = field(default_factory=dict)
    read_only_: str = ""
    limits: tuple[Limit, ...] = ()
    maximum_seats: int | None = 10

    def rules(self, **changes: Any) -> None:
        """Change the account's policy."""
        self.policy_ = replace(self.policy_, **changes)

    def device(self, generation: int | None = 1) -> str:
        """A new device that holds a seat of a generation."""
        guid = str(uuid.uuid4())
        self.generations[guid] = generation
        return guid

    def standing(self, tx: Transaction, archive: ArchiveId) -> Standing | None:
        if archive.account_id != self.account_id or archive.device_guid not in self.generations:
            return None
        generation = self.generations[archive.device_guid]
        return Standing(self.policy_, generation, self.read_only_, self.limits)

    def policy(self, tx: Transaction, account_id: str) -> Policy:
        if account_id != self.account_id:
            raise NotFound(Reason.NOT_FOUND, "No such account.")
        return self.policy_

    def read_only(self, tx: Transaction, account_id: str) -> str:
        return self.read_only_

    def accounts(self, tx: Transaction, page: PageRequest) -> Page[str]:
        return Page([self.account_id], "")

    def seats(self, tx: Transaction, account_id: str) -> tuple[int, int | None]:
        held = [each for each in self.generations.values() if each is not None]
        return len(held), self.maximum_seats

    def tenants(
        self, tx: Transaction, account_id: str, device_guids: Collection[str]
    ) -> Mapping[str, Tenant]:
        return {each: self._tenant(each) for each in device_guids if each in self.generations}

    def devices(self, tx: Transaction, account_id: str, page: PageRequest) -> Page[Tenant]:
        return Page([self._tenant(each) for each in sorted(self.generations)], "")

    def lapsed(self, tx: Transaction, now: datetime, most: int) -> Sequence[ArchiveId]:
        before = now - self.policy_.retention
        return [
            ArchiveId(self.account_id, each)
            for each, time in self.released.items()
            if time < before and self.generations[each] is None
        ][:most]

    def _tenant(self, guid: str) -> Tenant:
        return Tenant(
            guid, f"device {guid[:4]}", self.generations[guid] is not None, self.released.get(guid)
        )


@dataclass
class ArchiveServer:
    """A running server with an archive, and one device of its company."""

    server: Server
    archive: Archive
    company: Company
    device_guid: str

    @property
    def account_id(self) -> str:
        return self.company.account_id

    @property
    def https_address(self) -> str:
        return self.server.https_address

    @property
    def ca_file(self) -> Path:
        return self.server.ground.settings.ca_file

    @property
    def credential(self) -> str:
        return self.credential_of(self.device_guid)

    @property
    def url(self) -> str:
        return self.url_of(self.device_guid)

    def credential_of(self, device_guid: str) -> str:
        generation = self.company.generations[device_guid]
        assert generation is not None
        archive = ArchiveId(self.account_id, device_guid)
        return storage_credential(self.server.ground.identity, archive, generation)

    def url_of(self, device_guid: str) -> str:
        archive = ArchiveId(self.account_id, device_guid)
        return archive_url([self.https_address], archive).removeprefix("rest:")

    def headers_of(self, device_guid: str, password: str = "") -> dict[str, str]:
        both = f"{device_guid}:{password or self.credential_of(device_guid)}"
        return {"Authorization": f"Basic {base64.b64encode(both.encode()).decode()}"}

    def client(self, device_guid: str = "", password: str = "") -> aiohttp.ClientSession:
        """An HTTP client of a device; paths are relative to its repository."""
        device_guid = device_guid or self.device_guid
        return aiohttp.ClientSession(
            self.url_of(device_guid),
            headers=self.headers_of(device_guid, password),
            connector=aiohttp.TCPConnector(
                ssl=ssl.create_default_context(cafile=self.ca_file), limit=0
            ),
        )


def build_archive(settings: ServerSettings, company: Company) -> tuple[Server, Archive]:
    """A server with an archive, not started."""
    ground = first_start(settings, MIGRATIONS)
    archive = Archive(ground, company)
    services = [
        *archive.services,
        *common_services(
            ground,
            ServerKind.SERVER_KIND_PROVIDER,
            seats_in_use=lambda tx: company.seats(tx, company.account_id)[0],
            organization_use=lambda tx, page: Page([(company.account_id, "Acme", 1)], ""),
        ),
    ]
    server = Server(
        ground,
        services,
        {**COMMON_ACCESS, **archive.access},
        loops=archive.loops,
        routes=[archive.routes],
        openers=[archive.open],
        closers=[archive.close],
    )
    return server, archive


@asynccontextmanager
async def archive_server(
    folder: Path, company: Company | None = None, **settings: Any
) -> AsyncIterator[ArchiveServer]:
    """A running server with an archive; `settings` are those of a server, like `database`."""
    company = company or Company()
    device_guid = next(iter(company.generations), "") or company.device()
    server, archive = build_archive(local_settings("offsite-provider", folder, **settings), company)
    await server.start()
    try:
        yield ArchiveServer(server, archive, company, device_guid)
    finally:
        await server.stop()
