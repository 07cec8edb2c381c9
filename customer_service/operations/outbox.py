"""Send the changes of seats that a provider has not answered yet."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from customer_service.domain.provider import Session
from customer_service.domain.seat import Kind, Seat
from customer_service.domain.storage import SERVING, Storage
from customer_service.operations import outcomes, sessions
from customer_service.operations.outcomes import Sent
from customer_service.operations.peers import Dial, Provider
from customer_service.store import devices, seats, storages
from service_kit.clock import now as clock
from service_kit.database.engine import Database, Transaction
from service_kit.errors import OffsiteError
from service_kit.reasons import Reason

LEASE = timedelta(seconds=30)  # longer than a request's deadline


def claim_due(tx: Transaction, now: datetime, most: int) -> Sequence[Seat]:
    """Changes that are due, taken for this replica."""
    return seats.claim_due(tx, now, LEASE, most)


def claim(tx: Transaction, storage_id: str, device_id: str, now: datetime) -> Seat | None:
    """One device's change, taken for this replica; None if none waits."""
    seat = seats.lock(tx, storage_id, device_id)
    if seat is None or not seat.waiting:
        return None
    seats.put(tx, replace(seat, next_attempt_time=now + LEASE))
    return seat


async def send(database: Database, dial: Dial, seat: Seat) -> bool:
    """Send one change and record its outcome, whatever it is.

    False: it waits until both ledgers were compared.
    """
    storage, name = await database.read(_where, seat)
    if storage.state not in SERVING:
        return True
    if not storage.compared:
        return False
    try:
        provider = await dial(storage)
        return await _exchange(database, provider, Sent(storage, seat), name)
    except OffsiteError as error:
        await database.run(outcomes.failed, Sent(storage, seat), error, clock())
        return True


async def _exchange(database: Database, provider: Provider, sent: Sent, name: str) -> bool:
    """Send under the present epoch; where another replica has begun a newer one, under that.

    Where nobody here has, there is another deployment: opening a session finds it out. The change
    then waits until both ledgers were compared.
    """
    try:
        return await _request(database, provider, sent, name)
    except OffsiteError as error:
        if error.reason != Reason.STALE_EPOCH:
            raise
        moved = await sessions.overtaken(database, provider, sent.storage)
        if moved.state not in SERVING or not moved.compared:
            return False
        return await _request(database, provider, Sent(moved, sent.seat), name)


async def _request(database: Database, provider: Provider, sent: Sent, name: str) -> bool:
    session = Session(sent.storage.epoch, sent.storage.position)
    if sent.seat.kind is Kind.ACQUIRE:
        answer = await provider.acquire(session, sent.seat, name)
    else:
        answer = await provider.release(session, sent.seat)
    return await database.run(outcomes.answered, sent, answer, clock())


def _where(tx: Transaction, seat: Seat) -> tuple[Storage, str]:
    return storages.get(tx, seat.storage_id), devices.get(tx, seat.device_id).name
