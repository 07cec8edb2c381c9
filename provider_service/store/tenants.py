"""What the archives' gateway asks of organizations and their devices."""

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Row,
    Select,
    and_,
    bindparam,
    literal,
    null,
    or_,
    select,
    type_coerce,
    union_all,
)

from archive_gateway.domain.names import ArchiveId
from archive_gateway.domain.standing import Policy, Tenant
from archive_gateway.store.tables import archives
from provider_service.domain.organization import Attachment, State, why_read_only
from provider_service.store.tables import organizations, seats
from service_kit.database.chunks import chunks
from service_kit.database.engine import Transaction
from service_kit.database.paging import Page, PageRequest, paginate
from service_kit.database.types import UtcTime

_MICROSECONDS = 1_000_000


class Account(NamedTuple):
    """An organization as its archives see it; `read_only` says why, where it is."""

    policy: Policy
    read_only: str


class Seat(NamedTuple):
    """A device's account and the generation of its live seat, if it has one."""

    account: Account
    generation: int | None
    is_known: bool


_OF_ACCOUNT: tuple[ColumnElement[Any], ...] = (
    organizations.c.name,
    organizations.c.disk_quota_bytes,
    organizations.c.delete_delay_seconds,
    organizations.c.retention_seconds,
    organizations.c.append_only,
    organizations.c.state,
    organizations.c.suspend_reason,
    organizations.c.attachment,
    organizations.c.hosted,
)
# Built once: every request of a device's restic asks it.
_SEAT: Select[Any] = (
    select(*_OF_ACCOUNT, seats.c.live, seats.c.generation)
    .outerjoin(
        seats,
        and_(
            seats.c.organization_id == organizations.c.id,
            seats.c.device_guid == bindparam("device"),
        ),
    )
    .where(organizations.c.id == bindparam("account"))
)


def find_account(tx: Transaction, account_id: str) -> Account | None:
    """An organization's rules, or None."""
    statement: Select[Any] = select(*_OF_ACCOUNT).where(organizations.c.id == account_id)
    row = tx.execute(statement).one_or_none()
    return None if row is None else _account(row)


def find_seat(tx: Transaction, archive: ArchiveId) -> Seat | None:
    """A device's seat with its organization's rules; None where there is no such organization."""
    values = {"account": archive.account_id, "device": archive.device_guid}
    row = tx.execute(_SEAT, values).one_or_none()
    if row is None:
        return None
    return Seat(_account(row), row.generation if row.live else None, row.live is not None)


def list_accounts(tx: Transaction, page: PageRequest) -> Page[str]:
    """A page of all organizations' ids."""
    key = organizations.c.id
    return paginate(tx, select(key), keys=[key], page=page, build=lambda row: str(row.id))


def find_devices(
    tx: Transaction, account_id: str, device_guids: Collection[str]
) -> Iterator[Tenant]:
    """Those of these devices that have a row or an archive."""
    known = _known(account_id)
    for some in chunks(list(device_guids)):
        yield from map(_tenant, tx.execute(known.where(known.selected_columns[0].in_(some))))


def list_devices(tx: Transaction, account_id: str, page: PageRequest) -> Page[Tenant]:
    """A page of all devices that have a row or an archive."""
    known = _known(account_id)
    key: Any = known.selected_columns[0]
    return paginate(tx, known, keys=[key], page=page, build=_tenant, filter=account_id)


def lapsed(tx: Transaction, now: datetime, most: int) -> list[ArchiveId]:
    """Archives that hold something and whose device lost its seat a retention ago.

    Never while a ledger may be older than what it has told: the seat may have been taken since.
    """
    retention = organizations.c.retention_seconds * _MICROSECONDS
    end_time = type_coerce(type_coerce(seats.c.update_time, BigInteger) + retention, UtcTime())
    statement = (
        select(archives.c.account_id, archives.c.device_guid)
        .join(organizations, organizations.c.id == archives.c.account_id)
        .join(
            seats,
            and_(
                seats.c.organization_id == archives.c.account_id,
                seats.c.device_guid == archives.c.device_guid,
            ),
        )
        .where(
            ~seats.c.live,
            end_time < now,
            organizations.c.attachment != Attachment.REWOUND,
            or_(archives.c.stored_bytes > 0, archives.c.kept_bytes > 0),
        )
        .order_by(archives.c.id)
        .limit(most)
    )
    return [ArchiveId(*row) for row in tx.execute(statement)]


def _known(account_id: str) -> Select[Any]:
    """Devices with a row, and those of whose archive alone is known: the row was lost."""
    rows = select(
        seats.c.device_guid, seats.c.device_name, seats.c.live, seats.c.update_time
    ).where(seats.c.organization_id == account_id)
    has_row = (
        select(seats.c.device_guid)
        .where(
            seats.c.organization_id == archives.c.account_id,
            seats.c.device_guid == archives.c.device_guid,
        )
        .exists()
    )
    strays = select(
        archives.c.device_guid,
        literal("").label("device_name"),
        literal(False).label("live"),
        type_coerce(null(), UtcTime()).label("update_time"),
    ).where(archives.c.account_id == account_id, ~has_row)
    return select(union_all(rows, strays).subquery("known"))


def _tenant(row: Row[Any]) -> Tenant:
    release_time = None if row.live else row.update_time
    return Tenant(row.device_guid, row.device_name, row.live, release_time)


def _account(row: Row[Any]) -> Account:
    policy = Policy(
        row.name,
        row.disk_quota_bytes,
        timedelta(seconds=row.delete_delay_seconds),
        timedelta(seconds=row.retention_seconds),
        row.append_only,
    )
    why = why_read_only(
        State(row.state), row.suspend_reason, Attachment(row.attachment), row.hosted
    )
    return Account(policy, why)
