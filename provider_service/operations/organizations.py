"""Hosted organizations: what the provider's operator does with them."""

from dataclasses import replace
from datetime import datetime

from provider_service.domain.organization import Organization, State, Terms
from provider_service.domain.saving import (
    TERMS_NOT_ACCEPTED,
    Draft,
    Edit,
    Saved,
    Shown,
    warnings,
)
from provider_service.operations import registration_keys
from provider_service.operations.registration_keys import refuse_own_guid, remember_former
from provider_service.operations.showing import shown, shown_all
from provider_service.store import organizations as store
from provider_service.store import registration_keys as key_store
from provider_service.store import terms as terms_store
from service_kit.database.engine import Transaction
from service_kit.database.paging import Page, PageRequest
from service_kit.errors import AlreadyExists, InvalidArgument, Stale
from service_kit.identity.identity import Identity
from service_kit.ledger import audit
from service_kit.ledger import license as master_license
from service_kit.reasons import Reason


def create(tx: Transaction, identity: Identity, draft: Draft, now: datetime) -> Saved:
    """Add an organization; a hosted one gets its registration key.

    Raises:
        AlreadyExists: the id has another content, or the name or the customer GUID is taken.
        InvalidArgument: the customer GUID is this server's own.
    """
    existing = store.find(tx, draft.id)
    if existing is not None:
        return _repeated(tx, existing, draft)
    refuse_own_guid(identity, draft.settings.customer_guid)
    terms = _accepted(tx, now) if draft.accept_terms else None
    organization = Organization(draft.id, draft.settings, create_time=now, terms=terms)
    store.refuse_taken(tx, organization)
    store.create(tx, organization)
    audit.record(
        tx,
        "organization.created",
        organization_id=draft.id,
        subject=draft.settings.customer_guid,
        detail=draft.settings.name,
        now=now,
    )
    key = ""
    if draft.settings.hosted:
        key = registration_keys.issue(tx, identity, draft.id, draft.key_lifetime, now)
    return _saved(tx, organization, key)


def get(tx: Transaction, organization_id: str) -> Shown:
    """An organization.

    Raises:
        NotFound: there is none.
    """
    return shown(tx, store.get(tx, organization_id))


def list_page(
    tx: Transaction,
    page: PageRequest,
    *,
    name: str,
    problems: bool,
    deactivated: bool,
    now: datetime,
) -> Page[Shown]:
    """A page of organizations by id; with `problems` only those that an operator should look at."""
    found = store.list_page(
        tx,
        page,
        name=name,
        problems_at=now if problems else None,
        deactivated=deactivated,
    )
    return Page(shown_all(tx, found.items), found.next_page_token)


def update(tx: Transaction, identity: Identity, edit: Edit, now: datetime) -> Saved:
    """Change settings; an organization that becomes hosted gets its registration key.

    Raises:
        NotFound: no such organization.
        Stale: it was changed since the etag was seen.
        Conflict: the change would pull the ground from under an attachment.
        InvalidArgument: a value is out of bounds, or the terms were not accepted.
        AlreadyExists: the name or the customer GUID is taken.
    """
    before = store.lock(tx, edit.id)
    _check_etag(before, edit.etag)
    after = before.edited(edit.change(before.settings))
    refuse_own_guid(identity, after.settings.customer_guid)
    after = _with_terms(tx, after, edit.accept_terms, now)
    if after.state is not State.DEACTIVATED:
        store.refuse_taken(tx, after)
    store.save(tx, after)
    audit.record(
        tx, "organization.updated", organization_id=after.id, detail=after.settings.name, now=now
    )
    if after.settings.customer_guid != before.settings.customer_guid:
        remember_former(tx, before)
    key = ""
    other_server = after.settings.customer_guid != before.settings.customer_guid
    if after.state is State.DEACTIVATED or not after.settings.hosted:
        key_store.end(tx, after.id)
    elif other_server or not before.settings.hosted:
        key = registration_keys.issue(tx, identity, after.id, edit.key_lifetime, now)
    return _saved(tx, after, key)


def suspend(tx: Transaction, organization_id: str, reason: str, now: datetime) -> Shown:
    """Stop an organization's backups and new seats; keep its archives and held seats.

    Raises:
        NotFound: no such organization.
        Conflict: it is deactivated.
    """
    organization = store.lock(tx, organization_id).suspended(reason)
    store.save(tx, organization)
    audit.record(
        tx, "organization.suspended", organization_id=organization_id, detail=reason, now=now
    )
    return shown(tx, organization)


def resume(tx: Transaction, organization_id: str, now: datetime) -> Shown:
    """End a suspension; everything is as before. A repeat changes nothing.

    Raises:
        NotFound: no such organization.
        Conflict: it is deactivated.
    """
    before = store.lock(tx, organization_id)
    organization = before.resumed()
    if before.state is State.SUSPENDED:
        store.save(tx, organization)
        audit.record(tx, "organization.resumed", organization_id=organization_id, now=now)
    return shown(tx, organization)


def license_use(tx: Transaction, page: PageRequest) -> Page[tuple[str, str, int]]:
    """A page of id, name and seats in use, by id."""
    return store.license_use(tx, page)


def _repeated(tx: Transaction, existing: Organization, draft: Draft) -> Saved:
    """The answer to a create that was made before: the organization, never its key again."""
    if existing.settings != draft.settings:
        raise AlreadyExists(
            Reason.ALREADY_EXISTS,
            f"Organization {existing.id} exists with other content: {existing.settings.name}.",
            "Use a new UUID for a new organization, or update this one.",
        )
    return _saved(tx, existing, "")


def _check_etag(organization: Organization, etag: str) -> None:
    if etag and etag != organization.etag:
        raise Stale(
            Reason.ETAG_MISMATCH,
            f"Organization {organization.settings.name} was changed meanwhile.",
            "Get it again, look at the change, and repeat yours.",
        )


def _with_terms(
    tx: Transaction, organization: Organization, accept: bool, now: datetime
) -> Organization:
    if accept:
        return replace(organization, terms=_accepted(tx, now))
    if organization.settings.hosted and organization.terms is None:
        raise InvalidArgument([TERMS_NOT_ACCEPTED])
    return organization


def _accepted(tx: Transaction, now: datetime) -> Terms:
    return Terms(terms_store.present(tx).version, now)


def _saved(tx: Transaction, organization: Organization, key: str) -> Saved:
    found = shown(tx, organization)
    told = warnings(found, store.total_seats(tx), master_license.get(tx).seats)
    return Saved(found, key, told)
