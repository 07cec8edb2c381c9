"""End an attachment; its provider is told until it answers."""

from datetime import datetime

from customer_service.domain.storage import Storage, StorageState
from customer_service.operations import outcomes
from customer_service.operations import seats as seat_use_cases
from customer_service.operations.organizations import Impact
from customer_service.operations.peers import Dial
from customer_service.operations.storages import refuse_local
from customer_service.store import destinations, organizations, storages
from service_kit.clock import now as clock
from service_kit.database.engine import Database, Transaction
from service_kit.errors import OffsiteError
from service_kit.ledger import audit
from service_kit.reasons import Reason

# The provider holds no attachment of this server: what a detach wants is so already.
ALREADY = (Reason.ATTACHMENT_ENDED, Reason.NOT_ATTACHED)


def begin(tx: Transaction, storage_id: str, now: datetime, *, force: bool) -> Impact:
    """End an attachment; the provider is told by the outbox, or never where `force` forgets it.

    Raises:
        NotFound: no such storage.
        Conflict: it is the local storage.
    """
    storages.get(tx, storage_id)
    organizations.lock_tree(tx)
    storage = storages.lock(tx, storage_id)
    refuse_local(storage)
    if storage.state is StorageState.DETACHED and not storage.epoch:
        return Impact()
    to_tell = storage.state is not StorageState.DETACHED and not force
    storages.save(tx, storage.detaching(now) if to_tell else storage.detached())
    users = destinations.remove_storage(tx, storage_id)
    released = seat_use_cases.end_all(tx, storage_id, now)
    kind = "storage.forgotten" if force else "storage.detaching"
    audit.record(tx, kind, subject=storage.name, now=now)
    return Impact(users=users, released=released)


async def complete(database: Database, dial: Dial, storage_id: str) -> Storage:
    """Tell the provider once; answers the storage, DETACHING where it must be told again."""
    storage = await database.read(storages.get, storage_id)
    if storage.state is not StorageState.DETACHING:
        return storage
    try:
        provider = await dial(storage)
        await provider.detach()
    except OffsiteError as error:
        if error.reason not in ALREADY:
            return await database.run(outcomes.later, storage, error, clock())
    return await database.run(finish, storage_id, clock())


def finish(tx: Transaction, storage_id: str, now: datetime) -> Storage:
    """Record that the provider knows."""
    storage = storages.lock(tx, storage_id)
    if storage.state is StorageState.DETACHING:
        storage = storage.detached()
        storages.save(tx, storage)
        audit.record(tx, "storage.detached", subject=storage.name, now=now)
    return storage
