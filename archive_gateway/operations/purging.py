"""Purges: what is removed for good, first marked, then unlinked, then forgotten."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from archive_gateway.domain.rules import UNCOUNTED
from archive_gateway.operations import holding
from archive_gateway.store import archives, blobs
from archive_gateway.store.archives import Delta
from archive_gateway.store.blobs import Blob
from archive_gateway.store.tables import DELETED, LIVE, QUARANTINED
from archive_gateway.tenancy import Tenancy
from service_kit.database.engine import Transaction
from service_kit.errors import Conflict, NotFound
from service_kit.ledger import audit
from service_kit.reasons import Reason

AT_ONCE = 500  # blobs in one transaction
EVERY = 2**31


@dataclass(frozen=True)
class Purged:
    """What was marked: blobs and their bytes."""

    blobs: int = 0
    bytes: int = 0


def mark_due(tx: Transaction, tenancy: Tenancy, now: datetime) -> int:
    """Mark some blobs whose delay is over; answers how many."""
    if holding.held(tx):
        return 0
    for account_id in archives.accounts_with_kept(tx):
        with suppress(NotFound):  # adopted files may be of an account that the ledger lost
            before = now - tenancy.policy(tx, account_id).delete_delay
            if blobs.due(tx, account_id, before, 1):
                return _mark_due(tx, account_id, before)
    return 0


def mark_lapsed(tx: Transaction, tenancy: Tenancy, now: datetime) -> int:
    """Mark some blobs of devices that lost their seat a retention ago; answers how many."""
    if holding.held(tx):
        return 0
    for archive in tenancy.lapsed(tx, now, 1):
        archive_id = archives.find(tx, archive)
        if archive_id is None or _is_rebuilt_lately(tx, tenancy, archive.account_id, now):
            continue
        archives.lock_account(tx, archive.account_id)
        if not _seatless(tx, tenancy, archive.account_id, archive.device_guid):
            continue  # it has come back while this waited
        found = blobs.in_states(tx, archive_id, [LIVE, DELETED, QUARANTINED], AT_ONCE)
        if not found:
            continue
        purged = _mark(tx, archive.account_id, found, now)
        audit.record(
            tx,
            "archive.lapsed",
            organization_id=archive.account_id,
            subject=archive.device_guid,
            detail=f"Its retention is over: {purged.blobs} blobs, {purged.bytes} bytes purged.",
            actor="server",
            now=now,
        )
        return purged.blobs
    return 0


def purge(
    tx: Transaction,
    tenancy: Tenancy,
    account_id: str,
    device_guid: str,
    now: datetime,
    *,
    include_live: bool = False,
) -> Purged:
    """Mark all that is deleted, of one device or all; also what is live of those without a seat.

    Raises:
        NotFound: there is no such account.
        Conflict: purges are held, or a device whose live blobs are meant holds a seat.
    """
    tenancy.policy(tx, account_id)
    holding.refuse_held(tx)
    archives.lock_account(tx, account_id)
    found: list[tuple[Blob, str]] = []
    for archive_id, archive in archives.of_account(tx, account_id, device_guid):
        states = [DELETED, QUARANTINED]
        if include_live and _seatless(tx, tenancy, archive.account_id, archive.device_guid):
            states.append(LIVE)
        elif include_live and device_guid:
            raise Conflict(
                Reason.WRONG_STATE,
                "The device holds a seat, so what it has stored is in use.",
                "End its seat first, or purge only what is deleted.",
            )
        found += blobs.in_states(tx, archive_id, states, EVERY)
    purged = _mark(tx, account_id, found, now)
    audit.record(
        tx,
        "archive.purged",
        organization_id=account_id,
        subject=device_guid,
        detail=f"{purged.blobs} blobs, {purged.bytes} bytes.",
        now=now,
    )
    return purged


def forget(tx: Transaction, gone: Sequence[Blob]) -> None:
    """Forget blobs whose files were removed."""
    blobs.forget(tx, [each.location.nonce for each in gone])


def waiting(tx: Transaction, after: str = "", most: int = AT_ONCE) -> list[Blob]:
    """Some marked blobs, whose files are to be removed, that follow a nonce."""
    return blobs.purging(tx, after, most)


def _is_rebuilt_lately(tx: Transaction, tenancy: Tenancy, account_id: str, now: datetime) -> bool:
    """Whether the ledger may not know yet that a device has come back since its seat ended."""
    rebuilt = holding.rebuild_time(tx)
    return rebuilt is not None and now < rebuilt + tenancy.policy(tx, account_id).retention


def _mark_due(tx: Transaction, account_id: str, before: datetime) -> int:
    archives.lock_account(tx, account_id)  # then look again: an undelete may have come before
    found = blobs.due(tx, account_id, before, AT_ONCE)
    _mark(tx, account_id, [(each, DELETED) for each in found], before)
    return len(found)


def _seatless(tx: Transaction, tenancy: Tenancy, account_id: str, device_guid: str) -> bool:
    tenant = tenancy.tenants(tx, account_id, [device_guid]).get(device_guid)
    return tenant is None or not tenant.holds_seat


def _mark(
    tx: Transaction, account_id: str, found: Iterable[tuple[Blob, str]], through: datetime
) -> Purged:
    """Mark blobs, and take their bytes from what they were counted as; the account's row is held.

    They were found since it is: nobody else has moved or marked them. All were deleted by the time
    `through`, or are with it.
    """
    stored: dict[int, int] = defaultdict(int)
    kept: dict[int, int] = defaultdict(int)
    nonces = []
    total = 0
    for blob, state in found:
        nonces.append(blob.location.nonce)
        total += blob.size
        if blob.location.type not in UNCOUNTED:
            (stored if state == LIVE else kept)[blob.archive_id] -= blob.size
    blobs.to_purge(tx, nonces)
    for archive_id in sorted({*stored, *kept}):
        archives.note_purge(tx, archive_id, through)
        delta = Delta(stored_bytes=stored[archive_id], kept_bytes=kept[archive_id])
        archives.add(tx, account_id, archive_id, delta)
    return Purged(len(nonces), total)
