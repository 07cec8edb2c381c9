"""What a provider's answer does to this server's ledger."""

import random
from dataclasses import dataclass, replace
from datetime import datetime

from customer_service.domain.provider import SeatAnswer
from customer_service.domain.seat import Kind, Seat, SeatState, retry_delay
from customer_service.domain.storage import CONNECTED, Storage, StorageState
from customer_service.operations import seats as use_cases
from customer_service.store import seats, storages
from service_kit.database.engine import Transaction
from service_kit.errors import OffsiteError
from service_kit.ledger import audit
from service_kit.reasons import Reason
from service_kit.validation import MAX_INT64

# The provider's no to one device: it stays until a person or the device's next backup asks again.
REFUSALS = {
    Reason.SEAT_LIMIT_REACHED: SeatState.REFUSED,
    Reason.LICENSE_LIMIT_REACHED: SeatState.REFUSED,
    Reason.SEAT_ROWS_EXHAUSTED: SeatState.REFUSED,
    Reason.ORGANIZATION_SUSPENDED: SeatState.REFUSED,
    Reason.SEAT_REVOKED: SeatState.REVOKED,
}
# The provider's no to the whole attachment: seat requests wait, or have ended.
ATTACHMENT_STATES = {
    Reason.ATTACHMENT_CONFLICT: StorageState.CONFLICT,
    Reason.EPOCH_SUPERSEDED: StorageState.CONFLICT,
    Reason.STALE_GENERATION: StorageState.CONFLICT,
    Reason.GENERATION_CONFLICT: StorageState.CONFLICT,
    Reason.GENERATION_STEP_TOO_LARGE: StorageState.CONFLICT,
    Reason.ATTACHMENT_REWOUND: StorageState.REWOUND,
    Reason.ATTACHMENT_ENDED: StorageState.DETACHED,
    # This server has a new identity: its seats stay until it has attached with a new key.
    Reason.NOT_ATTACHED: StorageState.REFUSED,
}
# Among them, what a request is told that a newer one of this same server has overtaken on the way.
OVERTAKEN = (
    Reason.STALE_GENERATION,
    Reason.GENERATION_CONFLICT,
    Reason.GENERATION_STEP_TOO_LARGE,
)


@dataclass(frozen=True)
class Sent:
    """A change as it was sent, and the storage in whose session."""

    storage: Storage
    seat: Seat


def answered(tx: Transaction, sent: Sent, answer: SeatAnswer, now: datetime) -> bool:
    """Record the answer to a change, unless a newer change has replaced it.

    False: it is of an older session and says nothing of the present one; the change is sent again.
    """
    if not storages.lock(tx, sent.storage.id).in_session_of(sent.storage):
        return False
    storages.hear(tx, sent.storage.id, answer.position, now)
    row = _still(tx, sent.seat)
    if row is not None:
        state = answer.state if sent.seat.kind is Kind.ACQUIRE else SeatState.NONE
        seats.put(tx, row.answered(state, now))
    return True


def failed(tx: Transaction, sent: Sent, error: OffsiteError, now: datetime) -> None:
    """Record a refusal; an unclear outcome frees nothing and is asked again later.

    A refusal of an older session says nothing of the present one: it is unclear, too.
    """
    is_present = storages.lock(tx, sent.storage.id).in_session_of(sent.storage)
    if is_present and (position := _position(error)):
        storages.hear(tx, sent.storage.id, position, now)
    if is_present and error.reason in ATTACHMENT_STATES and error.reason not in OVERTAKEN:
        attachment_refused(tx, sent.storage, error, now)
        return
    row = _still(tx, sent.seat)
    if row is None:
        return
    if is_present and error.reason in OVERTAKEN:
        attachment_refused(tx, sent.storage, error, now)
    elif is_present and error.reason in REFUSALS and row.kind is Kind.ACQUIRE:
        _refuse(tx, row, error, now)
    else:
        seats.put(tx, _later(row, error, now))


def attachment_refused(
    tx: Transaction, sent: Storage, error: OffsiteError, now: datetime
) -> Storage:
    """Record that the provider refuses the whole attachment, as it was when it was asked."""
    storage = storages.lock(tx, sent.id)
    state = ATTACHMENT_STATES[error.reason]
    if not storage.in_session_of(sent) or storage.state not in CONNECTED or storage.state is state:
        return storage
    ended = state is StorageState.DETACHED
    storage = storage.ended(error) if ended else storage.now(state, error)
    storages.save(tx, storage)
    if ended:
        use_cases.end_all(tx, storage.id, now)
    audit.record(tx, f"storage.{state}", subject=storage.name, detail=error.message, now=now)
    return storage


def later(tx: Transaction, sent: Storage, error: OffsiteError, now: datetime) -> Storage:
    """Note that an attach or detach is to be tried again, unless it was changed meanwhile."""
    storage = storages.lock(tx, sent.id)
    if (storage.state, storage.sealed_key) != (sent.state, sent.sealed_key):
        return storage
    storage = storage.later(error, retry_delay(storage.attempts, 1.0), now)
    storages.save(tx, storage)
    return storage


def _position(error: OffsiteError) -> int:
    """The position that a refusal tells, or 0."""
    told = error.metadata.get("position", "")
    return int(told) if told.isascii() and told.isdigit() and len(told) < len(str(MAX_INT64)) else 0


def _still(tx: Transaction, sent: Seat) -> Seat | None:
    """The row, if it is still at the change that was sent and waits for its answer."""
    row = seats.lock(tx, sent.storage_id, sent.device_id)
    if row is None or row.generation != sent.generation or not row.waiting:
        return None
    return row


def _refuse(tx: Transaction, row: Seat, error: OffsiteError, now: datetime) -> None:
    state = REFUSALS[error.reason]
    name = storages.get(tx, row.storage_id).name
    reason = f"{name} refused: {error.message}"
    seats.put(tx, row.answered(state, now, error.reason, reason, error.advice))
    audit.record(tx, f"seat.{state}", subject=row.device_id, detail=reason, now=now)


def _later(row: Seat, error: OffsiteError, now: datetime) -> Seat:
    delay = retry_delay(row.attempts, random.random())  # noqa: S311 (jitter, no secret)
    return replace(
        row,
        attempts=row.attempts + 1,
        next_attempt_time=now + delay,
        reason_code=error.reason,
        reason=error.message,
        advice="It is sent again by itself.",
    )
