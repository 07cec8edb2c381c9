"""How access ends and begins again: detach, deactivate, reactivate. Archives always stay."""

from dataclasses import replace
from datetime import datetime, timedelta

from provider_service.domain import attachment
from provider_service.domain.organization import Attachment, Organization, State
from provider_service.domain.saving import Ended, Saved
from provider_service.operations import registration_keys as keys
from provider_service.operations.showing import shown
from provider_service.store import organizations, registration_keys, seats
from service_kit.database.engine import Transaction
from service_kit.errors import OffsiteError
from service_kit.identity.identity import Identity
from service_kit.ledger import audit
from service_kit.ledger import license as master_license


def detach(tx: Transaction, organization_id: str, now: datetime) -> Ended:
    """End an attachment and the key, and release the seats. A repeat changes nothing.

    Raises:
        NotFound: no such organization.
    """
    return _detach(tx, organizations.lock(tx, organization_id), now)


def detach_customer(tx: Transaction, guid: str, now: datetime) -> int | OffsiteError:
    """The same, asked for by the customer's server; answers how many seats were released.

    The key ends also where nothing is attached yet: an Attach may still be on its way.
    """
    organization = organizations.lock_of_customer(tx, guid)
    if organization is not None and organization.attachment is not Attachment.DETACHED:
        return _detach(tx, organization, now).seats
    if organizations.is_former_customer(tx, guid):
        return 0
    if organization is not None:
        registration_keys.end(tx, organization.id)
    return attachment.not_attached()


def deactivate(tx: Transaction, organization_id: str, now: datetime) -> Ended:
    """Serve an organization no more: what detaching ends, ends. A repeat changes nothing.

    Raises:
        NotFound: no such organization.
    """
    before = organizations.lock(tx, organization_id)
    if before.state is State.DEACTIVATED:
        return Ended(shown(tx, before), 0)
    return _end(tx, before, before.deactivated(), "organization.deactivated", now)


def reactivate(
    tx: Transaction, identity: Identity, organization_id: str, lifetime: timedelta, now: datetime
) -> Saved:
    """Serve a deactivated organization again; a hosted one gets a new key.

    A repeat changes nothing.

    Raises:
        NotFound: no such organization.
        AlreadyExists: another organization has its name or its customer GUID by now.
    """
    before = organizations.lock(tx, organization_id)
    if before.state is not State.DEACTIVATED:
        return Saved(shown(tx, before))
    organization = before.reactivated()
    organizations.refuse_taken(tx, organization)
    organizations.save(tx, organization)
    audit.record(tx, "organization.reactivated", organization_id=organization_id, now=now)
    key = ""
    if organization.settings.hosted:
        key = keys.issue(tx, identity, organization_id, lifetime, now)
    return Saved(shown(tx, organization), key)


def _detach(tx: Transaction, before: Organization, now: datetime) -> Ended:
    # Seats can outlive an attachment: after change-guid they wait for the new server.
    if before.attachment is Attachment.DETACHED and before.seats_in_use == 0:
        return Ended(shown(tx, before), 0)
    return _end(tx, before, before.detached(), "organization.detached", now)


def _end(
    tx: Transaction, before: Organization, after: Organization, kind: str, now: datetime
) -> Ended:
    registration_keys.end(tx, before.id)
    keys.remember_former(tx, before)
    released = seats.release_all(tx, before.id, now)
    after = replace(after, seats_in_use=0, position=before.position + released)
    organizations.save(tx, after)
    if released:
        master_license.add_in_use(tx, -released)
    audit.record(
        tx,
        kind,
        organization_id=before.id,
        subject=before.settings.customer_guid,
        detail=f"{released} seats released.",
        seat_delta=-released,
        now=now,
    )
    return Ended(shown(tx, after), released)
