"""What a computer does as a device: sign in with a code, ask how it stands, sign out."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from customer_service.domain.device import Device
from customer_service.domain.enrollment import refused, revoked
from customer_service.operations import devices as use_cases
from customer_service.operations import recovery_keys, seats, standing
from customer_service.operations.devices import DeviceView
from customer_service.operations.enrollment_codes import hash_of
from customer_service.store import devices, enrollment_codes, organizations, users
from service_kit.database.engine import Transaction
from service_kit.identity import device_certificate
from service_kit.identity.guid import thumbprint
from service_kit.identity.identity import Identity


class Caller(NamedTuple):
    """The device that a call's token proves, and the thumbprint of the key that signed it."""

    device_id: str
    key_thumbprint: str


@dataclass(frozen=True)
class Enrolled:
    """A device that is signed in; `recovery_key` is the statement, empty where there is none."""

    view: DeviceView
    recovery_key: str
    certificate_pem: bytes = b""


def enroll(
    tx: Transaction, identity: Identity, code: str, key: EllipticCurvePublicKey, now: datetime
) -> Enrolled:
    """Sign a computer in by its key, for a code; a repeat with the same key is answered again.

    Whoever was signed in as this device before is signed out, the seats stay.

    Raises:
        PermissionDenied: the code is unknown, over, or was used for another key.
        Conflict: the device's user is not active.
    """
    own = thumbprint(key)
    device = _invited(tx, hash_of(identity, code), own, now)
    if device.key_thumbprint != own:
        if device.enrolled:
            seats.renew(tx, device.id, now)
        device = device.enrolled_with(own, now)
        devices.save(tx, device)
        use_cases.record(tx, "device.enrolled", device, now, actor=f"device:{device.id}")
    certificate = device_certificate.issue(identity, device.id, key, now)
    view = use_cases.view(tx, [device])[0]
    return Enrolled(view, recovery_keys.statement(tx), certificate)


def proven(tx: Transaction, caller: Caller) -> Device:
    """The device that is calling.

    Raises:
        Unauthenticated: it was signed out, or another computer is signed in as it.
    """
    device = devices.find(tx, caller.device_id)
    if device is None or device.key_thumbprint != caller.key_thumbprint:
        raise revoked()
    return device


def show(tx: Transaction, caller: Caller) -> Enrolled:
    """The calling device.

    Raises:
        Unauthenticated: as `proven`.
    """
    view = use_cases.view(tx, [proven(tx, caller)])[0]
    return Enrolled(view, recovery_keys.statement(tx))


def unenroll(tx: Transaction, caller: Caller, now: datetime) -> None:
    """Sign the calling device out: its credentials end, its seats and archives stay.

    Raises:
        Unauthenticated: as `proven`.
    """
    proven(tx, caller)
    devices.lock(tx, caller.device_id)
    device = proven(tx, caller)  # once more, now that nobody can change it
    seats.renew(tx, device.id, now)
    devices.save(tx, device.unenrolled())
    enrollment_codes.end(tx, device.id)
    use_cases.record(tx, "device.unenrolled", device, now)


def _invited(tx: Transaction, code_hash: str, key_thumbprint: str, now: datetime) -> Device:
    """The device that a code is for, held; the code is this key's from now on."""
    found = enrollment_codes.find(tx, code_hash)
    if found is None:
        raise refused()
    organizations.hold_tree(tx)
    user = users.hold(tx, devices.get(tx, found.device_id).user_id)
    device = devices.lock(tx, found.device_id)
    code = enrollment_codes.find(tx, code_hash)  # it may have ended before the row was held
    if code is None or not code.accepts(key_thumbprint, now):
        raise refused()
    standing.check_user(tx, user)
    if not code.key_thumbprint:
        enrollment_codes.put(tx, code.used_for(key_thumbprint))
    return device
