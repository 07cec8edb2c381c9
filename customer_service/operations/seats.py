"""A device's use of storages: this server's own seat first, then the provider's."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from customer_service.domain.device import Device
from customer_service.domain.seat import USING, Kind, Seat, SeatState
from customer_service.domain.storage import CONNECTED, Storage, StorageType
from customer_service.domain.user import User
from customer_service.operations import standing
from customer_service.store import destinations, devices, organizations, seats, storages, users
from service_kit.database.engine import Transaction
from service_kit.errors import Conflict, LimitReached
from service_kit.ledger import audit, license
from service_kit.reasons import Reason


@dataclass(frozen=True)
class Released:
    """What a release gave back: devices concerned, local seats, and seats at providers."""

    devices: int = 0
    seats: int = 0
    provider_seats: int = 0


NOTHING = Released()


@dataclass(frozen=True)
class Destination:
    """A storage as one device sees it; `seat` is None where it was never used."""

    storage: Storage
    seat: Seat | None
    offered: bool


def use(tx: Transaction, device_id: str, storage_id: str, now: datetime) -> Seat:
    """Begin to use an offered storage; the provider is asked by the outbox.

    Raises:
        NotFound: no such device or storage.
        Conflict: device, user or storage is not in a state for it, or the storage is not offered.
        LimitReached: this server's own license has no free seat.
    """
    storages.get(tx, storage_id)
    # Nobody can end what this relies on before it is done.
    organizations.hold_tree(tx)
    storage = storages.hold(tx, [storage_id])[storage_id]
    user = users.hold(tx, devices.get(tx, device_id).user_id)
    device = devices.lock(tx, device_id)
    rows = {each.storage_id: each for each in seats.lock_of_devices(tx, [device_id])}
    before = rows.get(storage_id) or Seat(storage_id, device_id, 0, SeatState.NONE, now)
    if before.state in (SeatState.HELD, SeatState.ACQUIRING):
        return before
    _check_usable(tx, device, user, storage)
    if not any(each.state in USING for each in rows.values()):
        check_license(tx, 1)
        _count(tx, [device_id], "seat.acquired", 1, now)
    seat = _asked(storage, before, Kind.ACQUIRE, now)
    seats.put(tx, seat)
    return seat


def release(
    tx: Transaction,
    device_ids: Collection[str],
    now: datetime,
    only: Callable[[Seat], bool] | None = None,
) -> Released:
    """Stop these devices' uses of storages, or only some; providers are told by the outbox."""
    return _stop(
        tx, device_ids, now, lambda seat: seat.state in USING and (only is None or only(seat))
    )


def end_all(tx: Transaction, storage_id: str, now: datetime) -> Released:
    """Note that no device uses a storage any more, and that nothing waits for its provider.

    The storage's row, which the caller holds, says already that it has no attachment.
    """
    seats.replace_unclaimed(tx, storage_id, [])
    at_storage = seats.devices_at(tx, storage_id)
    return _stop(
        tx,
        at_storage,
        now,
        lambda seat: seat.storage_id == storage_id and seat.state is not SeatState.NONE,
    )


def renew(tx: Transaction, device_id: str, now: datetime) -> int:
    """End a device's credentials and keep its seats; answers how many were renewed.

    The caller holds the device's row.
    """
    held = (SeatState.HELD, SeatState.ACQUIRING)
    rows = [each for each in seats.lock_of_devices(tx, [device_id]) if each.state in held]
    at = storages.by_ids(tx, [each.storage_id for each in rows])
    seats.put(tx, *(_asked(at[each.storage_id], each, Kind.ACQUIRE, now) for each in rows))
    return len(rows)


def overwrite(tx: Transaction, changes: Sequence[Seat], now: datetime) -> None:
    """Write rows as a provider or a person says they are, and count the local seats anew.

    The local license is not asked: these devices have been in use.
    """
    device_ids = sorted({each.device_id for each in changes})
    devices.lock_all(tx, device_ids)
    rows = seats.lock_of_devices(tx, device_ids)
    seats.put(tx, *changes)
    _recount(tx, rows, changes, now)


def check_license(tx: Transaction, needed: int) -> None:
    """Refuse to take more seats than this server's own license has free; holds its row.

    Raises:
        LimitReached: it has too few.
    """
    own = license.lock(tx)
    if own.seats_in_use + needed > own.seats:
        raise LimitReached(
            Reason.LICENSE_LIMIT_REACHED,
            f"This server's license has {own.seats} seats, and {own.seats_in_use + needed} "
            "would be in use.",
            "Release a seat, or raise the license: license set --seats.",
            metadata={"limit": str(own.seats), "in_use": str(own.seats_in_use)},
        )


