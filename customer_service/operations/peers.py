"""The provider as an operation sees it: domain values in and out, and our errors."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Protocol

from customer_service.domain.provider import (
    ArchiveAccess,
    ArchiveGrant,
    Attached,
    Contact,
    Offer,
    ProviderSeat,
    ResyncRow,
    SeatAnswer,
    Session,
    SessionKind,
)
from customer_service.domain.seat import Seat
from customer_service.domain.storage import Storage, StorageUsage


class Provider(Protocol):
    """A provider's server, dialled and proven.

    A Protocol so that operations do not import the adapter, `customer_service.provider_client`.
    Every call raises OffsiteError; Unavailable means that the outcome is unknown.
    """

    async def validate(self, registration_key: str) -> Offer:
        """Ask what attaching with a key would grant."""
        ...

    async def attach(self, registration_key: str) -> Attached:
        """Attach this server."""
        ...

    async def detach(self) -> None:
        """End the attachment."""
        ...

    async def contact(self, position: int) -> Contact:
        """Ask what is granted now."""
        ...

    async def open_session(
        self, session: Session, nonce: str, kind: SessionKind, *, resync_parts: int = 0
    ) -> Session:
        """Begin a session under the next epoch."""
        ...

    async def acquire(self, session: Session, seat: Seat, device_name: str) -> SeatAnswer:
        """Ask for a device's seat."""
        ...

    async def open_archive(self, session: Session, seat: Seat, device_name: str) -> ArchiveAccess:
        """Ask once more for a seat that is held, and so for what opens the archive there."""
        ...

    async def grant(self, device_guid: str, life: timedelta) -> ArchiveGrant:
        """Ask for a read-only credential of a device's archive."""
        ...

    async def usage(self) -> StorageUsage:
        """Ask what this server's archive there holds."""
        ...

    async def release(self, session: Session, seat: Seat) -> SeatAnswer:
        """Give a device's seat back."""
        ...

    async def reconcile(self, session: Session, digest: bytes, excluded: Sequence[str]) -> bool:
        """Ask whether both sides' sets of seats are the same."""
        ...

    async def resync(self, session: Session, rows: Sequence[ResyncRow], number: int) -> None:
        """Send a part of this server's set."""
        ...

    def seats(self, session: Session) -> AsyncIterator[Sequence[ProviderSeat]]:
        """The provider's rows by device GUID, a page at a time."""
        ...


Dial = Callable[[Storage], Awaitable[Provider]]
