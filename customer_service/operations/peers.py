"""The provider as an operation sees it: domain values in and out, our errors, nothing of the wire."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Protocol

from customer_service.domain.provider import (
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
from customer_service.domain.storage import Storage


class Provider(Protocol):
    """A provider's server, dialled and proven.

    A Protocol so that operations do not import the adapter, `customer_service.provider_client`.
    Every call raises OffsiteError; Unavailable means that the outcome is unknown.
    """

    async def validate(self, registration_key: str) -> Offer: ...
    async def attach(self, registration_key: str) -> Attached: ...
    async def detach(self) -> None: ...
    async def contact(self, position: int) -> Contact: ...
    async def open_session(
        self, session: Session, nonce: str, kind: SessionKind, *, resync_parts: int = 0
    ) -> Session: ...
    async def acquire(self, session: Session, seat: Seat, device_name: str) -> SeatAnswer: ...
    async def release(self, session: Session, seat: Seat) -> SeatAnswer: ...
    async def reconcile(self, session: Session, digest: bytes, excluded: Sequence[str]) -> bool: ...
    async def resync(self, session: Session, rows: Sequence[ResyncRow], number: int) -> None: ...
    def seats(self, session: Session) -> AsyncIterator[Sequence[ProviderSeat]]: ...


Dial = Callable[[Storage], Awaitable[Provider]]
