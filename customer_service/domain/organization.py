"""An organization of the customer's own tree."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Self

from archive_gateway.domain.keeping import (
    DEFAULT_DELETE_DELAY,
    DEFAULT_RETENTION,
    check_keeping,
)
from service_kit.validation import Checks


@dataclass(frozen=True)
class Organization:
    """An organization; the root alone has no parent.

    A quota of None is without limit. How long archives are kept is said by the root alone, whose
    archive it is; None means the default.
    """

    id: str
    name: str
    parent_id: str | None
    create_time: datetime
    deactivated: bool = False
    inherits: bool = True
    version: int = 1
    disk_quota_bytes: int | None = None
    delete_delay: timedelta | None = None
    retention: timedelta | None = None
    append_only: bool = False

    def __post_init__(self) -> None:
        """Bound every field, and keep each in its one form."""
        checks = Checks("organization.")
        object.__setattr__(self, "id", checks.uuid("id", self.id))
        object.__setattr__(self, "name", checks.text("name", self.name, least=1, most=200))
        if self.parent_id is not None:
            object.__setattr__(self, "parent_id", checks.uuid("parent_id", self.parent_id))
            self._refuse_keeping(checks)
        if self.disk_quota_bytes is not None:
            checks.between("disk_quota.bytes", self.disk_quota_bytes, 0)
        check_keeping(checks, self.present_delete_delay, self.present_retention)
        checks.done()

    def _refuse_keeping(self, checks: Checks) -> None:
        given = {
            "delete_delay_seconds": self.delete_delay is not None,
            "retention_seconds": self.retention is not None,
            "append_only": self.append_only,
        }
        for field in (field for field, is_given in given.items() if is_given):
            checks.fail(field, "is of the root organization alone, whose archive it is")

    @property
    def present_delete_delay(self) -> timedelta:
        """How long what was deleted is kept."""
        return DEFAULT_DELETE_DELAY if self.delete_delay is None else self.delete_delay

    @property
    def present_retention(self) -> timedelta:
        """How long a device's archive is kept after its seat ended."""
        return DEFAULT_RETENTION if self.retention is None else self.retention

    def changed(self, changes: Mapping[str, Any]) -> Self:
        """With other values of some fields."""
        return replace(self, **changes, version=self.version + 1)

    def in_use(self, in_use: bool) -> Self:
        """Deactivated, or brought back."""
        return replace(self, deactivated=not in_use, version=self.version + 1)
