"""Grants: someone may read one device's archive for a while, without a seat."""

import uuid
from datetime import datetime, timedelta

from archive_gateway.domain.names import ArchiveId
from archive_gateway.store import grants as store
from archive_gateway.store.grants import Grant
from archive_gateway.tenancy import Tenancy
from service_kit.database.engine import Transaction
from service_kit.database.paging import Page, PageRequest
from service_kit.errors import FieldViolation, InvalidArgument, NotFound
from service_kit.ledger import audit
from service_kit.ledger.actor import actor
from service_kit.reasons import Reason

DEFAULT_LIFETIME = timedelta(hours=24)
LONGEST_LIFETIME = timedelta(days=30)


def lifetime(field: str, seconds: int) -> timedelta:
    """How long a grant lives; 0 means 24 hours.

    Raises:
        InvalidArgument: it is negative, or longer than 30 days.
    """
    if not 0 <= seconds <= LONGEST_LIFETIME.total_seconds():
        raise InvalidArgument([FieldViolation(field, "must be at most 30 days")])
    return timedelta(seconds=seconds) if seconds else DEFAULT_LIFETIME


def create(
    tx: Transaction, tenancy: Tenancy, archive: ArchiveId, life: timedelta, now: datetime
) -> Grant:
    """Grant reading one device's archive.

    Raises:
        NotFound: account or device is unknown.
    """
    if not tenancy.tenants(tx, archive.account_id, [archive.device_guid]):
        raise NotFound(
            Reason.NOT_FOUND,
            f"No device {archive.device_guid} is known there.",
            "List the devices with their usage: usage show.",
        )
    grant = Grant(str(uuid.uuid4()), archive, actor.get(), now, now + life)
    store.add(tx, grant)
    audit.record(
        tx,
        "archive.granted",
        organization_id=archive.account_id,
        subject=archive.device_guid,
        detail=f"Reading, until {grant.expire_time:%Y-%m-%d %H:%M} UTC. Grant {grant.id}.",
        now=now,
    )
    return grant


def revoke(tx: Transaction, grant_id: str, now: datetime) -> None:
    """End a grant. A repeat changes nothing.

    Raises:
        NotFound: there is no such grant in force.
    """
    grant = store.find(tx, grant_id, now)
    if grant is None:
        raise NotFound(
            Reason.NOT_FOUND,
            "No such grant of this server is in force.",
            "See: archive grants. One of a provider ends by its time, or by that operator.",
        )
    store.revoke(tx, grant_id, now)
    audit.record(
        tx,
        "archive.grant_revoked",
        organization_id=grant.archive.account_id,
        subject=grant.archive.device_guid,
        detail=f"Grant {grant.id}.",
        now=now,
    )


def list_page(
    tx: Transaction, tenancy: Tenancy, account_id: str, page: PageRequest, now: datetime
) -> Page[Grant]:
    """A page of an account's grants in force.

    Raises:
        NotFound: there is no such account.
    """
    tenancy.policy(tx, account_id)
    return store.list_page(tx, account_id, page, now)
