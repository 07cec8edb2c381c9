"""Hear from a provider: what it grants now, and how it sees this server."""

from dataclasses import replace
from datetime import datetime

from customer_service.domain.provider import (
    Contact,
    ProviderState,
    ResyncRow,
    Session,
    SessionKind,
)
from customer_service.domain.seat import Seat, SeatState
from customer_service.domain.storage import (
    CONNECTED,
    SERVING,
    Storage,
    StorageState,
    StorageUsage,
)
from customer_service.operations import outcomes, sessions
from customer_service.operations.peers import Provider
from customer_service.store import devices, seats, storages
from service_kit.clock import now as clock
from service_kit.database.chunks import chunks
from service_kit.database.engine import Database, Transaction
from service_kit.errors import Conflict, OffsiteError, Unimplemented
from service_kit.ledger import audit
from service_kit.reasons import Reason


async def contact(database: Database, provider: Provider, storage: Storage) -> Storage:
    """Ask what the provider grants now, and follow its view of the attachment.

    Raises:
        OffsiteError: the provider can't be reached, or another deployment of this server is there.
    """
    try:
        heard = await provider.contact(storage.position)
    except OffsiteError as error:
        if error.reason in outcomes.ATTACHMENT_STATES:
            return await database.run(outcomes.attachment_refused, storage, error, clock())
        raise
    present = await database.run(follow, storage, heard, clock())
    if present.state in SERVING and heard.epoch > present.epoch:
        return await sessions.overtaken(database, provider, present)
    return present


def follow(tx: Transaction, asked: Storage, heard: Contact, now: datetime) -> Storage:
    """Record what a contact told, unless another attachment or session has begun meanwhile."""
    storage = storages.lock(tx, asked.id)
    if storage.state not in CONNECTED or not storage.in_session_of(asked):
        return storage
    before = storage.state
    storage = replace(storage.heard(heard.position, now), entitlement=heard.entitlement)
    storage = _in_state_of(storage, heard)
    storages.save(tx, storage)
    if storage.state is not before:
        audit.record(
            tx, f"storage.{storage.state}", subject=storage.name, detail=storage.reason, now=now
        )
    if storage.state in SERVING and before not in SERVING:
        seats.send_waiting_now(tx, storage.id, now)
    return storage


async def ask_usage(database: Database, provider: Provider, storage: Storage) -> None:
    """Keep what the provider says of the archive there; one that is too old says nothing.

    Raises:
        OffsiteError: the provider can't be reached, or refuses.
    """
    try:
        usage = await provider.usage()
    except Unimplemented:
        return
    if usage != storage.usage:
        await database.run(keep_usage, storage, usage)


def keep_usage(tx: Transaction, asked: Storage, usage: StorageUsage) -> None:
    """Record what the archive there holds, unless another attachment has begun meanwhile."""
    storage = storages.lock(tx, asked.id)
    if storage.state in CONNECTED and storage.in_session_of(asked):
        storages.save(tx, replace(storage, usage=usage))


async def resync(database: Database, provider: Provider, storage: Storage) -> Storage:
    """Send this server's whole set to a provider whose ledger went back in time.

    Of each device the last change that the provider had answered is sent; the outbox sends those
    under way afterwards.

    Raises:
        OffsiteError: the provider can't be reached, or its operator has yet to agree.
    """
    storage = await database.run(sessions.prepare, storage.id)
    session = Session(storage.epoch, storage.position)
    rows = await database.read(_resync_rows, storage.id)
    parts = list(chunks(rows))
    for number, part in enumerate(parts, 1):
        await provider.resync(session, part, number)
    opened = await sessions.request(
        database, provider, storage, SessionKind.RESYNC, parts=len(parts)
    )
    return await database.run(resynced, storage, opened, clock())


def resynced(tx: Transaction, sent: Storage, session: Session, now: datetime) -> Storage:
    """Record the end of a resync: the attachment goes on under a new epoch and position."""
    storage = storages.lock(tx, sent.id)
    ours = storage.session_nonce == sent.session_nonce
    if storage.state is not StorageState.REWOUND or not ours:
        return storage
    storage = storage.now(StorageState.ATTACHED)
    storage = storage.in_session(session.epoch, session.position, now)
    storages.save(tx, storage)
    audit.record(tx, "storage.resynced", subject=storage.name, now=now)
    return storage


def _in_state_of(storage: Storage, heard: Contact) -> Storage:
    """The storage as the provider sees it. A conflict found here ends by a takeover alone."""
    if storage.state is StorageState.CONFLICT:
        return storage
    if heard.state is ProviderState.REWOUND:
        return storage.now(StorageState.REWOUND, _rewound())
    if heard.state is ProviderState.CONFLICT:
        return storage.now(StorageState.CONFLICT, _conflict())
    if storage.state is StorageState.REWOUND:
        # Another replica has resynced it, or an answer was lost: a new session shows how it stands.
        return replace(storage.now(StorageState.ATTACHED), compared=False)
    if heard.state is ProviderState.SUSPENDED:
        return storage.now(StorageState.SUSPENDED, _suspended(heard.entitlement.suspend_reason))
    return storage.now(StorageState.ATTACHED)


def _resync_rows(tx: Transaction, storage_id: str) -> list[ResyncRow]:
    rows = [each for each in seats.walk(tx, storage_id) if each.acknowledged]
    names = devices.names(tx, [each.device_id for each in rows])
    return [_resync_row(each, names) for each in rows]


def _resync_row(seat: Seat, names: dict[str, str]) -> ResyncRow:
    if seat.acknowledged_held:
        state = SeatState.HELD
    else:
        state = seat.state if seat.state is SeatState.REVOKED else SeatState.NONE
    return ResyncRow(seat.device_id, names[seat.device_id], seat.acknowledged, state)


def _rewound() -> OffsiteError:
    return Conflict(
        Reason.ATTACHMENT_REWOUND,
        "The provider was restored from an older backup.",
        "Seats are compared as soon as the provider's operator has confirmed it.",
    )


def _conflict() -> OffsiteError:
    return Conflict(
        Reason.ATTACHMENT_CONFLICT,
        "Two deployments of this server were seen at the provider.",
        "Stop the wrong one, then on the rightful one: storage takeover --confirm.",
    )


def _suspended(reason: str | None) -> OffsiteError:
    return Conflict(
        Reason.ORGANIZATION_SUSPENDED,
        f"The provider has suspended this organization: {reason or 'no reason given'}",
        "Settle it with the provider; held seats stay, restores go on.",
    )
