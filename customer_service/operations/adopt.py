"""Make devices of the provider's seats that nobody here knows: a lost server, set up anew."""

from collections.abc import Sequence
from datetime import datetime

from customer_service.domain.device import Device
from customer_service.domain.provider import ProviderSeat
from customer_service.domain.seat import Seat, SeatState
from customer_service.operations import seats as use_cases
from customer_service.operations import standing
from customer_service.store import destinations, devices, organizations, seats, storages, users
from service_kit.database.engine import Transaction
from service_kit.database.paging import Page, PageRequest
from service_kit.ledger import audit


def list_unclaimed(tx: Transaction, storage_id: str, page: PageRequest) -> Page[ProviderSeat]:
    """A page of a storage's unclaimed seats, by device GUID.

    Raises:
        NotFound: no such storage.
    """
    storages.get(tx, storage_id)
    return seats.list_unclaimed(tx, storage_id, page)


def adopt(
    tx: Transaction, storage_id: str, user_id: str, device_guids: Sequence[str], now: datetime
) -> int:
    """Make devices of unclaimed seats under a user, who is offered the storage; answers how many.

    Raises:
        NotFound: no such storage or user.
        Conflict: the user is not active.
        LimitReached: this server's own license has too few free seats for them.
    """
    storages.get(tx, storage_id)
    organizations.hold_tree(tx)
    storage = storages.lock(tx, storage_id)
    user = users.lock(tx, user_id)
    standing.check_user(tx, user)
    unclaimed = seats.claim_unclaimed(tx, storage_id, device_guids)
    _make_devices(tx, unclaimed, user_id, now)
    use_cases.overwrite(tx, [_held(storage_id, each, now) for each in unclaimed], now)
    use_cases.check_license(tx, 0)
    offered = destinations.offered(tx, [user_id])[user_id]
    if unclaimed and storage_id not in offered:
        destinations.offer(tx, user_id, [*offered, storage_id])
    audit.record(
        tx,
        "storage.adopted",
        subject=storage.name,
        detail=f"{len(unclaimed)} devices under {user.email}",
        now=now,
    )
    return len(unclaimed)


def _make_devices(
    tx: Transaction, unclaimed: Sequence[ProviderSeat], user_id: str, now: datetime
) -> None:
    known = devices.names(tx, [each.device_guid for each in unclaimed])
    made = [
        Device(each.device_guid, _free_name(each), user_id, now)
        for each in unclaimed
        if each.device_guid not in known
    ]
    devices.create_all(tx, made)


def _held(storage_id: str, row: ProviderSeat, now: datetime) -> Seat:
    seat = Seat(storage_id, row.device_guid, row.generation, SeatState.ACQUIRING, now)
    return seat.answered(SeatState.HELD, now)


def _free_name(row: ProviderSeat) -> str:
    """A name that no other device of the user has: two lost devices may share theirs."""
    return (
        f"{row.device_name[:180]} ({row.device_guid[:8]})" if row.device_name else row.device_guid
    )
