"""The code by which one computer signs in as a device, once."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Self

from service_kit.errors import OffsiteError, PermissionDenied, Unauthenticated
from service_kit.reasons import Reason

LIFETIME = timedelta(hours=24)


@dataclass(frozen=True)
class IssuedCode:
    """A new code, in the only place where it is ever seen."""

    code: str = field(repr=False)
    expire_time: datetime


@dataclass(frozen=True)
class EnrollmentCode:
    """What is kept of a code: a keyed hash, and the key that it was used for."""

    device_id: str
    code_hash: str
    expire_time: datetime
    key_thumbprint: str = ""

    def accepts(self, key_thumbprint: str, now: datetime) -> bool:
        """Whether this key may sign in: the first one may, and again while the code lives."""
        return now < self.expire_time and self.key_thumbprint in ("", key_thumbprint)

    def used_for(self, key_thumbprint: str) -> Self:
        """The code, good for this key alone."""
        return replace(self, key_thumbprint=key_thumbprint)


def refused() -> OffsiteError:
    """The one answer to a code that does not fit: it tells a stranger nothing."""
    return PermissionDenied(
        Reason.ENROLLMENT_CODE_REFUSED,
        "There is no such enrollment code for this computer.",
        "Ask the administrator for a new one: device enroll-code.",
    )


def revoked() -> OffsiteError:
    """The refusal of a key that is not the device's own any more."""
    return Unauthenticated(
        Reason.CREDENTIALS_REVOKED,
        "This computer is not signed in as this device any more.",
        "Ask the administrator for a new enrollment code: device enroll-code.",
    )
