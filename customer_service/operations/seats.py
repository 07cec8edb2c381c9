"""A device's use of storages: this server's own seat first, then the provider's."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from customer_service.domain.device import Device
from customer_service.domain.seat import USING, Kind, Seat, SeatState
from customer_service.domain.storage import CONNECTED, Storage, StorageType
from customer_service.domain.user import UserState
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
        Conflict: device, user or storage is not in a state for it, or it is not offered.
        LimitReached: this server's own license has no free seat.
    """
    device = devices.lock(tx, device_id)
    storage = storages.get(tx, storage_id)
    before = seats.lock(tx, storage_id, device_id)
    if before is not None and before.state in (SeatState.HELD, SeatState.ACQUIRING):
        return before
    _check_usable(tx, device, storage)
    _take_local_seat(tx, device, now)
    seat = _asked(storage, before or _first(storage_id, device_id, now), Kind.ACQUIRE, now)
    seats.put(tx, before, seat)
    return seat


def release(
    tx: Transaction,
    device_ids: Sequence[str],
    now: datetime,
    storage_ids: Sequence[str] | None = None,
) -> Released:
    """Stop these devices' use of these storages, or of all; providers are told by the outbox."""
    using = seats.using_among(tx, device_ids)
    rows = [
        each for each in seats.lock_of_devices(tx, device_ids, storage_ids) if each.state in USING
    ]
    at = storages.by_ids(tx, list({each.storage_id for each in rows}))
    after = [_asked(at[each.storage_id], each, Kind.RELEASE, now) for each in rows]
    for seat in after:
        seats.save(tx, seat)
    given_back = using - seats.using_among(tx, sorted(using))
    count(tx, sorted(given_back), "seat.released", -1, now)
    return Released(
        devices=len({each.device_id for each in rows}),
        seats=len(given_back),
        provider_seats=sum(each.state is SeatState.RELEASING for each in after),
    )


def renew(tx: Transaction, device_id: str, now: datetime) -> int:
    """End a device's credentials and keep its seats; answers how many were renewed."""
    held = (SeatState.HELD, SeatState.ACQUIRING)
    rows = [each for each in seats.lock_of_devices(tx, [device_id]) if each.state in held]
    at = storages.by_ids(tx, [each.storage_id for each in rows])
    for row in rows:
        seats.save(tx, _asked(at[row.storage_id], row, Kind.ACQUIRE, now))
    return len(rows)


def end_all(tx: Transaction, storage_id: str, now: datetime) -> Released:
    """Note that no device uses a storage any more, the attachment having ended."""
    rows = [
        each for each in seats.lock_of_storage(tx, storage_id) if each.state is not SeatState.NONE
    ]
    device_ids = [each.device_id for each in rows]
    using = seats.using_among(tx, device_ids)
    for row in rows:
        ended = row.settled(SeatState.NONE, now)
        seats.save(tx, replace(ended, generation=ended.generation + 1))
    given_back = using - seats.using_among(tx, sorted(using))
    count(tx, sorted(given_back), "seat.released", -1, now)
    held = sum(each.state in USING for each in rows)
    return Released(devices=len(rows), seats=len(given_back), provider_seats=held)


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


def _check_usable(tx: Transaction, device: Device, storage: Storage) -> None:
    if device.deactivated or device.deauthorized:
        what = "deactivated" if device.deactivated else "signed out"
        raise Conflict(
            Reason.WRONG_STATE,
            f"Device {device.name} is {what}.",
            "Reactivate it." if device.deactivated else "Sign in on it, or replace it.",
        )
    user = users.get(tx, device.user_id)
    gone = organizations.deactivated_among(tx, [user.organization_id])
    if user.state is not UserState.ACTIVE or gone:
        what = "in a deactivated organization" if gone else str(user.state)
        raise Conflict(
            Reason.USER_NOT_ACTIVE,
            f"User {user.email} is {what}.",
            "Bring the user back first.",
        )
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


def _take_local_seat(tx: Transaction, device: Device, now: datetime) -> None:
    """Take a seat of this server's license, unless the device holds one."""
    if seats.using_among(tx, [device.id]):
        return
    own = license.lock(tx)
    if own.seats_in_use >= own.seats:
        raise LimitReached(
            Reason.LICENSE_LIMIT_REACHED,
            f"This server's license has {own.seats} seats and {own.seats_in_use} are in use.",
            "Release a seat, or raise the license: license set --seats.",
            metadata={"limit": str(own.seats), "in_use": str(own.seats_in_use)},
        )
    count(tx, [device.id], "seat.acquired", 1, now)


def _asked(storage: Storage, seat: Seat, kind: Kind, now: datetime) -> Seat:
    """The change, to be sent; or done at once where there is nobody to ask."""
    asked = seat.asked(kind, now)
    if storage.type is StorageType.LOCAL:
        return asked.settled(SeatState.HELD if kind is Kind.ACQUIRE else SeatState.NONE, now)
    held_there = seat.state in (SeatState.HELD, SeatState.ACQUIRING)
    if kind is Kind.RELEASE and not (held_there and storage.state in CONNECTED):
        return asked.settled(SeatState.NONE, now)
    return asked


def _first(storage_id: str, device_id: str, now: datetime) -> Seat:
    return Seat(storage_id, device_id, 0, SeatState.NONE, now)


def count(tx: Transaction, device_ids: Sequence[str], kind: str, delta: int, now: datetime) -> None:
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
