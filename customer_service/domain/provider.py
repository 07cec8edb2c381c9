"""What a provider answers, as values: the words in which operations talk of it."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from customer_service.domain.seat import Kind, SeatState
from customer_service.domain.storage import Entitlement


class ProviderState(StrEnum):
    """How the provider sees this server's attachment."""

    ATTACHED = "attached"
    SUSPENDED = "suspended"
    CONFLICT = "conflict"
    REWOUND = "rewound"
    DETACHED = "detached"


@dataclass(frozen=True)
class Offer:
    """What attaching with a registration key would grant."""

    entitlement: Entitlement
    key_expire_time: datetime | None


@dataclass(frozen=True)
class Attached:
    """An attachment just made, or repeated."""

    entitlement: Entitlement
    epoch: int
    position: int


@dataclass(frozen=True)
class Contact:
    """The provider's present view."""

    entitlement: Entitlement
    state: ProviderState
    epoch: int
    position: int


class SessionKind(StrEnum):
    """Why a session begins."""

    START = "start"
    TAKE_OVER = "take_over"
    RESYNC = "resync"


@dataclass(frozen=True)
class Session:
    """A session begun."""

    epoch: int
    position: int


@dataclass(frozen=True)
class SeatAnswer:
    """How the seat stands after a request."""

    state: SeatState
    position: int


@dataclass(frozen=True)
class ArchiveAccess:
    """How a device reaches its archive. Passed on to it, never kept or logged."""

    archive_url: str
    storage_credential: str = field(repr=False)


@dataclass(frozen=True)
class ArchiveGrant:
    """A read-only credential for one device's archive, and who gave it when and until when."""

    id: str
    device_guid: str
    creator: str
    create_time: datetime
    expire_time: datetime
    access: ArchiveAccess


@dataclass(frozen=True)
class ProviderSeat:
    """A row of the provider's ledger."""

    device_guid: str
    device_name: str
    generation: int
    live: bool
    revoked: bool
    kind: Kind = Kind.ACQUIRE


@dataclass(frozen=True)
class ResyncRow:
    """A row of this server's ledger, for a provider whose own went back in time."""

    device_guid: str
    device_name: str
    generation: int
    state: SeatState
