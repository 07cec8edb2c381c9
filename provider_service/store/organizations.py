"""The organizations' rows."""

import unicodedata
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
    and_,
    bindparam,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from archive_gateway.domain.keeping import whole_seconds
from archive_gateway.store.tables import accounts
from provider_service.domain.organization import (
    NOT_HEARD_OF_AFTER,
    Attachment,
    Contact,
    Organization,
    Settings,
    State,
    Terms,
)
from provider_service.domain.quota import DiskQuota
from provider_service.store.tables import former_customers, registration_keys
from provider_service.store.tables import organizations as table
from service_kit.database.engine import Transaction
from service_kit.database.paging import Page, PageRequest, paginate
from service_kit.database.statements import upsert
from service_kit.errors import AlreadyExists, NotFound
from service_kit.reasons import Reason


def name_key(name: str) -> str:
    """What makes two names the same: letters alone, in any case."""
    return unicodedata.normalize("NFC", name).casefold()


def create(tx: Transaction, organization: Organization) -> None:
    """Add a row.

    Raises:
        AlreadyExists: another organization has the id, the name or the customer GUID.
    """
    try:
        with tx.begin_nested():
            tx.execute(insert(table).values(_to_row(organization)))
    except IntegrityError as error:
        raise _taken(organization) from error


def save(tx: Transaction, organization: Organization) -> None:
    """Write a row that was locked in this transaction.

    Raises:
        AlreadyExists: another organization has the name or the customer GUID.
    """
    statement = update(table).where(table.c.id == organization.id)
    try:
        with tx.begin_nested():
            tx.execute(statement.values(_to_row(organization)))
    except IntegrityError as error:
        raise _taken(organization) from error


def refuse_taken(tx: Transaction, organization: Organization) -> None:
    """Say what is taken, customer GUID or name; two writers at once are told by the indexes.

    Raises:
        AlreadyExists: another organization has it.
    """
    settings = organization.settings
    others = (table.c.id != organization.id, table.c.state != State.DEACTIVATED)
    if settings.customer_guid:
        same_guid = table.c.customer_guid == settings.customer_guid
        _refuse_other(tx, Reason.GUID_IN_USE, "customer GUID", (*others, same_guid))
    same_name = table.c.name_key == name_key(settings.name)
    _refuse_other(tx, Reason.ALREADY_EXISTS, "name", (*others, same_name))


def find(tx: Transaction, organization_id: str) -> Organization | None:
    """An organization by id, or None."""
    return _one(tx, select(table).where(table.c.id == organization_id))


def get(tx: Transaction, organization_id: str) -> Organization:
    """An organization by id.

    Raises:
        NotFound: there is none.
    """
    return _found(find(tx, organization_id), organization_id)


def lock(tx: Transaction, organization_id: str) -> Organization:
    """An organization by id, its row held until the transaction ends.

    Raises:
        NotFound: there is none.
    """
    statement = select(table).where(table.c.id == organization_id).with_for_update()
    return _found(_one(tx, statement), organization_id)


def lock_of_customer(tx: Transaction, guid: str) -> Organization | None:
    """The organization of a customer's server, its row held, or None.

    Where a GUID has deactivated organizations too, the one in force is meant, else the last.
    """
    found = _of_customer(tx, _OF_CUSTOMER.with_for_update(), guid)
    return found[0] if found else None


def find_of_customer(tx: Transaction, guid: str) -> Organization | None:
    """`lock_of_customer` for reading alone."""
    found = _of_customer(tx, _OF_CUSTOMER, guid)
    return found[0] if found else None


def remember_former_customer(tx: Transaction, guid: str, organization_id: str) -> None:
    """Keep the GUID of a server that was attached, to tell it that this has ended."""
    statement = upsert(tx, former_customers).values(guid=guid, organization_id=organization_id)
    tx.execute(statement.on_conflict_do_nothing())


def is_former_customer(tx: Transaction, guid: str) -> bool:
    """Whether a server with this GUID was attached before its organization was given another."""
    statement = select(former_customers.c.guid).where(former_customers.c.guid == guid)
    return tx.execute(statement).one_or_none() is not None


