"""The codes by which computers sign in: issued, shown once, ended."""

from datetime import datetime

from customer_service.domain.device import Device
from customer_service.domain.enrollment import LIFETIME, EnrollmentCode, IssuedCode
from customer_service.operations import devices as use_cases
from customer_service.operations import standing
from customer_service.operations.devices import DeviceView
from customer_service.operations.organizations import Impact
from customer_service.store import devices, enrollment_codes, organizations, users
from service_kit.database.engine import Transaction
from service_kit.errors import Conflict
from service_kit.identity import registration_key as form
from service_kit.identity.enrollment import normalize_code
from service_kit.identity.identity import Identity
from service_kit.reasons import Reason


def create(tx: Transaction, identity: Identity, device_id: str, now: datetime) -> IssuedCode:
    """Make a device's code; an earlier one ends, a computer that is signed in stays so.

    Raises:
        NotFound: no such device.
        Conflict: the device is deactivated, or its user is not active.
    """
    organizations.hold_tree(tx)
    user = users.hold(tx, devices.get(tx, device_id).user_id)
    device = devices.lock(tx, device_id)
    if device.deactivated:
        raise Conflict(
            Reason.WRONG_STATE, f"Device {device.name} is deactivated.", "Reactivate it first."
        )
    standing.check_user(tx, user)
    use_cases.record(tx, "device.code_created", device, now)
    return _issue(tx, identity, device, now)


def register(
    tx: Transaction, identity: Identity, device: Device, now: datetime
) -> tuple[DeviceView, IssuedCode | None]:
    """Add a user's computer, with a code; a repeat answers none.

    Raises:
        OffsiteError: as `devices.register`.
    """
    is_repeat = devices.find(tx, device.id) is not None
    view = use_cases.register(tx, device, now)
    return view, None if is_repeat else _issue(tx, identity, view.device, now)


def replace(
    tx: Transaction, identity: Identity, device_id: str, name: str | None, now: datetime
) -> tuple[DeviceView, Impact, IssuedCode]:
    """Let a new computer take over, with a code for it.

    Raises:
        OffsiteError: as `devices.replace`.
    """
    view, impact = use_cases.replace(tx, device_id, name, now)
    return view, impact, _issue(tx, identity, view.device, now)


def hash_of(identity: Identity, normalized_code: str) -> str:
    """What is kept of a code: worth nothing without the server's identity file."""
    return identity.secret("enrollment code", normalized_code).hex()


def _issue(tx: Transaction, identity: Identity, device: Device, now: datetime) -> IssuedCode:
    """Make a code. The answer is the only place where it is ever seen."""
    code = form.generate()
    code_hash = hash_of(identity, normalize_code("enrollment_code", code))
    enrollment_codes.put(tx, EnrollmentCode(device.id, code_hash, now + LIFETIME))
    return IssuedCode(code, now + LIFETIME)
