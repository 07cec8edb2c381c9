"""A computer that is backed up."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Self

from service_kit.validation import Checks


@dataclass(frozen=True)
class Device:
    """A computer; its id is its GUID at every server.

    `key_thumbprint` is that of the key by which a computer is signed in as this device.
    """

    id: str
    name: str
    user_id: str
    create_time: datetime
    deactivated: bool = False
    deauthorized: bool = False
    key_thumbprint: str = ""
    enroll_time: datetime | None = None

    def __post_init__(self) -> None:
        """Bound every field, and keep each in its one form."""
        checks = Checks("device.")
        object.__setattr__(self, "id", checks.uuid("id", self.id))
        object.__setattr__(self, "name", checks.text("name", self.name, least=1, most=200))
        object.__setattr__(self, "user_id", checks.uuid("user_id", self.user_id))
        checks.done()

    def renamed(self, name: str) -> Self:
        """With another name."""
        return replace(self, name=name)

    @property
    def enrolled(self) -> bool:
        """Whether a computer is signed in as this device."""
        return bool(self.key_thumbprint)

    def in_use(self, in_use: bool) -> Self:
        """Deactivated, or brought back; either way no computer is signed in."""
        return replace(self.unenrolled(), deactivated=not in_use)

    def signed_out(self, signed_out: bool) -> Self:
        """Signed out, or waiting for a new computer to sign in."""
        return replace(self.unenrolled(), deauthorized=signed_out)

    def enrolled_with(self, key_thumbprint: str, now: datetime) -> Self:
        """Signed in by this key."""
        return replace(self, deauthorized=False, key_thumbprint=key_thumbprint, enroll_time=now)

    def unenrolled(self) -> Self:
        """Without a key."""
        return replace(self, key_thumbprint="", enroll_time=None)