def total_seats(tx: Transaction) -> int:
    """Maximum seats of all organizations in force, added up."""
    statement = select(func.coalesce(func.sum(table.c.maximum_seats), 0))
    return int(tx.execute(statement.where(table.c.state != State.DEACTIVATED)).scalar_one())


def count_by_state(tx: Transaction) -> dict[State, int]:
    """How many organizations there are in each state."""
    statement = select(table.c.state, func.count()).group_by(table.c.state)
    none: dict[State, int] = dict.fromkeys(State, 0)
    return none | {State(state): count for state, count in tx.execute(statement)}


def seat_counts(tx: Transaction) -> Sequence[tuple[str, int, int]]:
    """Id, seats in use and maximum seats of every hosted organization in force."""
    statement = select(
        table.c.id, table.c.seats_in_use, func.coalesce(table.c.maximum_seats, 0)
    ).where(table.c.hosted, table.c.state != State.DEACTIVATED)
    return [(id, in_use, maximum) for id, in_use, maximum in tx.execute(statement)]


def license_use(tx: Transaction, page: PageRequest) -> Page[tuple[str, str, int]]:
    """A page of id, name and seats in use, by id."""
    statement = select(table.c.id, table.c.name, table.c.seats_in_use)
    return paginate(
        tx,
        statement,
        keys=[table.c.id],
        page=page,
        build=lambda row: (row.id, row.name, row.seats_in_use),
    )


def mark_rewound(tx: Transaction) -> int:
    """Mark every attachment as rewound with the operator's consent; answers how many."""
    statement = (
        update(table)
        .where(table.c.attachment != Attachment.DETACHED)
        .values(attachment=Attachment.REWOUND, rewound_confirmed=True, resync_parts=0)
    )
    return tx.execute(statement).rowcount


def list_page(
    tx: Transaction,
    page: PageRequest,
    *,
    name: str = "",
    problems_at: datetime | None = None,
    deactivated: bool = False,
) -> Page[Organization]:
    """A page of organizations, by id."""
    statement = select(table)
    if name:
        statement = statement.where(table.c.name_key == name_key(name))
    if not deactivated:
        statement = statement.where(table.c.state != State.DEACTIVATED)
    if problems_at is not None:
        statement = statement.where(has_problem(problems_at))
    return paginate(
        tx,
        statement,
        keys=[table.c.id],
        page=page,
        build=_from_row,
        filter=(name, str(problems_at is not None), str(deactivated)),
    )


def has_problem(now: datetime) -> ColumnElement[bool]:
    """The rules of `domain.organization.problems`, in SQL."""
    expired_key = (
        select(registration_keys.c.id)
        .where(
            registration_keys.c.organization_id == table.c.id,
            registration_keys.c.state != "ended",
            registration_keys.c.expire_time <= now,
        )
        .exists()
    )
    over_quota = (
        select(accounts.c.account_id)
        .where(
            accounts.c.account_id == table.c.id,
            accounts.c.stored_bytes > table.c.disk_quota_bytes,
        )
        .exists()
    )
    return or_(
        over_quota,
        table.c.seats_in_use > func.coalesce(table.c.maximum_seats, 0),
        table.c.attachment.in_([Attachment.CONFLICT, Attachment.REWOUND]),
        and_(
            table.c.attachment != Attachment.DETACHED,
            table.c.last_contact_time < now - NOT_HEARD_OF_AFTER,
        ),
        and_(
            table.c.attachment == Attachment.DETACHED,
            table.c.state != State.DEACTIVATED,
            expired_key,
        ),
    )


_OF_CUSTOMER = select(table).where(table.c.customer_guid == bindparam("guid"))


def _of_customer(
    tx: Transaction, statement: Select[tuple[Any, ...]], guid: str
) -> list[Organization]:
    found = [_from_row(row) for row in tx.execute(statement, {"guid": guid})]
    return sorted(found, key=_in_force_last_made, reverse=True)


def _in_force_last_made(organization: Organization) -> tuple[bool, datetime]:
    return organization.state is not State.DEACTIVATED, organization.create_time


def _one(tx: Transaction, statement: Select[tuple[Any, ...]]) -> Organization | None:
    row = tx.execute(statement).one_or_none()
    return _from_row(row) if row else None


