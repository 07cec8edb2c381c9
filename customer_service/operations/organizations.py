"""The customer's own tree of organizations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from archive_gateway.domain.usage import NOTHING as NO_USAGE
from archive_gateway.domain.usage import ArchiveUsage
from customer_service.domain.organization import Organization
from customer_service.operations import seats as seat_use_cases
from customer_service.operations import standing
from customer_service.operations.seats import NOTHING, Released
from customer_service.store import devices, organizations, seats, usage, users
from service_kit.database.engine import Transaction
from service_kit.database.paging import Page, PageRequest
from service_kit.errors import AlreadyExists, Conflict, Stale
from service_kit.ledger import audit, license
from service_kit.reasons import Reason


@dataclass(frozen=True)
class OrganizationView:
    """An organization, and what is derived of it."""

    organization: Organization
    deactivated: bool
    active_users: int
    seats_in_use: int
    archive: ArchiveUsage


@dataclass(frozen=True)
class Impact:
    """What ending an access takes along."""

    organizations: int = 0
    users: int = 0
    released: Released = NOTHING


def ensure_root(tx: Transaction, organization_id: str, name: str, now: datetime) -> None:
    """Make the root at the server's first start."""
    if organizations.root(tx) is None:
        organizations.create(tx, Organization(organization_id, name, None, now))


def create(tx: Transaction, organization: Organization, now: datetime) -> OrganizationView:
    """Add an organization; a repeat with the same content answers the one that exists.

    Raises:
        NotFound: no such parent.
        AlreadyExists: the id or the name is taken.
        Conflict: the parent is deactivated.
    """
    known = organizations.find(tx, organization.id)
    if known is not None:
        if _entered(known) == _entered(organization):
            return view(tx, [known])[0]
        raise AlreadyExists(
            Reason.ALREADY_EXISTS,
            f"The id {organization.id} is organization {known.name}'s.",
            "Choose a new UUID.",
        )
    organizations.hold_tree(tx)
    standing.check_organization(tx, organization.parent_id or "")
    organizations.create(tx, organization)
    audit.record(
        tx,
        "organization.created",
        organization_id=organization.id,
        detail=organization.name,
        now=now,
    )
    return view(tx, [organization])[0]


def root_id(tx: Transaction) -> str:
    """The root's id: where a new organization or user goes by default."""
    root = organizations.root(tx)
    assert root is not None, "made at the first start"
    return root.id


def get(tx: Transaction, organization_id: str) -> OrganizationView:
    """An organization.

    Raises:
        NotFound: there is none.
    """
    return view(tx, [organizations.get(tx, organization_id)])[0]


def list_page(
    tx: Transaction, page: PageRequest, name: str, show_deactivated: bool
) -> Page[OrganizationView]:
    """A page of organizations, by id."""
    found = organizations.list_page(tx, page, name=name, show_deactivated=show_deactivated)
    return Page(view(tx, found.items), found.next_page_token)


def update(
    tx: Transaction,
    organization_id: str,
    changes: Mapping[str, Any],
    etag: str,
    now: datetime,
) -> OrganizationView:
    """Change some fields of an organization: rename it, move it below another, and the like.

    Raises:
        InvalidArgument: a value is out of bounds, or of the root alone.
        NotFound: no such organization or parent.
        AlreadyExists: the name is taken.
        Conflict: it would be below itself or a deactivated one, or it is the root.
        Stale: it was changed since the etag was read.
    """
    organizations.lock_tree(tx)
    organization = organizations.get(tx, organization_id)
    check_etag(etag, organization.version)
    if "parent_id" in changes:
        _check_move(tx, organization, changes["parent_id"])
    changed = organization.changed(changes)
    organizations.save(tx, changed)
    audit.record(
        tx, "organization.updated", organization_id=organization_id, detail=changed.name, now=now
    )
    return view(tx, [changed])[0]


def deactivate(
    tx: Transaction, organization_id: str, now: datetime
) -> tuple[OrganizationView, Impact]:
    """Deactivate an organization with all below it; their devices' seats are released.

    Raises:
        NotFound: no such organization.
        Conflict: it is the root.
    """
    organizations.lock_tree(tx)
    organization = organizations.get(tx, organization_id)
    if organization.parent_id is None:
        raise Conflict(
            Reason.WRONG_STATE,
            "The root organization can't be deactivated.",
            "Deactivate the organizations below it.",
        )
    if organization.deactivated:
        return view(tx, [organization])[0], Impact()
    before = organizations.deactivated_among(tx, below := organizations.below(tx, organization_id))
    user_ids = users.in_organizations(tx, [each for each in below if each not in before])
    released = seat_use_cases.release(tx, devices.of_users(tx, user_ids), now)
    changed = organization.in_use(False)
    organizations.save(tx, changed)
    audit.record(tx, "organization.deactivated", organization_id=organization_id, now=now)
    impact = Impact(len(below) - len(before), len(user_ids), released)
    return view(tx, [changed])[0], impact


def reactivate(tx: Transaction, organization_id: str, now: datetime) -> OrganizationView:
    """Bring an organization back; its devices take seats again by using a storage.

    Raises:
        NotFound: no such organization.
    """
    organizations.lock_tree(tx)
    organization = organizations.get(tx, organization_id)
    if organization.deactivated:
        organization = organization.in_use(True)
        organizations.save(tx, organization)
        audit.record(tx, "organization.reactivated", organization_id=organization_id, now=now)
    return view(tx, [organization])[0]


def seats_in_use(tx: Transaction) -> int:
    """Local seats in use of all organizations together."""
    return license.get(tx).seats_in_use


def license_use(tx: Transaction, page: PageRequest) -> Page[tuple[str, str, int]]:
    """(id, name, seats in use) of each organization, by id."""
    found = list_page(tx, page, "", True)
    rows = [(v.organization.id, v.organization.name, v.seats_in_use) for v in found.items]
    return Page(rows, found.next_page_token)


def check_etag(etag: str, version: int) -> None:
    """Refuse to overwrite a change that the caller has not seen; no etag overwrites.

    Raises:
        Stale: the version has moved on.
    """
    if etag and etag != str(version):
        raise Stale(
            Reason.ETAG_MISMATCH,
            "It was changed since you read it.",
            "Read it again and repeat the change.",
        )


def view(tx: Transaction, some: Sequence[Organization]) -> list[OrganizationView]:
    """These organizations with what is derived of them, a query for each kind of fact."""
    ids = [each.id for each in some]
    deactivated = organizations.deactivated_among(tx, ids)
    active = users.active_by_organization(tx, ids)
    in_use = seats.seats_by_organization(tx, ids)
    stored = usage.by_organization(tx, ids)
    return [
        OrganizationView(
            each,
            each.id in deactivated,
            active.get(each.id, 0),
            in_use.get(each.id, 0),
            stored.get(each.id, NO_USAGE),
        )
        for each in some
    ]


def _entered(organization: Organization) -> tuple[object, ...]:
    """What a person enters for a new organization."""
    return organization.name, organization.parent_id, organization.disk_quota_bytes


def _check_move(tx: Transaction, organization: Organization, parent_id: str) -> None:
    if parent_id == organization.parent_id:
        return
    standing.check_organization(tx, parent_id)
    if organization.parent_id is None or parent_id in organizations.below(tx, organization.id):
        raise Conflict(
            Reason.WRONG_STATE,
            f"Organization {organization.name} can't be moved below itself.",
            "Choose an organization that is not below it; the root stays where it is.",
        )
