"""Attach a provider's storage with hostname, GUID and registration key.

The storage is written as ATTACHING before the key is sent, so an attach cut off anywhere goes on by
itself; a repeat with the same key gets the same answer.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from customer_service.domain.provider import Attached, Offer, ProviderSeat, Session
from customer_service.domain.seat import retry_delay
from customer_service.domain.storage import Storage, StorageState, StorageType
from customer_service.operations import destinations
from customer_service.operations.ledgers import adopt_generations
from customer_service.operations.peers import Dial, Provider
from customer_service.operations.reconcile import reconcile
from customer_service.store import seats, storages
from service_kit.clock import now as clock
from service_kit.database.engine import Database, Transaction
from service_kit.errors import AlreadyExists, Conflict, NotFound, OffsiteError, Unavailable
from service_kit.identity.identity import Identity
from service_kit.ledger import audit
from service_kit.reasons import Reason

PURPOSE = "registration key while attaching"


async def test(dial: Dial, storage: Storage, registration_key: str) -> Offer:
    """Dial the provider and validate the key; changes nothing on either side."""
    provider = await dial(storage)
    return await provider.validate(registration_key)


async def attach(
    database: Database, dial: Dial, identity: Identity, storage: Storage, registration_key: str
) -> Storage:
    """Attach a storage; answers it ATTACHED, or ATTACHING where the provider's answer is missing.

    Raises:
        OffsiteError: the provider is not the one expected, or refuses the key.
    """
    known = await database.read(_repeated, storage)
    if known is not None and known.state is not StorageState.ATTACHING:
        return known
    if known is None:
        await test(dial, storage, registration_key)
        sealed = identity.seal(PURPOSE, registration_key.encode())
        await database.run(begin, storage.attaching(sealed, clock()), clock())
    return await complete(database, dial, identity, storage.id)


def begin(tx: Transaction, storage: Storage, now: datetime) -> None:
    """Write a new storage as ATTACHING."""
    storages.create(tx, storage)
    audit.record(tx, "storage.attaching", subject=storage.name, now=now)


def begin_again(
    tx: Transaction,
    identity: Identity,
    storage_id: str,
    registration_key: str,
    now: datetime,
    *,
    provider_guid: str = "",
    hostname: str = "",
) -> Storage:
    """Write an existing storage as ATTACHING again, with a new key, and perhaps another provider.

    Raises:
        Conflict: it is the local storage, or it has no need to be attached.
    """
    storage = storages.lock(tx, storage_id)
    if storage.type is StorageType.LOCAL or (
        storage.state in (StorageState.ATTACHED, StorageState.DETACHING) and not provider_guid
    ):
        raise Conflict(
            Reason.WRONG_STATE,
            f"Storage {storage.name} is {storage.state}.",
            "Only a storage that is being attached, was refused or detached can be attached again.",
        )
    if registration_key:
        sealed = identity.seal(PURPOSE, registration_key.encode())
        storage = replace(
            storage.attaching(sealed, now),
            provider_guid=provider_guid or storage.provider_guid,
            hostname=hostname or storage.hostname,
        )
        storages.save(tx, storage)
    if storage.sealed_key is None:
        raise Conflict(
            Reason.WRONG_STATE,
            f"Storage {storage.name} has no registration key any more.",
            "Ask the provider for a new registration key and give it along.",
        )
    return storage


async def complete(database: Database, dial: Dial, identity: Identity, storage_id: str) -> Storage:
    """Send the key that a storage's row holds, and record the answer.

    Raises:
        OffsiteError: the provider refuses the key; the storage is REFUSED, the key forgotten.
    """
    storage = await database.read(storages.get, storage_id)
    if storage.sealed_key is None:
        return storage
    key = identity.unseal(PURPOSE, storage.sealed_key).decode()
    try:
        provider = await dial(storage)
        attached = await provider.attach(key)
        theirs = await _all_seats(provider, Session(attached.epoch, attached.position))
    except Unavailable as error:
        return await database.run(later, storage_id, error, clock())
    except OffsiteError as error:
        await database.run(refused, storage_id, storage.sealed_key, error, clock())
        raise
    storage = await database.run(finish, storage_id, storage.sealed_key, attached, theirs, clock())
    with contextlib.suppress(OffsiteError):  # the upkeep compares again
        await reconcile(database, provider, storage)
    return await database.read(storages.get, storage_id)


def finish(
    tx: Transaction,
    storage_id: str,
    sealed_key: bytes,
    attached: Attached,
    theirs: Sequence[ProviderSeat],
    now: datetime,
) -> Storage:
    """Record an attachment, offer it by default, and go on from the generations there."""
    storage = storages.lock(tx, storage_id)
    if storage.sealed_key != sealed_key:
        return storage
    storage = storage.attached(attached.epoch, attached.position, attached.entitlement, now)
    storages.save(tx, replace(storage, compared=False))
    seats.forget_acknowledged(tx, storage_id)
    adopt_generations(tx, storage, theirs, now)
    destinations.offer_by_default(tx, storage_id)
    audit.record(tx, "storage.attached", subject=storage.name, now=now)
    return storage


def refused(
    tx: Transaction, storage_id: str, sealed_key: bytes, error: OffsiteError, now: datetime
) -> None:
    """Record that the provider refuses the key; it is forgotten."""
    storage = storages.lock(tx, storage_id)
    if storage.sealed_key == sealed_key:
        storages.save(tx, storage.refused(error))
        audit.record(tx, "storage.refused", subject=storage.name, detail=error.message, now=now)


def later(tx: Transaction, storage_id: str, error: OffsiteError, now: datetime) -> Storage:
    """Note when to try again."""
    storage = storages.lock(tx, storage_id)
    if storage.next_attempt_time is not None:
        delay = retry_delay(storage.attempts, 1.0)
        storage = replace(
            storage.now(storage.state, error),
            attempts=storage.attempts + 1,
            next_attempt_time=now + delay,
        )
        storages.save(tx, storage)
    return storage


def _repeated(tx: Transaction, storage: Storage) -> Storage | None:
    """The storage that an earlier call made, or None.

    Raises:
        AlreadyExists: its id was used for another one.
    """
    try:
        known = storages.get(tx, storage.id)
    except NotFound:
        return None
    if (known.name, known.provider_guid) != (storage.name, storage.provider_guid):
        raise AlreadyExists(
            Reason.ALREADY_EXISTS,
            f"The id {storage.id} is another storage's.",
            "Choose a new UUID.",
        )
    return known


async def _all_seats(provider: Provider, session: Session) -> list[ProviderSeat]:
    return [seat async for page in provider.seats(session) for seat in page]
