"""Where this customer's computers can back up to: what is shown of it, and edits."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from archive_gateway.operations import usage
from archive_gateway.operations.usage import AccountUsage
from customer_service.domain.seat import SeatState
from customer_service.domain.storage import Entitlement, Storage, StorageState, StorageType
from customer_service.operations import destinations as offers
from customer_service.operations.peers import Dial
from customer_service.operations.tenancy import CustomerTenancy
from customer_service.store import organizations, seats, storages
from service_kit.database.engine import Database, Transaction
from service_kit.database.paging import Page, PageRequest
from service_kit.errors import Conflict
from service_kit.ledger import audit
from service_kit.reasons import Reason


@dataclass(frozen=True)
class StorageView:
    """A storage, and what is derived of it."""

    storage: Storage
    devices_holding: int
    devices_waiting: int
    unclaimed_seats: int
    own: AccountUsage | None = None  # of this server's archive, where the storage is this server


def ensure_local(tx: Transaction, storage_id: str, now: datetime) -> None:
    """Make the customer's own server the first storage, at its first start."""
    if storages.local(tx) is None:
        local = Storage(storage_id, "Local", StorageType.LOCAL, StorageState.ATTACHED, now)
        storages.create(tx, local)
        offers.offer_by_default(tx, local.id)


def get(tx: Transaction, storage_id: str) -> StorageView:
    """A storage.

    Raises:
        NotFound: there is none.
    """
    return view(tx, [storages.get(tx, storage_id)])[0]


def list_page(
    tx: Transaction, page: PageRequest, name: str, show_detached: bool
) -> Page[StorageView]:
    """A page of storages, by id."""
    found = storages.list_page(tx, page, name=name, show_detached=show_detached)
    return Page(view(tx, found.items), found.next_page_token)


async def update(
    database: Database,
    dial: Dial,
    storage_id: str,
    name: str | None,
    hostname: str | None,
    now: datetime,
) -> StorageView:
    """Change a storage's label or hostname; the new host must prove the provider's identity first.

    Raises:
        NotFound: no such storage.
        AlreadyExists: the name is taken.
        Conflict: the local storage has no hostname.
        OffsiteError: nobody, or another server, answers at the new hostname.
    """
    if hostname is not None:
        storage = await database.read(storages.get, storage_id)
        refuse_local(storage)
        await dial(replace(storage, hostname=hostname, entitlement=_without_addresses(storage)))
    return await database.run(edit, storage_id, name, hostname, now)


def edit(
    tx: Transaction, storage_id: str, name: str | None, hostname: str | None, now: datetime
) -> StorageView:
    """Write a storage's new label or hostname."""
    storage = storages.lock(tx, storage_id)
    storage = replace(storage, name=name or storage.name, hostname=hostname or storage.hostname)
    storages.save(tx, storage)
    audit.record(tx, "storage.updated", subject=storage.name, now=now)
    return view(tx, [storage])[0]


def view(tx: Transaction, some: Sequence[Storage]) -> list[StorageView]:
    """These storages with what is derived of them."""
    ids = [each.id for each in some]
    counts = seats.counts_by_storage(tx, ids)
    unclaimed = seats.count_unclaimed(tx, ids)
    own = _own_usage(tx) if any(each.type is StorageType.LOCAL for each in some) else None
    return [
        StorageView(
            each,
            counts.get((each.id, SeatState.HELD), 0),
            counts.get((each.id, SeatState.ACQUIRING), 0)
            + counts.get((each.id, SeatState.RELEASING), 0),
            unclaimed.get(each.id, 0),
            own if each.type is StorageType.LOCAL else None,
        )
        for each in some
    ]


def refuse_local(storage: Storage) -> None:
    """Refuse what makes sense at an attached storage alone."""
    if storage.type is StorageType.LOCAL:
        raise Conflict(
            Reason.WRONG_STATE,
            f"Storage {storage.name} is this server itself.",
            "Name a storage that is attached.",
        )


def _own_usage(tx: Transaction) -> AccountUsage | None:
    root = organizations.root(tx)
    return usage.of_organization(tx, CustomerTenancy(), root.id) if root else None


def _without_addresses(storage: Storage) -> Entitlement:
    return replace(storage.entitlement, grpc_addresses=())
