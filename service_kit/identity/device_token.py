"""How a device proves to its customer's server who it is: a short-lived JWT signed by its key.

The header carries the device's certificate, which that server's identity signed; so it is known
who calls before anything is read from a database. Whether the key is still the device's own is for
each operation to ask, in its own transaction.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from service_kit.errors import Unauthenticated
from service_kit.identity import call_token, device_certificate, jws
from service_kit.identity.call_token import LIFETIME, LONGEST
from service_kit.reasons import Reason

TYPE = "offsite-device+jwt"
KIND = call_token.Kind("device token", "Enroll the device anew: device enroll-code.")


@dataclass(frozen=True)
class DeviceClaims:
    """A proven device, and the thumbprint of its key."""

    guid: str
    key_thumbprint: str
    expire_time: datetime


def issue(
    key: ec.EllipticCurvePrivateKey,
    certificate: x509.Certificate,
    audience: str,
    now: datetime,
    lifetime: timedelta = LIFETIME,
) -> str:
    """A token by which a device calls the server whose GUID is `audience`."""
    (name,) = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    claims = call_token.claims(str(name.value), audience, now, lifetime)
    return jws.sign(TYPE, claims, key, (certificate,))


def is_of_this_kind(token: str) -> bool:
    """Whether a token says that it is a device's; proves nothing."""
    return jws.kind_of(token, LONGEST) == TYPE


def verify(token: str, ca: x509.Certificate, audience: str, now: datetime) -> DeviceClaims:
    """Which device the token proves the caller to be; `ca` is the audience's own identity CA.

    Raises:
        Unauthenticated: it proves nothing, is for another server, or its time is over.
    """
    try:
        (certificate,) = jws.embedded_certificates(jws.header_of(token, TYPE, LONGEST), 1)
        device = device_certificate.verify(certificate, ca)
        claims = jws.claims_of(token, device.key)
    except jws.Unproven as error:
        raise KIND.invalid(str(error)) from error
    expire_time = KIND.check(claims, device.guid, audience, now)
    if certificate.not_valid_after_utc < now:
        raise Unauthenticated(
            Reason.CREDENTIALS_EXPIRED,
            f"The device's certificate ended on {certificate.not_valid_after_utc:%Y-%m-%d}.",
            KIND.advice,
        )
    return DeviceClaims(device.guid, device.thumbprint, expire_time)
