"""How a customer's server attaches. See docs/protocol.md for the handshake."""

from dataclasses import dataclass, replace
from datetime import datetime

from provider_service.domain import attachment
from provider_service.domain.attachment import Peer, Session
from provider_service.domain.organization import Attachment, Organization, State
from provider_service.domain.registration_key import KeyState, RegistrationKey, refused
from provider_service.operations import registration_keys as keys
from provider_service.operations import sessions
from provider_service.store import organizations, registration_keys
from service_kit.database.engine import Transaction
from service_kit.errors import Conflict, OffsiteError
from service_kit.identity.identity import Identity
from service_kit.ledger import audit
from service_kit.reasons import Reason


@dataclass(frozen=True)
class Admission:
    """An organization that a key opens for the caller."""

    organization: Organization
    key: RegistrationKey


@dataclass(frozen=True)
class Attached:
    """The answer to an attach; its epoch is the one that the key made, not one raised since."""

    organization: Organization
    epoch: int


def validate(
    tx: Transaction, identity: Identity, guid: str, normalized_key: str, now: datetime
) -> Admission | OffsiteError:
    """What attaching with this key would grant; nothing changes but the count of refusals."""
    try:
        return _admit(tx, identity, guid, normalized_key, now)
    except OffsiteError as refusal:
        return refusal


def attach(
    tx: Transaction, identity: Identity, guid: str, normalized_key: str, peer: Peer, now: datetime
) -> Attached | OffsiteError:
    """Attach the caller under the next epoch; the same key gets the same answer while it lives."""
    try:
        admitted = _admit(tx, identity, guid, normalized_key, now)
    except OffsiteError as refusal:
        return refusal
    if admitted.key.epoch is not None:
        organization = attachment.contacted(admitted.organization, peer, now)
        organizations.save(tx, organization)
        return Attached(organization, admitted.key.epoch)
    organization = attachment.attached(admitted.organization, peer, now)
    organizations.save(tx, organization)
    registration_keys.save(tx, admitted.key.used(organization.epoch))
    audit.record(
        tx,
        "organization.attached",
        organization_id=organization.id,
        subject=guid,
        detail=f"With key {admitted.key.id}, epoch {organization.epoch}.",
        now=now,
    )
    return Attached(organization, organization.epoch)


def contact(
    tx: Transaction, guid: str, peer: Peer, position: int, now: datetime
) -> Organization | OffsiteError:
    """What is granted at present; notes that the caller was heard of, at most once a minute.

    A conflict or a rewound ledger is shown as the attachment's state.
    """
    organization = sessions.lock_attached(tx, guid)
    if isinstance(organization, OffsiteError):
        return organization
    seen = Session(epoch=organization.epoch, position=position)
    if attachment.rewinds(organization, seen):
        organization = sessions.mark_rewound(tx, organization, now)
    if _is_news(organization, peer, now):
        organization = attachment.contacted(organization, peer, now)
        organizations.save(tx, organization)
    return organization


def _is_news(organization: Organization, peer: Peer, now: datetime) -> bool:
    moved = organization.peer_addresses != peer.addresses
    upgraded = organization.peer_version != peer.version
    return moved or upgraded or attachment.is_contact_due(organization, now)


def _admit(
    tx: Transaction, identity: Identity, guid: str, normalized_key: str, now: datetime
) -> Admission:
    """Match key and caller. A stranger learns nothing; the key's own customer learns all."""
    key_hash = keys.hash_of(identity, normalized_key)
    key = registration_keys.find_by_hash(tx, key_hash)
    if key is None:
        _count_refusal(tx, guid, None, now)
        raise refused(guid)
    organization = organizations.lock(tx, key.organization_id)
    if organization.settings.customer_guid != guid:
        _count_refusal(tx, guid, organization, now)
        raise refused(guid)
    # Read again under the lock: another attach, or a rotation, may have come first.
    key = registration_keys.find_by_hash(tx, key_hash) or key
    _check(organization, key, now)
    return Admission(organization, key)


def _check(organization: Organization, key: RegistrationKey, now: datetime) -> None:
    if key.state is KeyState.ENDED and key.epoch is not None and _is_detached(organization):
        raise attachment.ended()
    key.check(now)
    if organization.state is State.DEACTIVATED:
        raise Conflict(
            Reason.ORGANIZATION_DEACTIVATED,
            "The provider has deactivated the organization.",
            "Ask the provider to reactivate it.",
        )
    if organization.attachment is Attachment.REWOUND:
        raise attachment.is_rewound(organization)
    if organization.state is State.SUSPENDED and key.epoch is None:
        raise Conflict(
            Reason.ORGANIZATION_SUSPENDED,
            f"The provider has suspended the organization: {organization.suspend_reason}",
            "Settle it with the provider, then attach again.",
        )


def _is_detached(organization: Organization) -> bool:
    return organization.attachment is Attachment.DETACHED


def _count_refusal(
    tx: Transaction, guid: str, organization: Organization | None, now: datetime
) -> None:
    audit.count_refusal(
        tx,
        "registration_key.refused",
        organization_id=organization.id if organization else "",
        subject=guid,
        detail="Presented by another server than its own." if organization else "Unknown key.",
        now=now,
    )
    if organization is not None:
        marked = replace(organization, last_refused_guid=guid, last_refused_time=now)
        organizations.save(tx, marked)
