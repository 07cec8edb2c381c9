"""A person whose computers are backed up."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Self

from service_kit.validation import Checks


class UserState(StrEnum):
    """Whether a user may use the server."""

    ACTIVE = "active"
    BLOCKED = "blocked"
    DEACTIVATED = "deactivated"


@dataclass(frozen=True)
class User:
    """A user; what is offered stands in the store, a copy made when the user was created."""

    id: str
    email: str
    organization_id: str
    create_time: datetime
    state: UserState = UserState.ACTIVE
    inherits_destinations: bool = True
    version: int = 1

    def __post_init__(self) -> None:
        """Bound every field, and keep each in its one form."""
        checks = Checks("user.")
        object.__setattr__(self, "id", checks.uuid("id", self.id))
        object.__setattr__(self, "email", checks.email("email", self.email, required=True))
        organization_id = checks.uuid("organization_id", self.organization_id)
        object.__setattr__(self, "organization_id", organization_id)
        checks.done()

    def changed(self, *, email: str | None = None, organization_id: str | None = None) -> Self:
        """With another address, or in another organization."""
        return replace(
            self,
            email=self.email if email is None else email,
            organization_id=self.organization_id if organization_id is None else organization_id,
            version=self.version + 1,
        )

    def now(self, state: UserState) -> Self:
        """In another state."""
        return replace(self, state=state, version=self.version + 1)

    def offered(self, *, inherits: bool) -> Self:
        """Following the defaults or not."""
        return replace(self, inherits_destinations=inherits, version=self.version + 1)
