"""This deployment's session with a provider: how a copy of it is found out."""

import uuid
from dataclasses import replace
from datetime import datetime

from customer_service.domain.provider import Session, SessionKind
from customer_service.domain.storage import Storage, StorageState
from customer_service.operations import outcomes
from customer_service.operations.peers import Provider
from customer_service.store import storages
from service_kit.clock import now as clock
from service_kit.database.engine import Database, Transaction
from service_kit.errors import Conflict, OffsiteError
from service_kit.ledger import audit
from service_kit.reasons import Reason


async def start(database: Database, provider: Provider, storage_id: str) -> Storage:
    """Begin this process' session, with a nonce that it drew itself.

    A nonce found in the row may be in a copy of the row too: it is answered first, then replaced.
    """
    storage = await database.read(storages.get, storage_id)
    if storage.session_nonce:
        await open_session(database, provider, storage_id)
    return await open_session(database, provider, storage_id)


def begin_process(tx: Transaction) -> None:
    """Hold all seat requests until this process has begun its sessions and compared the ledgers."""
    storages.forget_compared(tx)


async def open_session(database: Database, provider: Provider, storage_id: str) -> Storage:
    """Begin a session under the next epoch; replicas share it through the storage's row.

    Raises:
        Conflict, Stale: another deployment uses this server's identity; the storage is in CONFLICT.
        Unavailable: the outcome is unknown; a repeat sends the same nonce and gets the same answer.
    """
    storage = await database.run(prepare, storage_id)
    session = await request(database, provider, storage, SessionKind.START)
    return await database.run(opened, storage, session, clock())


async def overtaken(database: Database, provider: Provider, sent: Storage) -> Storage:
    """Find out who has begun a newer session than the one in which was `sent`.

    Answers the storage in the newer session of another replica. If there is none here, another
    deployment may have begun it: this one opens a session, too, and is told so.

    Raises:
        OffsiteError: as `open_session`.
    """
    present = await database.read(storages.get, sent.id)
    if present.in_session_of(sent):
        return await open_session(database, provider, sent.id)
    return present


async def request(
    database: Database, provider: Provider, storage: Storage, kind: SessionKind, parts: int = 0
) -> Session:
    """Ask for a session with the nonce in the storage's row, and record a refusal.

    Raises:
        OffsiteError: refused, or the outcome is unknown.
    """
    try:
        return await provider.open_session(
            Session(storage.epoch, storage.position),
            storage.session_nonce,
            kind,
            resync_parts=parts,
        )
    except OffsiteError as error:
        if error.reason in outcomes.ATTACHMENT_STATES:
            await database.run(outcomes.attachment_refused, storage, error, clock())
        if error.reason == Reason.STALE_EPOCH:
            await database.run(_forget_nonce, storage)
        raise


def _forget_nonce(tx: Transaction, sent: Storage) -> None:
    """The provider has gone on from this nonce long ago: another one is drawn next time."""
    storage = storages.lock(tx, sent.id)
    if storage.session_nonce == sent.session_nonce:
        storages.save(tx, replace(storage, session_nonce=""))


def prepare(tx: Transaction, storage_id: str) -> Storage:
    """Write the session's nonce before it is sent, or find the one that was not answered yet."""
    storage = storages.lock(tx, storage_id)
    if not storage.session_nonce:
        storage = replace(storage, session_nonce=str(uuid.uuid4()))
        storages.save(tx, storage)
    return storage


def opened(tx: Transaction, sent: Storage, session: Session, now: datetime) -> Storage:
    """Record the session, unless another replica has recorded a newer one."""
    storage = storages.lock(tx, sent.id)
    if storage.session_nonce == sent.session_nonce:
        storage = storage.in_session(session.epoch, session.position, now)
        storages.save(tx, storage)
    return storage


def forget_sessions(tx: Transaction, now: datetime) -> int:
    """After a restore: note in the audit that every attachment needs a new session.

    The next start opens one under the epoch of the backup, and so finds out whether the provider
    has gone on with another deployment since.
    """
    connected = storages.connected(tx)
    for storage in connected:
        storages.save(tx, replace(storage, session_nonce=""))
        audit.record(tx, "storage.restored", subject=storage.name, now=now)
    return len(connected)


def taken_over(tx: Transaction, sent: Storage, session: Session, now: datetime) -> Storage:
    """Record a takeover: this deployment is the rightful one.

    Raises:
        Conflict: the storage was detached, or taken over, meanwhile.
    """
    storage = storages.lock(tx, sent.id)
    ours = storage.session_nonce == sent.session_nonce
    if storage.state is not StorageState.CONFLICT or not ours:
        raise Conflict(
            Reason.WRONG_STATE,
            f"Storage {storage.name} is {storage.state} by now.",
            "Look at it again: storage show.",
        )
    storage = storage.now(StorageState.ATTACHED)
    storage = storage.in_session(session.epoch, session.position, now)
    storages.save(tx, storage)
    audit.record(tx, "storage.taken_over", subject=storage.name, now=now)
    return storage
