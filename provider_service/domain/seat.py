"""The rules of a seat: what a request with a generation does to a device's row.

A seat is a member of a set, never a counter. The customer numbers the changes of each device; a row
remembers the last number: a repeat changes nothing, and a late request can't undo a newer one.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from provider_service.domain.account import Account
from provider_service.domain.attachment import Session
from provider_service.domain.organization import State
from service_kit.errors import Conflict, LimitReached, OffsiteError, PermissionDenied, Stale
from service_kit.reasons import Reason
from service_kit.validation import MAX_INT64, Checks

MAXIMUM_GENERATION_STEP = 1000
RESERVED_ROWS = 1000
ROWS_PER_SEAT = 10


class Kind(StrEnum):
    """What a request asks for."""

    ACQUIRE = "acquire"
    RELEASE = "release"


class SeatState(StrEnum):
    """How a device's seat stands."""

    HELD = "held"
    RELEASED = "released"
    REFUSED = "refused"
    REVOKED = "revoked"


class Seat(NamedTuple):
    """A device's row in the ledger. A tuple, for batches make many."""

    device_guid: str
    device_name: str
    generation: int
    kind: str
    live: bool
    revoked: bool
    reason: str
    acquire_time: datetime | None
    update_time: datetime

    @property
    def state(self) -> SeatState:
        """How the seat stands, derived."""
        if self.live:
            return SeatState.HELD
        if self.revoked:
            return SeatState.REVOKED
        return SeatState.REFUSED if self.kind == Kind.ACQUIRE else SeatState.RELEASED


@dataclass(frozen=True, slots=True)
class SeatRequest:
    """A customer's request to take or give back a seat."""

    customer_guid: str
    session: Session
    kind: Kind
    device_guid: str
    device_name: str
    generation: int
    acknowledged: int = 0

    def __post_init__(self) -> None:
        """Bound every field."""
        checks = Checks()
        checks.between("acknowledged_generation", self.acknowledged, 0, MAX_INT64 - 1)
        object.__setattr__(self, "device_guid", checks.uuid("device_guid", self.device_guid))
        checks.between("generation", self.generation, 1, MAX_INT64 - 1)
        if self.kind is Kind.ACQUIRE:
            name = checks.text("device_name", self.device_name, least=1, most=200)
            object.__setattr__(self, "device_name", name)
        checks.done()


class Decision(NamedTuple):
    """What a request does to a row.

    `seat` is the row as it stands then, `changed` whether it is to be written; a refusal may be
    both, as its tombstone is.
    """

    seat: Seat
    changed: bool
    refusal: OffsiteError | None


def decide(
    request: SeatRequest, seat: Seat | None, account: Account, license_free: int, now: datetime
) -> Decision:
    """Apply a request to a device's row by the rules of the ledger.

    `license_free` is how many seats the server's license still has.

    Raises:
        Stale: a newer change of this device was applied already.
        Conflict: the generation was used for the other kind of change, or jumps too far.
        LimitReached: the organization has too many rows.
    """
    if seat is not None and request.generation <= seat.generation:
        return Decision(seat, False, _replayed(request, seat))
    _check_bounds(request, seat, account)
    if request.kind is Kind.RELEASE:
        return Decision(_released(request, seat, now), True, None)
    if seat is not None and seat.live:
        renewed = seat._replace(
            device_name=request.device_name, generation=request.generation, update_time=now
        )
        return Decision(renewed, True, None)
    refusal = _refusal(seat, account, license_free)
    return Decision(_acquired(request, seat, refusal, now), True, refusal)


def _replayed(request: SeatRequest, seat: Seat) -> OffsiteError | None:
    """A generation that was seen before gets the row's present state."""
    if request.generation < seat.generation:
        raise Stale(
            Reason.STALE_GENERATION,
            f"Device {seat.device_guid} is at generation {seat.generation}, "
            f"the request at {request.generation}.",
            "A newer change was applied; reconcile.",
            metadata={"generation": str(seat.generation)},
        )
    if request.kind != seat.kind:
        raise Conflict(
            Reason.GENERATION_CONFLICT,
            f"Generation {seat.generation} of device {seat.device_guid} was another change.",
            "Two customer servers may be using one identity; reconcile.",
            metadata={"generation": str(seat.generation)},
        )
    if request.kind is Kind.RELEASE or seat.live:
        return None
    return revoked(seat.reason) if seat.revoked else _refused_before(seat.reason)


