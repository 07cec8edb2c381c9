"""Make devices of the provider's seats that nobody here knows: a lost server, set up anew."""

from collections.abc import Sequence
from datetime import datetime

from customer_service.domain.device import Device
from customer_service.domain.provider import ProviderSeat
from customer_service.domain.seat import Seat, SeatState
from customer_service.operations import seats as use_cases
from customer_service.store import destinations, devices, seats, storages, users
from service_kit.database.engine import Transaction
from service_kit.database.paging import Page, PageRequest
from service_kit.errors import LimitReached
from service_kit.ledger import audit, license
from service_kit.reasons import Reason


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
    """Make devices of unclaimed seats under a user; answers how many.

    Raises:
        NotFound: no such storage or user.
        LimitReached: this server's own license has too few free seats for them.
    """
    storage = storages.lock(tx, storage_id)
    user = users.lock(tx, user_id)
    unclaimed = seats.all_unclaimed(tx, storage_id, device_guids)
    known = devices.names(tx, [each.device_guid for each in unclaimed])
    _check_license(tx, [each.device_guid for each in unclaimed])
    for row in unclaimed:
        if row.device_guid not in known:
            name = _free_name(row)
            devices.create(tx, Device(row.device_guid, name, user_id, now))
        asked = Seat(storage_id, row.device_guid, row.generation, SeatState.ACQUIRING, now)
        held = asked.answered(SeatState.HELD, now)
        before = seats.lock(tx, storage_id, row.device_guid)
        newly = not seats.using_among(tx, [row.device_guid])
        seats.put(tx, before, held)
        if newly:
            use_cases.count(tx, [row.device_guid], "seat.acquired", 1, now)
        seats.claim(tx, storage_id, row.device_guid)
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


def _check_license(tx: Transaction, device_guids: Sequence[str]) -> None:
    own = license.lock(tx)
    needed = len(device_guids) - len(seats.using_among(tx, device_guids))
    if own.seats_in_use + needed > own.seats:
        raise LimitReached(
            Reason.LICENSE_LIMIT_REACHED,
            f"This server's license has {own.seats} seats, {own.seats_in_use} are in use, "
            f"and {needed} more are needed.",
            "Raise the license: license set --seats.",
            metadata={"limit": str(own.seats), "in_use": str(own.seats_in_use)},
        )


def _free_name(row: ProviderSeat) -> str:
    """A name that no other device of the user has: two lost devices may share theirs."""
    return (
        f"{row.device_name[:180]} ({row.device_guid[:8]})" if row.device_name else row.device_guid
    )
