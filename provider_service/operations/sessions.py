"""Sessions: they tell one deployment of a customer's server from a copy, by the epoch."""

from dataclasses import replace
from datetime import datetime

from provider_service.domain import attachment
from provider_service.domain.attachment import Opening, Session, SessionKind
from provider_service.domain.organization import Attachment, Organization
from provider_service.domain.saving import Shown
from provider_service.operations.showing import shown
from provider_service.store import organizations, registration_keys
from service_kit.database.engine import Transaction
from service_kit.errors import Conflict, OffsiteError
from service_kit.ledger import audit
from service_kit.reasons import Reason


def open_session(
    tx: Transaction, guid: str, opening: Opening, now: datetime
) -> Organization | OffsiteError:
    """Take the next epoch, repeat a lost answer, or find out a second deployment.

    A discovery (CONFLICT, REWOUND) is kept and answered as a refusal.
    """
    before = lock_attached(tx, guid)
    if isinstance(before, OffsiteError):
        return before
    try:
        after = attachment.opened(before, opening)
    except OffsiteError as refusal:
        return refusal
    organizations.save(tx, replace(after, last_contact_time=now))
    _record(tx, before, after, opening, now)
    if after.attachment is Attachment.CONFLICT:
        return attachment.conflict()
    return after if after.epoch > before.epoch or after == before else attachment.is_rewound(after)


def enter(
    tx: Transaction, guid: str, session: Session, now: datetime
) -> Organization | OffsiteError:
    """Check a session before something long is read in it; notes that the caller was heard of."""
    organization = lock_attached(tx, guid)
    if isinstance(organization, OffsiteError):
        return organization
    if attachment.rewinds(organization, session):
        organization = mark_rewound(tx, organization, now)
    refusal = attachment.refusal(organization, session.epoch)
    if refusal is not None:
        return refusal
    if not organization.session_used or attachment.is_contact_due(organization, now):
        organization = replace(organization, session_used=True, last_contact_time=now)
        organizations.save(tx, organization)
    return organization


def lock_attached(tx: Transaction, guid: str) -> Organization | OffsiteError:
    """The attached organization of a customer's server, its row held, or why there is none."""
    organization = organizations.lock_of_customer(tx, guid)
    return _attached(organization) or _why_not(tx, guid)


def find_attached(tx: Transaction, guid: str) -> Organization:
    """`lock_attached` for reading alone.

    Raises:
        Conflict: the attachment has ended, or never was.
    """
    organization = organizations.find_of_customer(tx, guid)
    attached = _attached(organization)
    if attached is None:
        raise _why_not(tx, guid)
    return attached


def mark_rewound(tx: Transaction, organization: Organization, now: datetime) -> Organization:
    """Note that this ledger is older than what it has told; its registration key is void."""
    organization = attachment.rewound(organization)
    organizations.save(tx, organization)
    note_rewound(tx, organization.id, organization.settings.customer_guid, now)
    return organization


def note_rewound(tx: Transaction, organization_id: str, guid: str, now: datetime) -> None:
    """What goes with a rewound attachment: its key ends, and the audit tells."""
    registration_keys.end(tx, organization_id)
    audit.record(
        tx,
        "organization.rewound",
        organization_id=organization_id,
        subject=guid,
        detail="The customer's server has seen changes that this ledger does not have.",
        now=now,
    )


def confirm_rewound(tx: Transaction, organization_id: str, now: datetime) -> Shown:
    """Agree that this ledger is older, so that the customer's set counts. A repeat changes nothing.

    Raises:
        NotFound: no such organization.
        Conflict: its attachment is not rewound.
    """
    organization = organizations.lock(tx, organization_id)
    if organization.attachment is not Attachment.REWOUND:
        raise Conflict(
            Reason.WRONG_STATE,
            f"The attachment of {organization.settings.name} is not rewound.",
            "There is nothing to confirm.",
        )
    if not organization.rewound_confirmed:
        organization = replace(
            organization, rewound_confirmed=True, version=organization.version + 1
        )
        organizations.save(tx, organization)
        audit.record(tx, "organization.rewound_confirmed", organization_id=organization_id, now=now)
    return shown(tx, organization)


def _attached(organization: Organization | None) -> Organization | None:
    attached = organization is not None and attachment.is_attached(organization)
    return organization if attached else None


def _why_not(tx: Transaction, guid: str) -> OffsiteError:
    """A server that was attached is told that this has ended; a replacement has yet to attach."""
    former = organizations.is_former_customer(tx, guid)
    return attachment.ended() if former else attachment.not_attached()


_EVENTS = {
    SessionKind.START: "session.opened",
    SessionKind.TAKE_OVER: "session.taken_over",
    SessionKind.RESYNC: "organization.resynced",
}


def _record(
    tx: Transaction, before: Organization, after: Organization, opening: Opening, now: datetime
) -> None:
    if before == after:
        return
    found_rewound = after.attachment is Attachment.REWOUND
    if found_rewound and before.attachment is not Attachment.REWOUND:
        note_rewound(tx, after.id, after.settings.customer_guid, now)
        return
    kind = _EVENTS[opening.kind]
    if after.attachment is Attachment.CONFLICT:
        kind = "session.conflict_found"
    audit.record(
        tx,
        kind,
        organization_id=after.id,
        subject=after.settings.customer_guid,
        detail=f"Epoch {after.epoch}, asked for with {opening.session.epoch}.",
        now=now,
    )