def _check_bounds(request: SeatRequest, seat: Seat | None, account: Account) -> None:
    if seat is not None and request.generation > seat.generation + MAXIMUM_GENERATION_STEP:
        raise Conflict(
            Reason.GENERATION_STEP_TOO_LARGE,
            f"Generation {request.generation} is more than {MAXIMUM_GENERATION_STEP} after "
            f"{seat.generation}.",
            "The customer's ledger and this one do not belong together; reconcile.",
            metadata={"generation": str(seat.generation)},
        )
    most = ROWS_PER_SEAT * account.maximum_seats + RESERVED_ROWS
    if seat is None and account.seat_rows >= most:
        raise LimitReached(
            Reason.SEAT_ROWS_EXHAUSTED,
            f"The organization has named {account.seat_rows} devices, the most for its seats.",
            "Ask the provider for more maximum seats.",
        )


def _refusal(seat: Seat | None, account: Account, license_free: int) -> OffsiteError | None:
    """Why a seat that is not held can't be taken, or None."""
    if seat is not None and seat.revoked:
        return revoked(seat.reason)
    if account.state is State.SUSPENDED:
        return Conflict(
            Reason.ORGANIZATION_SUSPENDED,
            f"The provider has suspended the organization: {account.suspend_reason}",
            "Settle it with the provider, then use the destination again.",
        )
    if account.seats_in_use >= account.maximum_seats:
        return LimitReached(
            Reason.SEAT_LIMIT_REACHED,
            "The provider has no free seat: "
            f"{account.seats_in_use} of {account.maximum_seats} are in use.",
            "Release a seat or ask the provider for more, then use the destination again.",
            metadata={"maximum_seats": str(account.maximum_seats)},
        )
    if license_free <= 0:
        return LimitReached(
            Reason.LICENSE_LIMIT_REACHED,
            "The provider's own license has no free seat.",
            "Ask the provider for a seat, then use the destination again.",
        )
    return None


def revoked(reason: str) -> OffsiteError:
    """The refusal for a device whose seat the operator ended."""
    return PermissionDenied(
        Reason.SEAT_REVOKED,
        f"The provider revoked this device's seat{': ' + reason if reason else '.'}",
        "Ask the provider to restore it, then use the destination again.",
    )


def _refused_before(reason: str) -> OffsiteError:
    """The refusal that a row's tombstone remembers."""
    kind = _KIND_OF_REFUSAL.get(reason, Conflict)
    return kind(
        Reason(reason),
        "The provider refused this request before.",
        "Use the destination again to ask anew.",
    )


_KIND_OF_REFUSAL: dict[str, type[OffsiteError]] = {
    Reason.SEAT_LIMIT_REACHED: LimitReached,
    Reason.LICENSE_LIMIT_REACHED: LimitReached,
    Reason.SEAT_REVOKED: PermissionDenied,
}


def _released(request: SeatRequest, seat: Seat | None, now: datetime) -> Seat:
    """A release, also of a device never seen: the tombstone stops a late acquire."""
    was_revoked = seat is not None and seat.revoked
    return Seat(
        device_guid=request.device_guid,
        device_name=seat.device_name if seat else "",
        generation=request.generation,
        kind=Kind.RELEASE,
        live=False,
        revoked=was_revoked,
        reason=seat.reason if seat and was_revoked else "",
        acquire_time=None,
        update_time=now,
    )


def _acquired(
    request: SeatRequest, seat: Seat | None, refusal: OffsiteError | None, now: datetime
) -> Seat:
    """A seat taken, or the tombstone of a refusal: the next try uses the next generation."""
    was_revoked = seat is not None and seat.revoked
    reason = str(refusal.reason) if refusal else ""
    return Seat(
        device_guid=request.device_guid,
        device_name=request.device_name,
        generation=request.generation,
        kind=Kind.ACQUIRE,
        live=refusal is None,
        revoked=was_revoked,
        reason=seat.reason if seat and was_revoked else reason,
        acquire_time=None if refusal else now,
        update_time=now,
    )


def withdrawn(seat: Seat, reason: str, now: datetime) -> Seat:
    """Ended by the operator, for every later generation too.

    Raises:
        InvalidArgument: the reason is too long.
    """
    checks = Checks()
    reason = checks.text("reason", reason, most=500)
    checks.done()
    return seat._replace(
        live=False, revoked=True, reason=reason, acquire_time=None, update_time=now
    )


def restored(seat: Seat, now: datetime) -> Seat:
    """Allowed to ask again, under its next generation."""
    return seat._replace(revoked=False, reason=str(Reason.SEAT_REVOKED), update_time=now)


def resynced(theirs: Seat, ours: Seat | None) -> Seat | None:
    """What the customer's row makes of ours when this ledger went back in time; None: nothing.

    A newer generation wins. The same generation can still be held there and not here, for a seat
    may have been restored and taken between the backup and now.
    """
    if ours is None:
        return theirs
    if theirs.generation > ours.generation:
        still_revoked = ours.revoked and not theirs.live
        reason = ours.reason if still_revoked else theirs.reason
        return theirs._replace(revoked=still_revoked, reason=reason)
    if theirs.generation == ours.generation and theirs.live and not (ours.live or ours.revoked):
        return theirs
    return None
