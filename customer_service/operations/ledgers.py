"""This server's set of seats against the provider's."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from customer_service.domain.provider import ProviderSeat
from customer_service.domain.seat import Kind, Seat, SeatState
from customer_service.domain.storage import Storage
from customer_service.operations import seats as use_cases
from customer_service.store import devices, seats
from service_kit.database.chunks import chunks
from service_kit.database.engine import Transaction

MOST_EXCLUDED = 10_000


@dataclass(frozen=True)
class Difference:
    """One device of which the two ledgers do not say the same."""

    device_guid: str
    device_name: str
    ours: Seat | None
    theirs: ProviderSeat | None


@dataclass(frozen=True)
class Snapshot:
    """What this server compares: the digest of the seats held, and the devices left out."""

    digest: bytes
    excluded: tuple[str, ...]


def snapshot(tx: Transaction, storage_id: str) -> Snapshot | None:
    """Digest the seats held; None while too many changes are under way to compare."""
    excluded = seats.waiting_devices(tx, storage_id, MOST_EXCLUDED + 1)
    if len(excluded) > MOST_EXCLUDED:
        return None
    digest = hashlib.sha256()
    for seat in seats.walk(tx, storage_id, [SeatState.HELD]):
        digest.update(f"{seat.device_id}:{seat.generation}\n".encode("ascii"))
    return Snapshot(digest.digest(), tuple(excluded))


def compare(
    tx: Transaction, storage_id: str, theirs: Iterable[ProviderSeat]
) -> Iterator[Difference]:
    """Where the ledgers differ, by device; the provider's rows come by device, too.

    The provider's rows must be read before this server's: then a generation that is higher there
    was never given out here.
    """
    for ours, row in _by_device(seats.walk(tx, storage_id), theirs):
        if differs(ours, row):
            device_id = ours.device_id if ours else row.device_guid if row else ""
            yield Difference(device_id, row.device_name if row else "", ours, row)


def _by_device(
    ours: Iterator[Seat], theirs: Iterable[ProviderSeat]
) -> Iterator[tuple[Seat | None, ProviderSeat | None]]:
    """Both sides' rows side by side, without holding this server's in memory."""
    mine = next(ours, None)
    for row in theirs:
        while mine is not None and mine.device_id < row.device_guid:
            yield mine, None
            mine = next(ours, None)
        if mine is not None and mine.device_id == row.device_guid:
            yield mine, row
            mine = next(ours, None)
        else:
            yield None, row
    while mine is not None:
        yield mine, None
        mine = next(ours, None)


def differs(ours: Seat | None, theirs: ProviderSeat | None) -> bool:
    """Whether the two rows of a device disagree. A change under way is no disagreement yet."""
    if ours is None:
        return theirs is not None and theirs.live
    if theirs is None:
        return ours.live
    if ours.waiting:
        return theirs.generation > ours.generation
    if theirs.generation > ours.generation:
        return True
    return ours.live != theirs.live or (ours.live and ours.generation != theirs.generation)


def adopt_generations(
    tx: Transaction, storage: Storage, theirs: Sequence[ProviderSeat], now: datetime
) -> None:
    """Go on from the provider's rows wherever they are newer. A person has decided that.

    Seats of devices that this server does not know are listed as unclaimed.
    """
    unclaimed: list[ProviderSeat] = []
    for some in chunks(theirs):
        known = sorted(devices.names(tx, [row.device_guid for row in some]))
        devices.lock_all(tx, known)
        ours = {each.device_id: each for each in seats.lock_of_devices(tx, known, storage.id)}
        unclaimed += [row for row in some if row.live and row.device_guid not in ours]
        adopted = [
            _adopted(ours.get(row.device_guid) or _unused(storage, row, now), row, now)
            for row in some
            if row.device_guid in ours or (row.device_guid in known and not row.live)
        ]
        changed = [each for each in adopted if each != ours.get(each.device_id)]
        use_cases.overwrite(tx, changed, now)
    seats.replace_unclaimed(tx, storage.id, unclaimed)


def _unused(storage: Storage, row: ProviderSeat, now: datetime) -> Seat:
    return Seat(storage.id, row.device_guid, 0, SeatState.NONE, now)


def _adopted(ours: Seat, theirs: ProviderSeat, now: datetime) -> Seat:
    """The provider's row where it is newer, or says otherwise at the same generation.

    A change that this server still has under way is asked anew on top of it.
    """
    if theirs.generation < ours.generation:
        return ours
    if theirs.generation == ours.generation:
        own_request = ours.waiting and ours.kind is theirs.kind
        if own_request or (not ours.waiting and ours.live == theirs.live):
            return ours
    taken = _taken(ours, theirs, now)
    return taken.asked(ours.kind, now) if ours.waiting else taken


def _taken(ours: Seat, theirs: ProviderSeat, now: datetime) -> Seat:
    if theirs.live:
        state = SeatState.HELD
    elif theirs.revoked and ours.kind is Kind.ACQUIRE:
        state = SeatState.REVOKED
    else:
        state = SeatState.NONE
    return replace(ours, generation=theirs.generation).answered(state, now)
