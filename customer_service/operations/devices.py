"""The computers that are backed up."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from customer_service.domain.device import Device
from customer_service.domain.seat import USING
from customer_service.operations import seats as seat_use_cases
from customer_service.operations import standing
from customer_service.operations.organizations import Impact
from customer_service.operations.seats import Destination, Released
from customer_service.store import devices, enrollment_codes, organizations, storages, users
from service_kit.database.engine import Transaction
from service_kit.database.paging import Page, PageRequest
from service_kit.errors import AlreadyExists, Conflict
from service_kit.ledger import audit
from service_kit.reasons import Reason


@dataclass(frozen=True)
class DeviceView:
    """A device, its user's address, and the storages that it is offered or uses."""

    device: Device
    user_email: str
    destinations: list[Destination]

    @property
    def holds_seat(self) -> bool:
        """Whether it holds a seat of this server's license."""
        return any(each.seat and each.seat.state in USING for each in self.destinations)


def register(tx: Transaction, device: Device, now: datetime) -> DeviceView:
    """Add a user's computer; a repeat with the same content answers the one that exists.

    Raises:
        NotFound: no such user.
        AlreadyExists: the id is taken, or the user has an active device of this name.
        Conflict: the user is blocked or deactivated.
    """
    known = devices.find(tx, device.id)
    if known is not None:
        if (known.name, known.user_id) == (device.name, device.user_id):
            return view(tx, [known])[0]
        raise AlreadyExists(
            Reason.ALREADY_EXISTS,
            f"The id {device.id} is device {known.name}'s.",
            "Choose a new UUID.",
        )
    organizations.hold_tree(tx)
    standing.check_user(tx, users.hold(tx, device.user_id))
    devices.create(tx, device)
    record(tx, "device.registered", device, now)
    return view(tx, [device])[0]


def get(tx: Transaction, device_id: str) -> DeviceView:
    """A device.

    Raises:
        NotFound: there is none.
    """
    return view(tx, [devices.get(tx, device_id)])[0]


def list_page(
    tx: Transaction,
    page: PageRequest,
    *,
    name: str,
    user_id: str,
    refused: bool,
    waiting: bool,
    show_deactivated: bool,
) -> Page[DeviceView]:
    """A page of devices, by id."""
    found = devices.list_page(
        tx,
        page,
        name=name,
        user_id=user_id,
        refused=refused,
        waiting=waiting,
        show_deactivated=show_deactivated,
    )
    return Page(view(tx, found.items), found.next_page_token)


def rename(tx: Transaction, device_id: str, name: str, now: datetime) -> DeviceView:
    """Rename a device.

    Raises:
        NotFound: no such device.
        AlreadyExists: the user has another active device of this name.
    """
    device = devices.lock(tx, device_id).renamed(name)
    devices.save(tx, device)
    record(tx, "device.renamed", device, now)
    return view(tx, [device])[0]


def deactivate(tx: Transaction, device_id: str, now: datetime) -> tuple[DeviceView, Impact]:
    """Stop a device and release its seats; its computer is signed out.

    Raises:
        NotFound: no such device.
    """
    device = devices.lock(tx, device_id)
    if device.deactivated:
        return view(tx, [device])[0], Impact()
    released = seat_use_cases.release(tx, [device_id], now)
    device = device.in_use(False)
    devices.save(tx, device)
    enrollment_codes.end(tx, device_id)
    record(tx, "device.deactivated", device, now)
    return view(tx, [device])[0], Impact(released=_of_one(released))


def reactivate(tx: Transaction, device_id: str, now: datetime) -> DeviceView:
    """Bring a device back; its computer enrolls, and it takes seats again by using a storage.

    Raises:
        NotFound: no such device.
        AlreadyExists: its user has another active device of its name now.
    """
    device = devices.lock(tx, device_id)
    if device.deactivated:
        device = device.in_use(True)
        devices.save(tx, device)
        record(tx, "device.reactivated", device, now)
    return view(tx, [device])[0]


def stop_using(
    tx: Transaction, device_id: str, storage_id: str, now: datetime
) -> tuple[DeviceView, Impact]:
    """Stop a device's use of one storage.

    Raises:
        NotFound: no such device or storage.
    """
    device = devices.lock(tx, device_id)
    storage = storages.get(tx, storage_id)
    released = seat_use_cases.release(
        tx, [device_id], now, lambda seat: seat.storage_id == storage_id
    )
    audit.record(tx, "device.stopped", subject=device_id, detail=storage.name, now=now)
    return view(tx, [device])[0], Impact(released=released)


def deauthorize(tx: Transaction, device_id: str, now: datetime) -> tuple[DeviceView, Impact]:
    """Sign a device out: its credentials end, its seats stay.

    Raises:
        NotFound: no such device.
    """
    device = devices.lock(tx, device_id).signed_out(True)
    seat_use_cases.renew(tx, device_id, now)
    devices.save(tx, device)
    enrollment_codes.end(tx, device_id)
    record(tx, "device.deauthorized", device, now)
    return view(tx, [device])[0], Impact(released=Released(devices=1))


def replace(
    tx: Transaction, device_id: str, name: str | None, now: datetime
) -> tuple[DeviceView, Impact]:
    """Let a new computer take over a device's seats and archives; the old one's credentials end.

    Raises:
        NotFound: no such device.
        AlreadyExists: the user has another active device of the new name.
        Conflict: the device is deactivated.
    """
    device = devices.lock(tx, device_id)
    if device.deactivated:
        raise Conflict(
            Reason.WRONG_STATE, f"Device {device.name} is deactivated.", "Reactivate it first."
        )
    device = device.signed_out(False).renamed(name or device.name)
    devices.save(tx, device)
    enrollment_codes.end(tx, device_id)
    seat_use_cases.renew(tx, device_id, now)
    record(tx, "device.replaced", device, now)
    return view(tx, [device])[0], Impact(released=Released(devices=1))


def view(tx: Transaction, some: Sequence[Device]) -> list[DeviceView]:
    """These devices with what is derived of them, a query for each kind of fact."""
    emails = users.emails(tx, [each.user_id for each in some])
    found = seat_use_cases.destinations_of(tx, some)
    return [DeviceView(each, emails[each.user_id], found[each.id]) for each in some]


def record(
    tx: Transaction, kind: str, device: Device, now: datetime, *, actor: str | None = None
) -> None:
    """Record what became of a device."""
    organization_id = devices.organizations_of(tx, [device.id]).get(device.id, "")
    audit.record(
        tx,
        kind,
        organization_id=organization_id,
        subject=device.id,
        detail=device.name,
        actor=actor,
        now=now,
    )


def _of_one(released: Released) -> Released:
    return Released(1, released.seats, released.provider_seats)
