"""Tell a provider that the attachment has ended, until it answers."""

from datetime import datetime

from customer_service.domain.storage import Storage, StorageState
from customer_service.operations import attach
from customer_service.operations.peers import Dial
from customer_service.store import storages
from service_kit.clock import now as clock
from service_kit.database.engine import Database, Transaction
from service_kit.errors import OffsiteError
from service_kit.ledger import audit
from service_kit.reasons import Reason

# The provider holds no attachment of this server: what a detach wants is so already.
ALREADY = (Reason.ATTACHMENT_ENDED, Reason.NOT_ATTACHED)


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
            return await database.run(attach.later, storage_id, error, clock())
    return await database.run(finish, storage_id, clock())


def finish(tx: Transaction, storage_id: str, now: datetime) -> Storage:
    """Record that the provider knows."""
    storage = storages.lock(tx, storage_id)
    if storage.state is StorageState.DETACHING:
        storage = storage.detached()
        storages.save(tx, storage)
        audit.record(tx, "storage.detached", subject=storage.name, now=now)
    return storage
