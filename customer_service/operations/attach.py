"""Attach a provider's storage with hostname, GUID and registration key.

The storage is written as ATTACHING before the key is sent, so an attach cut off anywhere goes on by
itself; a repeat with the same key gets the same answer.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from customer_service.domain.provider import Attached, Offer, ProviderSeat, Session
from customer_service.domain.storage import SERVING, Storage, StorageState, StorageType
from customer_service.operations import destinations, outcomes
from customer_service.operations.ledgers import adopt_generations
from customer_service.operations.peers import Dial, Provider
from customer_service.operations.reconcile import reconcile
from customer_service.store import organizations, seats, storages
from service_kit.clock import now as clock
from service_kit.database.engine import Database, Transaction
from service_kit.errors import AlreadyExists, Conflict, NotFound, OffsiteError
from service_kit.identity.identity import Identity
from service_kit.ledger import audit
from service_kit.reasons import Reason

# The provider's no to this key. Anything else may pass, or hide that the attach was granted.
FINAL = (
    Reason.INVALID_FIELD,
    Reason.REGISTRATION_KEY_MALFORMED,
    Reason.REGISTRATION_KEY_REFUSED,
    Reason.REGISTRATION_KEY_EXPIRED,
    Reason.REGISTRATION_KEY_ROTATED,
    Reason.ATTACHMENT_ENDED,
    Reason.ORGANIZATION_SUSPENDED,
    Reason.ORGANIZATION_DEACTIVATED,
)
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


async def attach_again(
    database: Database,
    dial: Dial,
    identity: Identity,
    storage_id: str,
    registration_key: str,
    *,
    provider_guid: str = "",
    hostname: str = "",
) -> Storage:
    """Go on with an attach that was cut off, or attach a storage anew with another key or provider.

    Nothing changes before the provider has found the new key good.

    Raises:
        Conflict: it is the local storage, or has no need to be attached, or no key is left.
        OffsiteError: the provider is not the one expected, or refuses the key.
    """
    storage = await database.read(_again, storage_id, provider_guid, hostname)
    if registration_key:
        await test(dial, storage, registration_key)
        sealed = identity.seal(PURPOSE, registration_key.encode())
        await database.run(begin_again, storage_id, sealed, clock(), provider_guid, hostname)
    elif storage.sealed_key is None:
        raise Conflict(
            Reason.WRONG_STATE,
            f"Storage {storage.name} has no registration key any more.",
            "Ask the provider for a new registration key and give it along.",
        )
    return await complete(database, dial, identity, storage_id)


def begin(tx: Transaction, storage: Storage, now: datetime) -> None:
    """Write a new storage as ATTACHING."""
    storages.create(tx, storage)
    audit.record(tx, "storage.attaching", subject=storage.name, now=now)


def begin_again(
    tx: Transaction,
    storage_id: str,
    sealed_key: bytes,
    now: datetime,
    provider_guid: str = "",
    hostname: str = "",
) -> None:
    """Write an existing storage as ATTACHING again, with a new key, and perhaps another provider.

    Raises:
        Conflict: it is the local storage, or it has no need to be attached.
    """
    storages.lock(tx, storage_id)
    storage = _again(tx, storage_id, provider_guid, hostname)
    storages.save(tx, storage.attaching(sealed_key, now))
    audit.record(tx, "storage.attaching", subject=storage.name, now=now)


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
    except OffsiteError as error:
        if error.reason not in FINAL:
            return await database.run(outcomes.later, storage, error, clock())
        await database.run(refused, storage_id, storage.sealed_key, error, clock())
        raise
    try:
        theirs = await _all_seats(provider, Session(attached.epoch, attached.position))
    except OffsiteError as error:
        return await database.run(outcomes.later, storage, error, clock())
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
    """Record an attachment, and go on from the generations there.

    New users are offered the storage, unless it was attached before: then what is offered stays.
    """
    organizations.lock_tree(tx)
    before = storages.lock(tx, storage_id)
    if before.sealed_key != sealed_key:
        return before
    storage = before.attached(attached.epoch, attached.position, attached.entitlement, now)
    storages.save(tx, storage)
    seats.forget_acknowledged(tx, storage_id)
    adopt_generations(tx, storage, theirs, now)
    if not before.epoch:
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


def _again(tx: Transaction, storage_id: str, provider_guid: str, hostname: str) -> Storage:
    """The storage as it is to be attached again.

    Raises:
        Conflict: it is the local storage, or it has no need to be attached.
    """
    storage = storages.get(tx, storage_id)
    ready = storage.state not in (*SERVING, StorageState.DETACHING)
    moved = provider_guid and storage.state is not StorageState.DETACHING
    if storage.type is StorageType.LOCAL or not (ready or moved):
        raise Conflict(
            Reason.WRONG_STATE,
            f"Storage {storage.name} is {storage.state}.",
            "Only a storage that is being attached, was refused or detached can be attached again.",
        )
    entitlement = replace(storage.entitlement, grpc_addresses=())
    return replace(
        storage,
        provider_guid=provider_guid or storage.provider_guid,
        hostname=hostname or storage.hostname,
        entitlement=entitlement if provider_guid or hostname else storage.entitlement,
    )


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
