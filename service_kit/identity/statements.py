"""What a server and a device state for later, for whoever knows the server's GUID.

The recovery key: to whom devices seal their repository passwords, signed by the server's identity.
The escrow record: a sealed password, signed by the device whose it is. So neither a provider nor
anyone between can pass off a key or a record of its own.
"""

import base64
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from service_kit.errors import PermissionDenied
from service_kit.identity import device_certificate, jws
from service_kit.identity.call_token import LATEST
from service_kit.identity.guid import guid_of
from service_kit.identity.identity import Identity
from service_kit.reasons import Reason

RECOVERY_TYPE = "offsite-recovery+jwt"
ESCROW_TYPE = "offsite-escrow+jwt"
LONGEST_RECOVERY = 4096  # characters
LONGEST_ESCROW = 64 << 10
LEEWAY = timedelta(minutes=10)  # between the clocks of two computers


@dataclass(frozen=True)
class StatedRecipient:
    """The public half of a recovery key, as a server stated it."""

    recipient: str
    time: datetime


@dataclass(frozen=True)
class EscrowRecord:
    """A device's repository password, sealed to the recovery key that was in force."""

    device_guid: str
    customer_guid: str
    sealed: bytes
    time: datetime


def recovery_key(identity: Identity, recipient: str, now: datetime) -> str:
    """State that devices shall seal to this recipient."""
    claims = {"iss": identity.guid, "recipient": recipient, "iat": int(now.timestamp())}
    return jws.sign(RECOVERY_TYPE, claims, identity.private_key)


def read_recovery_key(statement: str, customer_guid: str) -> StatedRecipient:
    """The recipient that the server with this GUID has stated.

    Raises:
        PermissionDenied: that server did not state it.
    """
    try:
        key = jws.embedded_key(jws.header_of(statement, RECOVERY_TYPE, LONGEST_RECOVERY))
        claims = jws.claims_of(statement, key)
        if guid_of(key) != customer_guid or claims.get("iss") != customer_guid:
            raise jws.Unproven("its key is another server's")
        return StatedRecipient(_text(claims, "recipient"), _time(claims))
    except jws.Unproven as error:
        raise _refused(f"The recovery key is not of server {customer_guid}: {error}.") from error


def escrow_record(
    key: ec.EllipticCurvePrivateKey,
    certificate: x509.Certificate,
    ca: x509.Certificate,
    sealed: bytes,
    now: datetime,
) -> str:
    """State a device's sealed password; `ca` is the identity CA that signed its certificate."""
    claims = {
        "device": device_certificate.verify(certificate, ca).guid,
        "customer": _guid(ca),
        "sealed": base64.b64encode(sealed).decode(),
        "iat": int(now.timestamp()),
    }
    return jws.sign(ESCROW_TYPE, claims, key, (certificate, ca))


def read_escrow_record(
    record: str, customer_guid: str, device_guid: str, now: datetime
) -> EscrowRecord:
    """A record, if this device of the customer with this GUID made it.

    Raises:
        PermissionDenied: it did not, or at no time that can be.
    """
    try:
        found = _proven(record, customer_guid)
        if found.device_guid != device_guid:
            raise jws.Unproven("it is of another device")
        if found.time > now + LEEWAY:
            raise jws.Unproven(f"it is of {found.time:%Y-%m-%d}, and it is {now:%Y-%m-%d} here")
    except jws.Unproven as error:
        raise _refused(
            f"An escrow record is not of device {device_guid} of server {customer_guid}: {error}."
        ) from error
    return found


def _proven(record: str, customer_guid: str) -> EscrowRecord:
    """A record of whichever device of this customer its certificates prove."""
    header = jws.header_of(record, ESCROW_TYPE, LONGEST_ESCROW)
    certificate, ca = jws.embedded_certificates(header, 2)
    customer = _guid(ca)
    if customer != customer_guid:
        raise jws.Unproven("it is of another customer's server")
    device = device_certificate.verify(certificate, ca)
    claims = jws.claims_of(record, device.key)
    if (claims.get("device"), claims.get("customer")) != (device.guid, customer):
        raise jws.Unproven("it names another device than its certificate")
    try:
        sealed = base64.b64decode(_text(claims, "sealed"), validate=True)
    except ValueError as error:
        raise jws.Unproven("what is sealed can't be read") from error
    time = _time(claims)
    if not certificate.not_valid_before_utc <= time <= certificate.not_valid_after_utc:
        raise jws.Unproven("its device's certificate was not in force then")
    return EscrowRecord(device.guid, customer, sealed, time)


def _guid(ca: x509.Certificate) -> str:
    try:
        key = ca.public_key()
    except jws.UNREADABLE as error:
        raise jws.Unproven("its CA can't be read") from error
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise jws.Unproven("its CA is no server's")
    return guid_of(key)


def _text(claims: dict[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str):
        raise jws.Unproven(f"it has no {name}")
    return value


def _time(claims: dict[str, Any]) -> datetime:
    value = claims.get("iat")
    if not isinstance(value, int) or not 0 < value < LATEST:
        raise jws.Unproven("its time can't be read")
    return datetime.fromtimestamp(value, UTC)


def _refused(message: str) -> PermissionDenied:
    return PermissionDenied(
        Reason.PEER_IDENTITY_MISMATCH,
        message,
        "Compare the GUID with the server's own, or with the recovery sheet; do not use it.",
    )
