"""Registration keys: issued, shown once, rotated, ended; bound to the customer's GUID."""

import secrets
from dataclasses import replace
from datetime import datetime, timedelta

from provider_service.domain.organization import Organization, State
from provider_service.domain.registration_key import KeyState, RegistrationKey
from provider_service.domain.saving import Ended, Saved, own_guid
from provider_service.operations.showing import shown
from provider_service.store import organizations, registration_keys
from service_kit.database.engine import Transaction
from service_kit.errors import Conflict
from service_kit.identity import registration_key as form
from service_kit.identity.guid import parse_guid
from service_kit.identity.identity import Identity
from service_kit.ledger import audit
from service_kit.reasons import Reason


def issue(
    tx: Transaction, identity: Identity, organization_id: str, lifetime: timedelta, now: datetime
) -> str:
    """Make a key for a hosted organization; the one before it ends in the same transaction.

    The answer is the only place where the key is ever seen: kept are a keyed hash and a short id
    that says nothing of the key.
    """
    key = form.generate()
    record = RegistrationKey(
        id=secrets.token_hex(4),
        organization_id=organization_id,
        key_hash=hash_of(identity, form.normalize("registration_key", key)),
        state=KeyState.ISSUED,
        epoch=None,
        create_time=now,
        expire_time=now + lifetime,
    )
    registration_keys.end(tx, organization_id)
    registration_keys.create(tx, record)
    audit.record(
        tx,
        "registration_key.issued",
        organization_id=organization_id,
        subject=record.id,
        detail=f"Until {record.expire_time:%Y-%m-%d %H:%M} UTC.",
        now=now,
    )
    return key


def hash_of(identity: Identity, normalized_key: str) -> str:
    """What is kept of a key: worth nothing without the server's identity file."""
    return identity.secret("registration key", normalized_key).hex()


def rotate(
    tx: Transaction, identity: Identity, organization_id: str, lifetime: timedelta, now: datetime
) -> Saved:
    """End the present key and make a new one. An attachment stays as it is.

    Raises:
        NotFound: no such organization.
        Conflict: it is not hosted, or deactivated.
    """
    organization = organizations.lock(tx, organization_id)
    _check_may_have_key(organization)
    key = issue(tx, identity, organization_id, lifetime, now)
    return Saved(shown(tx, organization), key)


def change_customer_guid(
    tx: Transaction,
    identity: Identity,
    organization_id: str,
    guid: str,
    lifetime: timedelta,
    now: datetime,
) -> Ended:
    """The customer's server was replaced: the old one is cut off at once, seats and archives stay.

    Raises:
        NotFound: no such organization.
        Conflict: it is not hosted, or deactivated.
        InvalidArgument: not a server's GUID, or this server's own.
        AlreadyExists: another organization has the GUID.
    """
    guid = parse_guid("customer_guid", guid)
    before = organizations.lock(tx, organization_id)
    _check_may_have_key(before)
    refuse_own_guid(identity, guid)
    settings = replace(before.settings, customer_guid=guid)
    after = replace(before.detached(), settings=settings)
    organizations.refuse_taken(tx, after)
    organizations.save(tx, after)
    if guid != before.settings.customer_guid:
        remember_former(tx, before)
    audit.record(
        tx,
        "organization.guid_changed",
        organization_id=organization_id,
        subject=guid,
        detail=f"Before: {before.settings.customer_guid or 'none'}.",
        now=now,
    )
    key = issue(tx, identity, organization_id, lifetime, now)
    return Ended(shown(tx, after), after.seats_in_use, key)


def remember_former(tx: Transaction, before: Organization) -> None:
    """Keep in mind that this server was attached, so that it is told that this has ended."""
    if before.was_attached and before.settings.customer_guid:
        organizations.remember_former_customer(tx, before.settings.customer_guid, before.id)


def refuse_own_guid(identity: Identity, guid: str) -> None:
    """Raise InvalidArgument for the provider's own GUID."""
    if guid == identity.guid:
        raise own_guid()


def _check_may_have_key(organization: Organization) -> None:
    if organization.state is State.DEACTIVATED:
        raise Conflict(
            Reason.ORGANIZATION_DEACTIVATED,
            f"Organization {organization.settings.name} is deactivated.",
            "Reactivate it; that makes a new key.",
        )
    if not organization.settings.hosted:
        raise Conflict(
            Reason.WRONG_STATE,
            f"Organization {organization.settings.name} is not hosted.",
            "Set hosted; that makes the key.",
        )
