"""The registration key's record: what the provider keeps of a key that it showed once."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Self

from service_kit.errors import Conflict, OffsiteError, PermissionDenied
from service_kit.reasons import Reason
from service_kit.validation import Checks

DEFAULT_LIFETIME = timedelta(days=30)
LONGEST_LIFETIME = timedelta(days=365)


class KeyState(StrEnum):
    """Whether a key opens anything."""

    ISSUED = "issued"
    USED = "used"
    ENDED = "ended"


@dataclass(frozen=True)
class RegistrationKey:
    """A key's record: a keyed hash and an independent short id for display."""

    id: str
    organization_id: str
    key_hash: str
    state: KeyState
    epoch: int | None
    create_time: datetime
    expire_time: datetime

    def used(self, epoch: int) -> Self:
        """The key that made the attachment of this epoch; the same server may repeat it."""
        return replace(self, state=KeyState.USED, epoch=epoch)

    def check(self, now: datetime) -> None:
        """Raise why this key opens nothing, for its own customer.

        Raises:
            Conflict: it was ended by a rotation, a detach or a deactivation, or it has expired.
        """
        if self.state is KeyState.ENDED:
            raise Conflict(
                Reason.REGISTRATION_KEY_ROTATED,
                f"Registration key {self.id} was replaced or ended by the provider.",
                "Ask the provider for a new registration key.",
            )
        if self.expire_time <= now:
            raise Conflict(
                Reason.REGISTRATION_KEY_EXPIRED,
                f"Registration key {self.id} expired at {self.expire_time:%Y-%m-%d %H:%M} UTC.",
                "Ask the provider for a new registration key.",
            )


def lifetime(seconds: int) -> timedelta:
    """How long a key shall live; 0 means the default.

    Raises:
        InvalidArgument: it is negative or longer than a year.
    """
    checks = Checks()
    most = int(LONGEST_LIFETIME.total_seconds())
    checks.between("registration_key_lifetime_seconds", seconds, 0, most)
    checks.done()
    return timedelta(seconds=seconds) if seconds else DEFAULT_LIFETIME


def refused(caller_guid: str) -> OffsiteError:
    """The one answer to a server whose key does not fit: it tells a stranger nothing."""
    return PermissionDenied(
        Reason.REGISTRATION_KEY_REFUSED,
        f"There is no valid key for server {caller_guid}.",
        "Compare the key, its date, and the GUID that the provider entered.",
    )
