"""What the operator asks for when saving an organization, and what is shown of one."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from archive_gateway.domain.usage import NOTHING, ArchiveUsage
from provider_service.domain.organization import Organization, Settings
from provider_service.domain.registration_key import RegistrationKey
from service_kit.errors import FieldViolation, InvalidArgument
from service_kit.sizes import format_size
from service_kit.validation import Checks


@dataclass(frozen=True)
class Draft:
    """A new organization, under an id of the caller's choice."""

    id: str
    settings: Settings
    accept_terms: bool
    key_lifetime: timedelta

    def __post_init__(self) -> None:
        """Bound the id, and ask for accepted terms."""
        checks = Checks()
        object.__setattr__(self, "id", checks.uuid("organization.id", self.id))
        if self.settings.hosted and not self.accept_terms:
            checks.violations.append(TERMS_NOT_ACCEPTED)
        checks.done()


@dataclass(frozen=True)
class Edit:
    """A change of an organization's settings; an empty etag changes whatever there is."""

    id: str
    change: Callable[[Settings], Settings]
    etag: str
    accept_terms: bool
    key_lifetime: timedelta


@dataclass(frozen=True)
class Shown:
    """An organization, the record of its key if one is in force, and what its archive holds."""

    organization: Organization
    key: RegistrationKey | None
    usage: ArchiveUsage = NOTHING


@dataclass(frozen=True)
class Saved:
    """An organization as saved; `registration_key` is the new key in this answer alone."""

    shown: Shown
    registration_key: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ended:
    """An organization whose access ended, or would end, and how many seats that takes along."""

    shown: Shown
    seats: int
    registration_key: str = ""


TERMS_NOT_ACCEPTED = FieldViolation(
    "accept_terms", "must be set: a hosted organization needs the operator to accept the terms"
)


def own_guid() -> InvalidArgument:
    """The refusal to host oneself."""
    return InvalidArgument(
        [FieldViolation("organization.customer_guid", "is this server's own GUID")]
    )


def warnings(shown: Shown, all_seats: int, license_seats: int) -> tuple[str, ...]:
    """What the operator should know; `all_seats` adds up the maximum seats of all organizations."""
    found = []
    organization, stored = shown.organization, shown.usage.stored_bytes
    most, quota = organization.settings.maximum_seats, organization.settings.disk_quota
    if most is not None and organization.seats_in_use > most:
        found.append(
            f"{organization.seats_in_use} of {most} seats are in use: "
            "those stay, and new ones are refused."
        )
    if quota is not None and quota.limit_bytes is not None and stored > quota.limit_bytes:
        found.append(
            f"{format_size(stored)} of {format_size(quota.limit_bytes)} are stored: "
            "those stay, and new backups are refused."
        )
    if organization.settings.hosted and all_seats > license_seats:
        found.append(
            f"The maximum seats of all organizations add up to {all_seats}; "
            f"this server's license has {license_seats}."
        )
    return tuple(found)