def destinations_of(tx: Transaction, device_list: Sequence[Device]) -> dict[str, list[Destination]]:
    """What each of these devices is offered or uses, by device id, oldest storage first."""
    rows = seats.of_devices(tx, [each.id for each in device_list])
    offered = destinations.offered(tx, [each.user_id for each in device_list])
    known = {each.storage_id for each in rows} | {s for some in offered.values() for s in some}
    at = storages.by_ids(tx, sorted(known))
    by_device = {(each.device_id, each.storage_id): each for each in rows}
    ordered = sorted(at.values(), key=lambda each: (each.create_time, each.id))
    found: dict[str, list[Destination]] = {}
    for device in device_list:
        found[device.id] = [
            Destination(storage, seat, storage.id in offered[device.user_id])
            for storage in ordered
            for seat in [by_device.get((device.id, storage.id))]
            if storage.id in offered[device.user_id]
            or (seat is not None and seat.state is not SeatState.NONE)
        ]
    return found


def _check_usable(tx: Transaction, device: Device, user: User, storage: Storage) -> None:
    if device.deactivated or device.deauthorized:
        what = "deactivated" if device.deactivated else "signed out"
        raise Conflict(
            Reason.WRONG_STATE,
            f"Device {device.name} is {what}.",
            "Reactivate it." if device.deactivated else "Let it sign in: device enroll-code.",
        )
    standing.check_user(tx, user)
    if storage.id not in destinations.offered(tx, [user.id])[user.id]:
        raise Conflict(
            Reason.NOT_OFFERED,
            f"Storage {storage.name} is not offered to {user.email}.",
            "Offer it: destination add --apply-to-existing, or user destinations.",
        )
    if storage.type is StorageType.ATTACHED_SERVER and storage.state not in CONNECTED:
        raise Conflict(
            Reason.STORAGE_NOT_ATTACHED,
            f"Storage {storage.name} is {storage.state}. {storage.reason}".strip(),
            storage.advice or "Attach it first: storage resume.",
        )


def _stop(
    tx: Transaction, device_ids: Collection[str], now: datetime, chosen: Callable[[Seat], bool]
) -> Released:
    devices.lock_all(tx, sorted(device_ids))
    rows = seats.lock_of_devices(tx, sorted(device_ids))
    stopping = [each for each in rows if chosen(each)]
    at = storages.by_ids(tx, list({each.storage_id for each in stopping}))
    after = [_asked(at[each.storage_id], each, Kind.RELEASE, now) for each in stopping]
    seats.put(tx, *after)
    there = (SeatState.HELD, SeatState.ACQUIRING)
    return Released(
        devices=len({each.device_id for each in stopping if each.state in USING}),
        seats=-_recount(tx, rows, after, now),
        provider_seats=sum(
            each.state in there and at[each.storage_id].type is StorageType.ATTACHED_SERVER
            for each in stopping
        ),
    )


def _recount(
    tx: Transaction, before: Sequence[Seat], changes: Sequence[Seat], now: datetime
) -> int:
    """Count the local seats that changes of these devices' rows take or give back; by how many."""
    after = {(each.device_id, each.storage_id): each for each in (*before, *changes)}
    used = {each.device_id for each in before if each.state in USING}
    uses = {each.device_id for each in after.values() if each.state in USING}
    _count(tx, sorted(used - uses), "seat.released", -1, now)
    _count(tx, sorted(uses - used), "seat.acquired", 1, now)
    return len(uses) - len(used)


def _asked(storage: Storage, seat: Seat, kind: Kind, now: datetime) -> Seat:
    """The change, to be sent; or done at once where there is nobody to ask."""
    asked = seat.asked(kind, now)
    if storage.type is StorageType.LOCAL:
        return asked.settled(SeatState.HELD if kind is Kind.ACQUIRE else SeatState.NONE, now)
    held_there = seat.state in (SeatState.HELD, SeatState.ACQUIRING)
    if kind is Kind.RELEASE and not (held_there and storage.state in CONNECTED):
        return asked.settled(SeatState.NONE, now)
    return asked


def _count(
    tx: Transaction, device_ids: Sequence[str], kind: str, delta: int, now: datetime
) -> None:
    """Change the local seats in use by `delta` for each of these devices, and record it."""
    if not device_ids:
        return
    organization_ids = devices.organizations_of(tx, device_ids)
    entries = [
        audit.Entry(
            kind=kind,
            organization_id=organization_ids.get(device_id, ""),
            subject=device_id,
            seat_delta=delta,
        )
        for device_id in device_ids
    ]
    audit.record_all(tx, entries, now)
    license.add_in_use(tx, delta * len(device_ids))
