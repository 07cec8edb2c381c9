"""End a conflict: a person says that this deployment is the rightful one."""

import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from customer_service.domain.provider import ProviderSeat, Session, SessionKind
from customer_service.domain.storage import Storage, StorageState
from customer_service.operations import ledgers, sessions
from customer_service.operations.ledgers import Difference, adopt_generations
from customer_service.operations.peers import Dial, Provider
from customer_service.store import seats, storages
from service_kit.clock import now as clock
from service_kit.database.engine import Database, Transaction
from service_kit.errors import Conflict
from service_kit.reasons import Reason


async def differences(database: Database, dial: Dial, storage_id: str) -> list[Difference]:
    """What differs between the two ledgers of a storage in conflict.

    Raises:
        Conflict: the storage is not in conflict.
        OffsiteError: the provider can't be reached or refuses.
    """
    storage = await database.read(_in_conflict, storage_id)
    provider = await dial(storage)
    theirs = await _all(provider, storage)
    return await database.read(_compare, storage.id, theirs)


async def take_over(database: Database, dial: Dial, storage_id: str) -> list[Difference]:
    """Take the next epoch, so that every other deployment is superseded; answers what differed.

    Where the provider knows a newer change than this server, the provider's is adopted; the rest is
    asked about again by the next reconciliation.

    Raises:
        Conflict: the storage is not in conflict.
        OffsiteError: the provider can't be reached or refuses.
    """
    provider = await dial(await database.read(_in_conflict, storage_id))
    storage = await database.run(prepare, storage_id)
    session = await provider.open_session(
        Session(storage.epoch, storage.position), storage.session_nonce, SessionKind.TAKE_OVER
    )
    # Only now, with every other deployment shut out, does the provider's set stand still.
    theirs = await _all(provider, replace(storage, epoch=session.epoch))
    found = await database.read(_compare, storage_id, theirs)
    await database.run(finish, storage, session, theirs, clock())
    return found


def prepare(tx: Transaction, storage_id: str) -> Storage:
    """Write the takeover's nonce before it is sent."""
    storages.lock(tx, storage_id)
    storage = replace(_in_conflict(tx, storage_id), session_nonce=str(uuid.uuid4()))
    storages.save(tx, storage)
    return storage


def finish(
    tx: Transaction,
    sent: Storage,
    session: Session,
    theirs: Sequence[ProviderSeat],
    now: datetime,
) -> None:
    """Record the takeover and go on from the provider's newer changes."""
    storage = sessions.taken_over(tx, sent, session, now)
    adopt_generations(tx, storage, theirs, now)
    seats.send_waiting_now(tx, storage.id, now)


def _in_conflict(tx: Transaction, storage_id: str) -> Storage:
    storage = storages.get(tx, storage_id)
    if storage.state is not StorageState.CONFLICT:
        raise Conflict(
            Reason.WRONG_STATE,
            f"Storage {storage.name} is {storage.state}, not in conflict.",
            "There is nothing to take over.",
        )
    return storage


def _compare(tx: Transaction, storage_id: str, theirs: Sequence[ProviderSeat]) -> list[Difference]:
    return list(ledgers.compare(tx, storage_id, theirs))


async def _all(provider: Provider, storage: Storage) -> list[ProviderSeat]:
    session = Session(storage.epoch, storage.position)
    return [seat async for page in provider.seats(session) for seat in page]
