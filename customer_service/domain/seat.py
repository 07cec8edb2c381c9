"""A device's use of a storage, and the change that waits for the provider's answer."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Self

FIRST_RETRY = timedelta(seconds=1)
LONGEST_RETRY = timedelta(minutes=5)


class SeatState(StrEnum):
    """How a device's seat at a storage stands, by this server's ledger."""

    NONE = "none"
    ACQUIRING = "acquiring"
    HELD = "held"
    RELEASING = "releasing"
    REFUSED = "refused"
    REVOKED = "revoked"


class Kind(StrEnum):
    """What a change asks of the provider."""

    ACQUIRE = "acquire"
    RELEASE = "release"


# In these states the device uses the storage, and so holds a seat of this server's own license.
USING = (SeatState.ACQUIRING, SeatState.HELD, SeatState.REFUSED, SeatState.REVOKED)
WAITING = (SeatState.ACQUIRING, SeatState.RELEASING)


@dataclass(frozen=True)
class Seat:
    """A row of the ledger: the last change of a device's seat at a storage.

    `acknowledged` is the last generation that the provider answered and `acknowledged_held` whether
    the seat was held by that answer: what a provider that went back in time must be told.
    """

    storage_id: str
    device_id: str
    generation: int
    state: SeatState
    update_time: datetime
    acknowledged: int = 0
    acknowledged_held: bool = False
    reason_code: str = ""
    reason: str = ""
    advice: str = ""
    next_attempt_time: datetime | None = None
    attempts: int = 0

    @property
    def kind(self) -> Kind:
        """What the last change asked for."""
        return Kind.ACQUIRE if self.state in USING else Kind.RELEASE

    @property
    def live(self) -> bool:
        """Whether the device holds the seat."""
        return self.state is SeatState.HELD

    @property
    def waiting(self) -> bool:
        """Whether the provider has yet to answer."""
        return self.state in WAITING

    def asked(self, kind: Kind, now: datetime) -> Self:
        """A new change, to be sent at once."""
        state = SeatState.ACQUIRING if kind is Kind.ACQUIRE else SeatState.RELEASING
        return replace(
            self.settled(state, now),
            generation=self.generation + 1,
            # A release that was asked for is final: what is acquired after it is a new seat.
            acknowledged_held=self.acknowledged_held and kind is Kind.ACQUIRE,
            next_attempt_time=now,
        )

    def answered(
        self,
        state: SeatState,
        now: datetime,
        reason_code: str = "",
        reason: str = "",
        advice: str = "",
    ) -> Self:
        """The change answered by the provider."""
        return replace(
            self.settled(state, now, reason_code, reason, advice),
            acknowledged=self.generation,
            acknowledged_held=state is SeatState.HELD,
        )

    def settled(
        self,
        state: SeatState,
        now: datetime,
        reason_code: str = "",
        reason: str = "",
        advice: str = "",
    ) -> Self:
        """The same change, with nothing left to send."""
        return replace(
            self,
            state=state,
            update_time=now,
            reason_code=reason_code,
            reason=reason,
            advice=advice,
            next_attempt_time=None,
            attempts=0,
        )


def retry_delay(attempts: int, chance: float) -> timedelta:
    """How long to wait before the next attempt: 1 s doubling to 5 min, with full jitter.

    `chance` is uniform in 0..1. See "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """
    longest = min(LONGEST_RETRY, FIRST_RETRY * (1 << min(attempts, 16)))
    return longest * chance
