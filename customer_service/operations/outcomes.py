"""What a provider's answer does to this server's ledger."""

import random
from dataclasses import replace
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
}


def answered(tx: Transaction, sent: Seat, epoch: int, answer: SeatAnswer, now: datetime) -> bool:
    """Record the answer to a change, unless a newer change has replaced it.

    False: it is of an older session and says nothing of the present one; the change is sent again.
    """
    if storages.lock(tx, sent.storage_id).epoch != epoch:
        return False
    storages.hear(tx, sent.storage_id, answer.position, now)
    row = _still(tx, sent)
    if row is not None:
        state = answer.state if sent.kind is Kind.ACQUIRE else SeatState.NONE
        seats.save(tx, row.answered(state, now))
    return True


def failed(tx: Transaction, sent: Seat, error: OffsiteError, now: datetime) -> None:
    """Record a refusal; an unclear outcome frees nothing and is asked again later."""
    if error.metadata.get("position", "").isdecimal():
        storages.hear(tx, sent.storage_id, int(error.metadata["position"]), now)
    if error.reason in ATTACHMENT_STATES:
        attachment_refused(tx, sent.storage_id, error, now)
        return
    row = _still(tx, sent)
    if row is None:
        return
    if error.reason in REFUSALS and sent.kind is Kind.ACQUIRE:
        _refuse(tx, row, error, now)
    else:
        seats.save(tx, _later(row, error, now))


def attachment_refused(
    tx: Transaction, storage_id: str, error: OffsiteError, now: datetime
) -> Storage:
    """Record that the provider refuses the whole attachment."""
    storage = storages.lock(tx, storage_id)
    state = ATTACHMENT_STATES[error.reason]
    if storage.state not in CONNECTED or storage.state is state:
        return storage
    if state is StorageState.DETACHED:
        use_cases.end_all(tx, storage_id, now)
        storage = storage.detached(error)
    else:
        storage = storage.now(state, error)
    storages.save(tx, storage)
    audit.record(tx, f"storage.{state}", subject=storage.name, detail=error.message, now=now)
    return storage


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
    seats.save(tx, row.answered(state, now, error.reason, reason, error.advice))
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
