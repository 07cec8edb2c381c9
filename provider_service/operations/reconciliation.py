"""Both sides' ledgers compared, without sending them."""

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from provider_service.domain import attachment
from provider_service.domain.attachment import Session
from provider_service.operations import sessions
from provider_service.store import seats
from service_kit.database.engine import Transaction


@dataclass(frozen=True)
class Comparison:
    """Whether both sides' live seats are the same."""

    matches: bool
    seat_count: int
    position: int


def compare(
    tx: Transaction, guid: str, session: Session, digest: bytes, excluded: Collection[str]
) -> Comparison:
    """Compare the caller's digest with that of its live seats here; changes nothing.

    `excluded` are devices with a change under way at the caller.

    Raises:
        Conflict: the attachment has ended, is in a conflict, or this ledger is rewound.
        Stale: the request belongs to an older session.
    """
    organization = sessions.find_attached(tx, guid)
    refusal = attachment.refusal(organization, session.epoch)
    if refusal is not None:
        raise refusal
    count, ours = digest_of(seats.live_generations(tx, organization.id), frozenset(excluded))
    return Comparison(ours == digest, count, organization.position)


def digest_of(
    parts: Iterable[Iterable[tuple[str, int]]], excluded: Collection[str]
) -> tuple[int, bytes]:
    """How many seats, and SHA-256 over `GUID:GENERATION` and a line feed for each, in order."""
    digest = hashlib.sha256()
    count = 0
    for part in parts:
        lines = [f"{guid}:{generation}\n" for guid, generation in part if guid not in excluded]
        digest.update("".join(lines).encode())
        count += len(lines)
    return count, digest.digest()
