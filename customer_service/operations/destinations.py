"""Which storages users are offered: live defaults by level, and each user's own copy."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from customer_service.domain.storage import StorageState
from customer_service.operations import seats as seat_use_cases
from customer_service.operations.seats import Released
from customer_service.store import destinations, devices, organizations, storages, users
from customer_service.store.tables import SERVER
from service_kit.database.engine import Transaction
from service_kit.errors import Conflict, FieldViolation, InvalidArgument
from service_kit.ledger import audit
from service_kit.reasons import Reason
from service_kit.validation import Checks

MOST_DESTINATIONS = 100


@dataclass(frozen=True)
class Defaults:
    """What one level offers; `inherit` is never set at the server."""

    organization_id: str
    inherit: bool
    storage_ids: tuple[str, ...]


@dataclass(frozen=True)
class Changes:
    """What applying defaults to existing users changes."""

    users_gaining: int = 0
    users_losing: int = 0
    devices_released: int = 0


def get_defaults(tx: Transaction, organization_id: str) -> Defaults:
    """What one level offers to new users; an inheriting one what it inherits.

    Raises:
        NotFound: no such organization.
    """
    if organization_id == SERVER:
        return Defaults(SERVER, False, tuple(destinations.defaults(tx, SERVER)))
    inherits = organizations.get(tx, organization_id).inherits
    return Defaults(organization_id, inherits, tuple(effective(tx, organization_id)))


def effective(tx: Transaction, organization_id: str) -> list[str]:
    """What a new user of an organization is offered: the nearest level that does not inherit."""
    for level in organizations.path(tx, organization_id):
        if not level.inherits:
            return destinations.defaults(tx, level.id)
    return destinations.defaults(tx, SERVER)


def set_defaults(
    tx: Transaction, wanted: Defaults, now: datetime, *, apply: bool, confirmed: bool
) -> Changes:
    """Set what one level offers, and on request apply it to the users that exist.

    Raises:
        NotFound: no such organization or storage.
        Conflict: devices in use would lose a storage, and that was not confirmed.
    """
    if wanted.organization_id == SERVER and wanted.inherit:
        raise InvalidArgument([FieldViolation("destinations.inherit", "is not for the server")])
    organizations.lock_tree(tx)
    own = () if wanted.inherit else wanted.storage_ids
    present = destinations.defaults(tx, wanted.organization_id)
    check_offerable(tx, "destinations.storage_ids", own, present)
    if wanted.organization_id != SERVER:
        organizations.get(tx, wanted.organization_id)
        destinations.set_inherits(tx, wanted.organization_id, inherits=wanted.inherit)
    destinations.set_defaults(tx, wanted.organization_id, own)
    changes = _apply(tx, wanted.organization_id, now) if apply else Changes()
    if changes.devices_released and not confirmed:
        raise unconfirmed(changes.users_losing, changes.devices_released)
    audit.record(
        tx,
        "destinations.set",
        organization_id=wanted.organization_id,
        detail=f"{len(wanted.storage_ids)} storages; {changes.users_gaining} users gain, "
        f"{changes.users_losing} lose, {changes.devices_released} devices stop",
        now=now,
    )
    return changes


def set_for_user(
    tx: Transaction,
    user_id: str,
    storage_ids: Sequence[str] | None,
    now: datetime,
    *,
    confirmed: bool,
) -> Released:
    """Set what one user is offered; None follows the organization's defaults again.

    Raises:
        NotFound: no such user or storage.
        Conflict: devices in use would lose a storage, and that was not confirmed.
    """
    organizations.hold_tree(tx)
    present = destinations.offered(tx, [user_id]).get(user_id, [])
    check_offerable(tx, "storage_ids", storage_ids or (), present)
    user = users.lock(tx, user_id)
    wanted = effective(tx, user.organization_id) if storage_ids is None else storage_ids
    lost = set(destinations.offered(tx, [user_id])[user_id]) - set(wanted)
    destinations.offer(tx, user_id, wanted)
    users.save(tx, user.offered(inherits=storage_ids is None))
    released = Released()
    if lost:
        device_ids = devices.of_users(tx, [user_id])
        released = seat_use_cases.release(tx, device_ids, now, lambda seat: seat.storage_id in lost)
    if released.devices and not confirmed:
        raise unconfirmed(1, released.devices)
    audit.record(tx, "user.destinations_set", subject=user.email, now=now)
    return released


def offer_by_default(tx: Transaction, storage_id: str) -> None:
    """Add a storage to the server's defaults, so that new users are offered it."""
    present = destinations.defaults(tx, SERVER)
    if storage_id not in present:
        destinations.set_defaults(tx, SERVER, [*present, storage_id])


def check_offerable(
    tx: Transaction, field: str, storage_ids: Sequence[str], present: Sequence[str]
) -> None:
    """Refuse what can't be offered, by the field that names it; what is offered already may stay.

    The storages are held: none is detached before this is done.
    """
    checks = Checks()
    if len(storage_ids) > MOST_DESTINATIONS:
        checks.fail(field, f"must be at most {MOST_DESTINATIONS}")
    if len(set(storage_ids)) < len(storage_ids):
        checks.fail(field, "must not name a storage twice")
    checks.done()
    known = storages.hold(tx, storage_ids)
    ended = (StorageState.DETACHED, StorageState.DETACHING)
    for each in storage_ids:
        if each not in present and (each not in known or known[each].state in ended):
            checks.fail(field, f"{each} is no storage that is attached")
    checks.done()


def unconfirmed(users_losing: int, devices_released: int) -> Conflict:
    """The refusal of a withdrawal from devices in use."""
    return Conflict(
        Reason.CONFIRMATION_REQUIRED,
        f"{users_losing} users lose a storage, and {devices_released} devices in use release "
        "their seats there.",
        "Confirm it: --confirm.",
        metadata={
            "users_losing": str(users_losing),
            "devices_released": str(devices_released),
        },
    )


def _apply(tx: Transaction, organization_id: str, now: datetime) -> Changes:
    """Give every user below who inherits what new users get now."""
    if organization_id == SERVER:
        root = organizations.root(tx)
        if root is None or not root.inherits:
            return Changes()
        organization_id = root.id
    wanted = effective(tx, organization_id)
    below = organizations.select_below(organization_id, inheriting=True)
    concerned = destinations.inheriting_users(below)
    gained = destinations.gaining(tx, concerned, wanted)
    lost = destinations.losing(tx, concerned, wanted)
    destinations.apply(tx, gained, lost)
    losing = {each.user_id for each in lost}
    pairs = {(each.user_id, each.storage_id) for each in lost}
    user_of = devices.of_users(tx, sorted(losing))
    released = seat_use_cases.release(
        tx, user_of, now, lambda seat: (user_of[seat.device_id], seat.storage_id) in pairs
    )
    return Changes(
        users_gaining=len({each.user_id for each in gained}),
        users_losing=len(losing),
        devices_released=released.devices,
    )
