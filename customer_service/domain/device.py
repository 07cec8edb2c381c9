"""A computer that is backed up."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Self

from service_kit.validation import Checks


@dataclass(frozen=True)
class Device:
    """A computer; its id is its GUID at every server."""

    id: str
    name: str
    user_id: str
    create_time: datetime
    deactivated: bool = False
    deauthorized: bool = False

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

    def in_use(self, in_use: bool) -> Self:
        """Deactivated, or brought back."""
        return replace(self, deactivated=not in_use)

    def signed_out(self, signed_out: bool) -> Self:
        """Signed out, or signed in again on a new computer."""
        return replace(self, deauthorized=signed_out)
