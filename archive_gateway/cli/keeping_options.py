"""The options for how long archives are kept."""

from dataclasses import dataclass
from typing import Annotated, Protocol

from cyclopts import Parameter

from service_kit.cli.durations import parse_duration


class Kept(Protocol):
    """A message with the rules of keeping."""

    delete_delay_seconds: int
    retention_seconds: int
    append_only: bool


@Parameter(name="*", negative=())
@dataclass(frozen=True)
class KeepingOptions:
    """What was given; None was not."""

    delete_delay: str | None = None
    """How long what was deleted is kept, like 30d; 0d purges at once."""

    retention: str | None = None
    """How long a device's archive is kept after its seat ended, like 90d."""

    append_only: Annotated[bool | None, Parameter(negative="--no-append-only")] = None
    """Refuse to delete."""

    def fill(self, message: Kept) -> list[str]:
        """Set what was given; answers the names of the fields set."""
        fields = []
        for name, text in (("delete_delay", self.delete_delay), ("retention", self.retention)):
            if text is not None:
                option = "--" + name.replace("_", "-")
                fields.append(f"{name}_seconds")
                setattr(message, fields[-1], int(parse_duration(option, text).total_seconds()))
        if self.append_only is not None:
            message.append_only = self.append_only
            fields.append("append_only")
        return fields
