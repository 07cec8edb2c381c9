"""Seats between the wire and the domain."""

from datetime import datetime

from offsite.provider.v1 import seat_service_pb2 as pb

from provider_service.domain.attachment import MOST_PARTS, Opening, Session, SessionKind
from provider_service.domain.seat import Kind, Seat, SeatRequest, SeatState
from provider_service.operations.resync import Part
from service_kit.conversions import optional_timestamp, to_timestamp
from service_kit.reasons import Reason
from service_kit.validation import MAX_INT64, Checks

LARGEST_PART = 1000
MOST_EXCLUDED = 10_000
DIGEST_BYTES = 32

STATES = {state: pb.SeatState.Value(f"SEAT_STATE_{state.name}") for state in SeatState}
SESSION_KINDS = {
    pb.SESSION_KIND_UNSPECIFIED: SessionKind.START,
    pb.SESSION_KIND_START: SessionKind.START,
    pb.SESSION_KIND_TAKE_OVER: SessionKind.TAKE_OVER,
    pb.SESSION_KIND_RESYNC: SessionKind.RESYNC,
}
STATE_OF_VALUE = {value: state for state, value in STATES.items()}
# Why a row of the customer's set is not held; the exact reason is not on the wire.
_REASONS = {
    SeatState.REFUSED: str(Reason.SEAT_LIMIT_REACHED),
    SeatState.REVOKED: str(Reason.SEAT_REVOKED),
}


def to_message(seat: Seat) -> pb.Seat:
    """A seat for the wire."""
    return pb.Seat(
        device_guid=seat.device_guid,
        device_name=seat.device_name,
        generation=seat.generation,
        state=STATES[seat.state],
        acquire_time=optional_timestamp(seat.acquire_time),
        update_time=to_timestamp(seat.update_time),
        reason=seat.reason,
    )


def to_opening(request: pb.OpenSessionRequest) -> Opening:
    """A request to begin a session.

    Raises:
        InvalidArgument: a field is out of bounds.
    """
    checks = Checks()
    if request.kind not in SESSION_KINDS:
        checks.fail("kind", f"has no value {request.kind}")
    checks.done()
    session = Session(request.epoch, request.position)
    return Opening(session, request.nonce, SESSION_KINDS[request.kind], request.resync_parts)


def to_acquire(request: pb.AcquireSeatRequest, guid: str) -> SeatRequest:
    """A request to take a seat."""
    return SeatRequest(
        guid,
        Session(request.epoch, request.position),
        Kind.ACQUIRE,
        request.device_guid,
        request.device_name,
        request.generation,
        request.acknowledged_generation,
    )


def to_release(request: pb.ReleaseSeatRequest, guid: str) -> SeatRequest:
    """A request to give a seat back."""
    return SeatRequest(
        guid,
        Session(request.epoch, request.position),
        Kind.RELEASE,
        request.device_guid,
        "",
        request.generation,
        request.acknowledged_generation,
    )


def to_state(value: pb.SeatState.ValueType) -> SeatState | None:
    """A list's filter; None where it is not set.

    Raises:
        InvalidArgument: an unknown value.
    """
    checks = Checks()
    if value and value not in STATE_OF_VALUE:
        checks.fail("state", f"has no value {value}")
    checks.done()
    return STATE_OF_VALUE.get(value)


def to_excluded(request: pb.ReconcileSeatsRequest) -> frozenset[str]:
    """The devices to leave out; checks the digest too.

    Raises:
        InvalidArgument: too many, not UUIDs, or not a SHA-256 digest.
    """
    checks = Checks()
    if len(request.digest) != DIGEST_BYTES:
        checks.fail("digest", f"must have {DIGEST_BYTES} bytes, has {len(request.digest)}")
    field = "excluded_device_guids"
    if len(request.excluded_device_guids) > MOST_EXCLUDED:
        checks.fail(field, f"must be at most {MOST_EXCLUDED}")
        checks.done()
    guids = frozenset(checks.uuid(field, each) for each in request.excluded_device_guids)
    checks.done()
    return guids


def to_part(request: pb.ResyncSeatsRequest, now: datetime) -> Part:
    """A part of the customer's set.

    Raises:
        InvalidArgument: too many rows, or one out of bounds.
    """
    session = Session(request.epoch, request.position)
    checks = Checks()
    checks.between("part", request.part, 1, MOST_PARTS)
    if len(request.seats) > LARGEST_PART:
        checks.fail("seats", f"must be at most {LARGEST_PART}")
        checks.done()
    seats = [_row(each, Checks(f"seats[{i}]."), now) for i, each in enumerate(request.seats)]
    revoked = frozenset(
        each.device_guid.lower() for each in request.seats if each.state == pb.SEAT_STATE_REVOKED
    )
    return Part(session, seats, revoked, request.part)


def _row(message: pb.ResyncSeat, checks: Checks, now: datetime) -> Seat:
    state = STATE_OF_VALUE.get(message.state)
    if state is None:
        checks.fail("state", "must be held, released, refused or revoked")
    guid = checks.uuid("device_guid", message.device_guid)
    name = checks.text("device_name", message.device_name, most=200)
    checks.between("generation", message.generation, 1, MAX_INT64 - 1)
    checks.done()
    held = state is SeatState.HELD
    return Seat(
        device_guid=guid,
        device_name=name,
        generation=message.generation,
        kind=Kind.RELEASE if state is SeatState.RELEASED else Kind.ACQUIRE,
        live=held,
        revoked=False,
        reason=_REASONS.get(state, "") if state else "",
        acquire_time=now if held else None,
        update_time=now,
    )
