"""The people whose computers are backed up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from archive_gateway.domain.usage import NOTHING as NO_USAGE
from archive_gateway.domain.usage import ArchiveUsage
from customer_service.domain.user import User, UserState
from customer_service.operations import seats as seat_use_cases
from customer_service.operations import standing
from customer_service.operations.destinations import effective
from customer_service.operations.organizations import Impact, check_etag
from customer_service.store import destinations, devices, organizations, usage, users
from service_kit.database.engine import Transaction
from service_kit.database.paging import Page, PageRequest
from service_kit.errors import AlreadyExists, Conflict
from service_kit.ledger import audit
from service_kit.reasons import Reason


@dataclass(frozen=True)
class UserView:
    """A user, and what is derived."""

    user: User
    storage_ids: list[str]
    devices: int
    seats_in_use: int
    archive: ArchiveUsage


def create(tx: Transaction, user: User, now: datetime) -> UserView:
    """Add a user, who gets a copy of the organization's present defaults.

    A repeat with the same content answers the user that exists.

    Raises:
        NotFound: no such organization.
        AlreadyExists: the id or the address is taken.
        Conflict: the organization is deactivated.
    """
    known = users.find(tx, user.id)
    if known is not None:
        if _entered(known) == _entered(user):
            return view(tx, [known])[0]
        raise AlreadyExists(
            Reason.ALREADY_EXISTS,
            f"The id {user.id} is user {known.email}'s.",
            "Choose a new UUID.",
        )
    # The tree is held so that a change of the defaults comes wholly before or after this user.
    organizations.hold_tree(tx)
    standing.check_organization(tx, user.organization_id)
    users.create(tx, user)
    destinations.offer(tx, user.id, effective(tx, user.organization_id))
    _record(tx, "user.created", user, now)
    return view(tx, [user])[0]


def get(tx: Transaction, user_id: str) -> UserView:
    """A user.

    Raises:
        NotFound: there is none.
    """
    return view(tx, [users.get(tx, user_id)])[0]


def list_page(
    tx: Transaction, page: PageRequest, email: str, organization_id: str, show_deactivated: bool
) -> Page[UserView]:
    """A page of users, by id."""
    found = users.list_page(
        tx,
        page,
        email=email,
        organization_id=organization_id,
        show_deactivated=show_deactivated,
    )
    return Page(view(tx, found.items), found.next_page_token)


def update(
    tx: Transaction,
    user_id: str,
    changes: Mapping[str, Any],
    etag: str,
    now: datetime,
) -> UserView:
    """Change some fields of a user. What the user is offered does not change.

    Raises:
        InvalidArgument: a value is out of bounds.
        NotFound: no such user or organization.
        AlreadyExists: the address is taken.
        Conflict: the new organization is deactivated.
        Stale: the user was changed since the etag was read.
    """
    organizations.hold_tree(tx)
    user = users.lock(tx, user_id)
    check_etag(etag, user.version)
    before, user = user, user.changed(changes)
    if user.organization_id != before.organization_id:
        standing.check_organization(tx, user.organization_id)
    users.save(tx, user)
    _record(tx, "user.updated", user, now)
    return view(tx, [user])[0]


def block(tx: Transaction, user_id: str, now: datetime) -> tuple[UserView, Impact]:
    """Stop a user signing in, and release the seats of the user's devices.

    Raises:
        NotFound: no such user.
        Conflict: the user is deactivated.
    """
    user = users.lock(tx, user_id)
    _refuse_deactivated(user)
    return _end(tx, user, UserState.BLOCKED, now)


def unblock(tx: Transaction, user_id: str, now: datetime) -> UserView:
    """End a block; the user's devices take seats again by using a storage.

    Raises:
        NotFound: no such user.
        Conflict: the user is deactivated.
    """
    user = users.lock(tx, user_id)
    _refuse_deactivated(user)
    return _begin(tx, user, "user.unblocked", now)


def deactivate(tx: Transaction, user_id: str, now: datetime) -> tuple[UserView, Impact]:
    """Deactivate a user, and release the seats of the user's devices.

    Raises:
        NotFound: no such user.
    """
    return _end(tx, users.lock(tx, user_id), UserState.DEACTIVATED, now)


def reactivate(tx: Transaction, user_id: str, now: datetime) -> UserView:
    """Bring a user back; the user's devices take seats again by using a storage.

    Raises:
        NotFound: no such user.
        Conflict: the user is blocked.
    """
    user = users.lock(tx, user_id)
    if user.state is UserState.BLOCKED:
        raise Conflict(Reason.WRONG_STATE, f"User {user.email} is blocked.", "Unblock the user.")
    return _begin(tx, user, "user.reactivated", now)


def view(tx: Transaction, some: Sequence[User]) -> list[UserView]:
    """These users with what is derived of them, a query for each kind of fact."""
    ids = [each.id for each in some]
    offered = destinations.offered(tx, ids)
    device_counts = users.device_counts(tx, ids)
    in_use = users.seats_by_user(tx, ids)
    stored = usage.by_user(tx, ids)
    return [
        UserView(
            each,
            offered[each.id],
            device_counts.get(each.id, 0),
            in_use.get(each.id, 0),
            stored.get(each.id, NO_USAGE),
        )
        for each in some
    ]


def _entered(user: User) -> tuple[object, ...]:
    """What a person enters for a new user."""
    return user.email, user.organization_id, user.disk_quota_bytes


def _end(tx: Transaction, user: User, state: UserState, now: datetime) -> tuple[UserView, Impact]:
    if user.state is state:
        return view(tx, [user])[0], Impact()
    released = seat_use_cases.release(tx, devices.of_users(tx, [user.id]), now)
    user = user.now(state)
    users.save(tx, user)
    _record(tx, f"user.{state}", user, now)
    return view(tx, [user])[0], Impact(users=1, released=released)


def _begin(tx: Transaction, user: User, kind: str, now: datetime) -> UserView:
    if user.state is not UserState.ACTIVE:
        user = user.now(UserState.ACTIVE)
        users.save(tx, user)
        _record(tx, kind, user, now)
    return view(tx, [user])[0]


def _refuse_deactivated(user: User) -> None:
    if user.state is UserState.DEACTIVATED:
        raise Conflict(
            Reason.WRONG_STATE, f"User {user.email} is deactivated.", "Reactivate the user."
        )


def _record(tx: Transaction, kind: str, user: User, now: datetime) -> None:
    audit.record(
        tx, kind, organization_id=user.organization_id, subject=user.id, detail=user.email, now=now
    )
