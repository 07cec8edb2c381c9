"""Find out whether both ledgers are equal, and where not, ask the provider again.

A difference never changes a state by itself: this server sends its present generation once more.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from customer_service.domain.provider import ProviderSeat, Session
from customer_service.domain.seat import USING, Seat, SeatState
from customer_service.domain.storage import SERVING, Storage
from customer_service.operations import ledgers, outcomes, sessions
from customer_service.operations.ledgers import Difference
from customer_service.operations.peers import Provider
from customer_service.store import seats, storages
from service_kit.clock import now as clock
from service_kit.database.engine import Database, Transaction
from service_kit.errors import OffsiteError, Stale
from service_kit.ledger import audit
from service_kit.reasons import Reason


async def reconcile(database: Database, provider: Provider, storage: Storage) -> int:
    """Compare both ledgers; answers how many devices are asked about again.

    Raises:
        OffsiteError: the provider can't be reached or refuses.
    """
    snapshot = await database.read(ledgers.snapshot, storage.id)
    session = Session(storage.epoch, storage.position)
    try:
        if snapshot and await provider.reconcile(session, snapshot.digest, snapshot.excluded):
            await database.run(found_equal, storage, clock())
            return 0
        theirs = [seat async for page in provider.seats(session) for seat in page]
    except OffsiteError as error:
        if error.reason in outcomes.ATTACHMENT_STATES:
            await database.run(outcomes.attachment_refused, storage, error, clock())
        if error.reason == Reason.STALE_EPOCH:
            await sessions.overtaken(database, provider, storage)
        raise
    return await database.run(repair, storage, theirs, clock())


def found_equal(tx: Transaction, asked: Storage, now: datetime) -> None:
    """Note that both ledgers were equal, unless a newer session has begun meanwhile."""
    storage = storages.lock(tx, asked.id)
    if storage.state not in SERVING or not storage.in_session_of(asked):
        return
    storages.save(tx, replace(storage, reconcile_time=now, compared=True))
    seats.replace_unclaimed(tx, storage.id, [])
    seats.send_waiting_now(tx, storage.id, now)


def repair(tx: Transaction, asked: Storage, theirs: Sequence[ProviderSeat], now: datetime) -> int:
    """Send again what differs; list what nobody here knows; answers how many are sent again."""
    storage = storages.lock(tx, asked.id)
    if storage.state not in SERVING or not storage.in_session_of(asked):
        return 0
    differences = list(ledgers.compare(tx, storage.id, theirs))
    beyond = next((each for each in differences if _beyond(each)), None)
    if beyond is not None:
        outcomes.attachment_refused(tx, storage, _copy_suspected(beyond), now)
        return 0
    unclaimed = [each.theirs for each in differences if each.ours is None and each.theirs]
    seats.replace_unclaimed(tx, storage.id, unclaimed)
    sent = ask_again(tx, [each.ours for each in differences if each.ours is not None], now)
    equal_time = storage.reconcile_time if sent else now
    storages.save(tx, replace(storage, reconcile_time=equal_time, compared=True))
    seats.send_waiting_now(tx, storage.id, now)
    if sent:
        audit.record(
            tx,
            "storage.reconciled",
            subject=storage.name,
            detail=f"{sent} seats are asked about again",
            now=now,
        )
    return sent


def ask_again(tx: Transaction, compared: Sequence[Seat], now: datetime) -> int:
    """Send rows again that are still as they were compared; answers how many."""
    if not compared:
        return 0
    device_ids = [each.device_id for each in compared]
    present = seats.lock_of_devices(tx, device_ids, compared[0].storage_id)
    same = [each for each in present if each in set(compared)]
    seats.put(tx, *(_again(each, now) for each in same))
    return len(same)


def _again(ours: Seat, now: datetime) -> Seat:
    """The present generation once more, as the change that it was."""
    state = SeatState.ACQUIRING if ours.state in USING else SeatState.RELEASING
    return replace(ours.settled(state, now), next_attempt_time=now)


def _beyond(difference: Difference) -> bool:
    ours, theirs = difference.ours, difference.theirs
    return ours is not None and theirs is not None and theirs.generation > ours.generation


def _copy_suspected(difference: Difference) -> OffsiteError:
    return Stale(
        Reason.STALE_GENERATION,
        f"The provider knows a newer change of device {difference.device_guid} than this server.",
        "Another deployment made it, or this one was restored: storage takeover --confirm.",
    )
