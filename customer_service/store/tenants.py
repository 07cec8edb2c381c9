"""What the archives' gateway asks of devices and of their seats at this server itself."""

from collections.abc import Collection, Iterator
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
    bindparam,
    literal,
    null,
    or_,
    select,
    type_coerce,
    union_all,
)

from archive_gateway.domain.names import ArchiveId
from archive_gateway.domain.standing import Tenant
from archive_gateway.store.tables import archives
from customer_service.domain.seat import SeatState
from customer_service.domain.storage import StorageType
from customer_service.domain.user import UserState
from customer_service.store.organizations import select_below
from customer_service.store.tables import devices, organizations, seats, storages, users
from service_kit.database.chunks import chunks
from service_kit.database.engine import Transaction
from service_kit.database.paging import Page, PageRequest, paginate
from service_kit.database.types import UtcTime

KEPT = 1000  # queries of the devices of one organization or user


class DeviceSeat(NamedTuple):
    """A device with its user, and the generation of its seat here, if it holds one."""

    deactivated: bool
    user_id: str
    email: str
    user_state: UserState
    user_quota_bytes: int | None
    organization_id: str
    generation: int | None


def _local_seat() -> ColumnElement[Any]:
    """A device's seat at this server itself."""
    local = select(storages.c.id).where(storages.c.type == StorageType.LOCAL).scalar_subquery()
    return (seats.c.storage_id == local) & (seats.c.device_id == devices.c.id)


# Built once: every request of a device's restic asks it.
_DEVICE: Select[Any] = (
    select(
        devices.c.deactivated,
        devices.c.user_id,
        users.c.email,
        users.c.state.label("user_state"),
        users.c.disk_quota_bytes,
        users.c.organization_id,
        seats.c.state.label("seat_state"),
        seats.c.generation,
    )
    .join(users, users.c.id == devices.c.user_id)
    .outerjoin(seats, _local_seat())
    .where(devices.c.id == bindparam("device"))
)


def find_device(tx: Transaction, device_guid: str) -> DeviceSeat | None:
    """A device, or None."""
    row = tx.execute(_DEVICE, {"device": device_guid}).one_or_none()
    if row is None:
        return None
    return DeviceSeat(
        row.deactivated,
        row.user_id,
        row.email,
        UserState(row.user_state),
        row.disk_quota_bytes,
        row.organization_id,
        row.generation if row.seat_state == SeatState.HELD else None,
    )


def list_accounts(tx: Transaction, page: PageRequest) -> Page[str]:
    """A page of the one account: the root organization's id."""
    key = organizations.c.id
    root = select(key).where(organizations.c.parent_id.is_(None))
    return paginate(tx, root, keys=[key], page=page, build=lambda row: str(row.id))


@lru_cache(KEPT)  # to build one takes longer than to run it
def in_organization(organization_id: str) -> Select[tuple[str]]:
    """The devices of an organization's users and of all below it."""
    below = users.c.organization_id.in_(select_below(organization_id))
    return select(devices.c.id).join(users, users.c.id == devices.c.user_id).where(below)


@lru_cache(KEPT)
def of_user(user_id: str) -> Select[tuple[str]]:
    """A user's devices."""
    return select(devices.c.id).where(devices.c.user_id == user_id)


def find_devices(
    tx: Transaction, account_id: str, device_guids: Collection[str]
) -> Iterator[Tenant]:
    """Those of these devices that there are, or that have an archive."""
    known = _known(account_id)
    for some in chunks(list(device_guids)):
        yield from map(_tenant, tx.execute(known.where(known.selected_columns[0].in_(some))))


def list_devices(tx: Transaction, account_id: str, page: PageRequest) -> Page[Tenant]:
    """A page of all devices that there are, or that have an archive, by GUID."""
    known = _known(account_id)
    key: Any = known.selected_columns[0]
    return paginate(tx, known, keys=[key], page=page, build=_tenant, filter=account_id)


def lapsed(tx: Transaction, account_id: str, before: datetime, most: int) -> list[ArchiveId]:
    """Archives that hold something and whose device lost its seat here before a time."""
    statement = (
        select(archives.c.device_guid)
        .join(devices, devices.c.id == archives.c.device_guid)
        .join(seats, _local_seat())
        .where(
            archives.c.account_id == account_id,
            seats.c.state != SeatState.HELD,
            seats.c.update_time < before,
            or_(archives.c.stored_bytes > 0, archives.c.kept_bytes > 0),
        )
        .order_by(archives.c.id)
        .limit(most)
    )
    return [ArchiveId(account_id, guid) for guid in tx.execute(statement).scalars()]


def _known(account_id: str) -> Select[Any]:
    """All devices, and those of whose archive alone is known: the device's row was lost."""
    own = select(
        devices.c.id.label("device_guid"),
        devices.c.name,
        seats.c.state.label("seat_state"),
        seats.c.update_time,
    ).outerjoin_from(devices, seats, _local_seat())
    has_row = select(devices.c.id).where(devices.c.id == archives.c.device_guid).exists()
    strays = select(
        archives.c.device_guid,
        literal("").label("name"),
        literal("").label("seat_state"),
        type_coerce(null(), UtcTime()).label("update_time"),
    ).where(archives.c.account_id == account_id, ~has_row)
    return select(union_all(own, strays).subquery("known"))


def _tenant(row: Row[Any]) -> Tenant:
    holds = row.seat_state == SeatState.HELD
    return Tenant(row.device_guid, row.name, holds, None if holds else row.update_time)
