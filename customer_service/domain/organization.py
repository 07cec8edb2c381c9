"""An organization of the customer's own tree."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Self

from service_kit.validation import Checks


@dataclass(frozen=True)
class Organization:
    """An organization; the root alone has no parent."""

    id: str
    name: str
    parent_id: str | None
    create_time: datetime
    deactivated: bool = False
    inherits: bool = True
    version: int = 1

    def __post_init__(self) -> None:
        """Bound every field, and keep each in its one form."""
        checks = Checks("organization.")
        object.__setattr__(self, "id", checks.uuid("id", self.id))
        object.__setattr__(self, "name", checks.text("name", self.name, least=1, most=200))
        if self.parent_id is not None:
            object.__setattr__(self, "parent_id", checks.uuid("parent_id", self.parent_id))
        checks.done()

    def changed(self, *, name: str | None = None, parent_id: str | None = None) -> Self:
        """Renamed, or moved below another."""
        return replace(
            self,
            name=self.name if name is None else name,
            parent_id=self.parent_id if parent_id is None else parent_id,
            version=self.version + 1,
        )

    def in_use(self, in_use: bool) -> Self:
        """Deactivated, or brought back."""
        return replace(self, deactivated=not in_use, version=self.version + 1)
