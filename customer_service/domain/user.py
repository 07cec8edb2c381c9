"""A person whose computers are backed up."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from service_kit.validation import Checks


class UserState(StrEnum):
    """Whether a user may use the server."""

    ACTIVE = "active"
    BLOCKED = "blocked"
    DEACTIVATED = "deactivated"


@dataclass(frozen=True)
class User:
    """A user; what is offered stands in the store, a copy made when the user was created.

    A quota of None is without limit.
    """

    id: str
    email: str
    organization_id: str
    create_time: datetime
    state: UserState = UserState.ACTIVE
    inherits_destinations: bool = True
    version: int = 1
    disk_quota_bytes: int | None = None

    def __post_init__(self) -> None:
        """Bound every field, and keep each in its one form."""
        checks = Checks("user.")
        object.__setattr__(self, "id", checks.uuid("id", self.id))
        object.__setattr__(self, "email", checks.email("email", self.email, required=True))
        organization_id = checks.uuid("organization_id", self.organization_id)
        object.__setattr__(self, "organization_id", organization_id)
        if self.disk_quota_bytes is not None:
            checks.between("disk_quota.bytes", self.disk_quota_bytes, 0)
        checks.done()

    def changed(self, changes: Mapping[str, Any]) -> Self:
        """With other values of some fields."""
        return replace(self, **changes, version=self.version + 1)

    def now(self, state: UserState) -> Self:
        """In another state."""
        return replace(self, state=state, version=self.version + 1)

    def offered(self, *, inherits: bool) -> Self:
        """Following the defaults or not."""
        return replace(self, inherits_destinations=inherits, version=self.version + 1)