def _found(organization: Organization | None, organization_id: str) -> Organization:
    if organization is None:
        raise NotFound(
            Reason.NOT_FOUND,
            f"There is no organization {organization_id}.",
            "List the organizations and use one of their ids.",
        )
    return organization


def _refuse_other(
    tx: Transaction, reason: Reason, what: str, conditions: Sequence[ColumnElement[bool]]
) -> None:
    other = tx.execute(select(table.c.name).where(*conditions).limit(1)).scalar_one_or_none()
    if other is not None:
        raise AlreadyExists(
            reason,
            f"Organization {other} has this {what}.",
            f"Choose another {what}, or deactivate that organization.",
        )


def _taken(organization: Organization) -> AlreadyExists:
    return AlreadyExists(
        Reason.ALREADY_EXISTS,
        f"Another organization has the name {organization.settings.name}, its GUID or its id.",
        "List the organizations and choose what is free.",
    )


def _to_row(organization: Organization) -> dict[str, object]:
    settings = organization.settings
    quota = settings.disk_quota
    terms = organization.terms
    copied = (
        "id create_time state suspend_reason attachment rewound_confirmed epoch floor session_used "
        "resync_parts position seats_in_use seat_rows attach_time last_contact_time peer_version "
        "last_refused_guid last_refused_time version"
    )
    return {
        **{name: getattr(organization, name) for name in copied.split()},
        "session_nonces": list(organization.session_nonces),
        "peer_addresses": list(organization.peer_addresses),
        "name": settings.name,
        "name_key": name_key(settings.name),
        "hosted": settings.hosted,
        "customer_guid": settings.customer_guid,
        "contact": vars(settings.contact),
        "maximum_seats": settings.maximum_seats,
        "disk_quota_bytes": quota.limit_bytes if quota else None,
        "disk_quota_unlimited": quota is not None and quota.limit_bytes is None,
        "web_restore_user_limit_bytes": settings.web_restore_user_limit_bytes,
        "web_restore_admin_limit_bytes": settings.web_restore_admin_limit_bytes,
        "delete_delay_seconds": whole_seconds(settings.delete_delay),
        "retention_seconds": whole_seconds(settings.retention),
        "append_only": settings.append_only,
        "terms_version": terms.version if terms else "",
        "terms_accept_time": terms.accept_time if terms else None,
    }


def _from_row(row: Row[Any]) -> Organization:
    values = row._asdict()
    quota = None
    if values["disk_quota_unlimited"] or values["disk_quota_bytes"] is not None:
        quota = DiskQuota(values["disk_quota_bytes"])
    settings = Settings(
        name=values["name"],
        hosted=values["hosted"],
        customer_guid=values["customer_guid"],
        contact=Contact(**values["contact"]),
        maximum_seats=values["maximum_seats"],
        disk_quota=quota,
        web_restore_user_limit_bytes=values["web_restore_user_limit_bytes"],
        web_restore_admin_limit_bytes=values["web_restore_admin_limit_bytes"],
        delete_delay=timedelta(seconds=values["delete_delay_seconds"]),
        retention=timedelta(seconds=values["retention_seconds"]),
        append_only=values["append_only"],
    )
    terms = None
    if values["terms_accept_time"] is not None:
        terms = Terms(values["terms_version"], values["terms_accept_time"])
    return Organization(
        id=values["id"],
        settings=settings,
        create_time=values["create_time"],
        terms=terms,
        state=State(values["state"]),
        suspend_reason=values["suspend_reason"],
        attachment=Attachment(values["attachment"]),
        rewound_confirmed=values["rewound_confirmed"],
        epoch=values["epoch"],
        floor=values["floor"],
        session_nonces=tuple(values["session_nonces"]),
        session_used=values["session_used"],
        resync_parts=values["resync_parts"],
        position=values["position"],
        seats_in_use=values["seats_in_use"],
        seat_rows=values["seat_rows"],
        attach_time=values["attach_time"],
        last_contact_time=values["last_contact_time"],
        peer_version=values["peer_version"],
        peer_addresses=tuple(values["peer_addresses"]),
        last_refused_guid=values["last_refused_guid"],
        last_refused_time=values["last_refused_time"],
        version=values["version"],
    )
