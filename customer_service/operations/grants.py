"""Grant reading one device's archive, here or at a provider, without a seat."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from archive_gateway import credentials
from archive_gateway.domain.names import ArchiveId
from archive_gateway.operations import grants
from customer_service.domain.provider import ArchiveAccess, ArchiveGrant
from customer_service.domain.storage import CONNECTED, Storage, StorageType
from customer_service.operations.organizations import root_id
from customer_service.operations.peers import Dial
from customer_service.operations.tenancy import CustomerTenancy
from customer_service.store import devices, storages
from service_kit.clock import now as clock
from service_kit.database.engine import Database, Transaction
from service_kit.errors import Conflict
from service_kit.identity.identity import Identity
from service_kit.ledger import audit
from service_kit.reasons import Reason


@dataclass(frozen=True)
class Granted:
    """A grant, and the GUID of the server that keeps the archive."""

    grant: ArchiveGrant
    server_guid: str


@dataclass(frozen=True)
class Grants:
    """What it takes to grant; `addresses` are those of this server's HTTPS, best first."""

    database: Database
    identity: Identity
    dial: Dial
    addresses: Callable[[], Sequence[str]]

    async def create(self, storage_id: str, device_id: str, life: timedelta) -> Granted:
        """Grant reading a device's archive at a storage; the credential is answered this once.

        Raises:
            NotFound: no such storage or device, or the provider does not know the device.
            Conflict: the storage is not attached.
            OffsiteError: the provider can't be reached or refuses.
        """
        storage = await self.database.read(_where, storage_id, device_id)
        if storage.type is StorageType.LOCAL:
            grant = await self.database.run(_grant_here, self, device_id, life, clock())
            return Granted(grant, self.identity.guid)
        provider = await self.dial(storage)
        grant = await provider.grant(device_id, life)
        await self.database.run(note, storage, grant, clock())
        return Granted(grant, storage.provider_guid)


def note(tx: Transaction, storage: Storage, grant: ArchiveGrant, now: datetime) -> None:
    """Record that a provider gave a grant to somebody here."""
    organization_id = devices.organizations_of(tx, [grant.device_guid]).get(grant.device_guid, "")
    audit.record(
        tx,
        "storage.granted",
        organization_id=organization_id,
        subject=grant.device_guid,
        detail=f"Reading at {storage.name}, until {grant.expire_time:%Y-%m-%d %H:%M} UTC. "
        f"Grant {grant.id}.",
        now=now,
    )


def _where(tx: Transaction, storage_id: str, device_id: str) -> Storage:
    devices.get(tx, device_id)
    storage = storages.get(tx, storage_id)
    if storage.type is StorageType.ATTACHED_SERVER and storage.state not in CONNECTED:
        raise Conflict(
            Reason.STORAGE_NOT_ATTACHED,
            f"Storage {storage.name} is {storage.state}. {storage.reason}".strip(),
            storage.advice or "Attach it first: storage resume.",
        )
    return storage


def _grant_here(
    tx: Transaction, by: Grants, device_id: str, life: timedelta, now: datetime
) -> ArchiveGrant:
    archive = ArchiveId(root_id(tx), device_id)
    given = grants.create(tx, CustomerTenancy(), archive, life, now)
    access = ArchiveAccess(
        credentials.archive_url(by.addresses(), archive),
        credentials.grant_credential(by.identity, archive, given.id),
    )
    times = (given.create_time, given.expire_time)
    return ArchiveGrant(given.id, device_id, given.creator, *times, access)
