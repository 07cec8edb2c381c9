"""The customer's set sent to a ledger that went back in time."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from provider_service.domain import attachment
from provider_service.domain.attachment import Session
from provider_service.domain.organization import Organization
from provider_service.domain.seat import Seat, resynced
from provider_service.operations import sessions
from provider_service.store import organizations, seats
from service_kit.database.engine import Transaction
from service_kit.errors import OffsiteError
from service_kit.ledger import audit
from service_kit.ledger import license as master_license


@dataclass(frozen=True)
class Part:
    """Some rows of the customer's set; `revoked` are devices whose seat it was told is revoked."""

    session: Session
    seats: Sequence[Seat]
    revoked: frozenset[str]
    number: int


def take_part(tx: Transaction, guid: str, part: Part, now: datetime) -> Organization | OffsiteError:
    """Let the customer's newer rows win. Parts come in order; a session of kind RESYNC ends them.

    Seats held there are granted also above the limits. A revocation that this ledger has lost is
    only recorded, for the operator to repeat. A repeat of any part is harmless.
    """
    organization = sessions.lock_attached(tx, guid)
    if isinstance(organization, OffsiteError):
        return organization
    if attachment.rewinds(organization, part.session):
        organization = sessions.mark_rewound(tx, organization, now)
    refusal = _refusal(organization, part)
    if refusal is not None:
        return refusal
    merged = _merge(tx, organization, part, now)
    taken = max(merged.resync_parts, part.number)
    organizations.save(tx, replace(merged, resync_parts=taken, last_contact_time=now))
    return merged


def _refusal(organization: Organization, part: Part) -> OffsiteError | None:
    if part.session.epoch < organization.epoch:
        return attachment.stale(organization.epoch)
    refusal = attachment.resync_refusal(organization)
    if refusal is None and part.number > organization.resync_parts + 1:
        return attachment.is_rewound(organization)
    return refusal


def _merge(tx: Transaction, organization: Organization, part: Part, now: datetime) -> Organization:
    ours = seats.of_devices(tx, [organization.id], [each.device_guid for each in part.seats])
    changed: dict[seats.SeatKey, Seat] = {}
    entries: list[audit.Entry] = []
    delta = rows = 0
    for theirs in part.seats:
        key = (organization.id, theirs.device_guid)
        before = changed.get(key) or ours.get(key)
        if theirs.device_guid in part.revoked and not (before and before.revoked):
            entries.append(_lost_revocation(organization, theirs))
        after = resynced(theirs, before)
        if after is None:
            continue
        changed[key] = after
        step = after.live - (before is not None and before.live)
        delta += step
        rows += before is None
        entries.append(_resynced(organization, after, step))
    seats.put(tx, changed)
    if delta:
        master_license.add_in_use(tx, delta)
    audit.record_all(tx, entries, now)
    return replace(
        organization,
        position=organization.position + len(changed),
        seats_in_use=organization.seats_in_use + delta,
        seat_rows=organization.seat_rows + rows,
    )


def _lost_revocation(organization: Organization, seat: Seat) -> audit.Entry:
    return audit.Entry(
        "seat.revocation_lost",
        organization.id,
        seat.device_guid,
        f"{seat.device_name} was revoked after the backup that this ledger was restored from: "
        "repeat it.",
    )


def _resynced(organization: Organization, seat: Seat, delta: int) -> audit.Entry:
    detail = f"Generation {seat.generation}."
    return audit.Entry("seat.resynced", organization.id, seat.device_guid, detail, delta)
