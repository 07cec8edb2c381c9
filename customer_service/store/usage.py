"""What archives on this server hold, added up for people and organizations."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, select

from archive_gateway.domain.usage import ArchiveUsage
from archive_gateway.store.tables import archives
from archive_gateway.store.totals import SUMS, from_row
from customer_service.store.tables import devices, organizations, users
from service_kit.database.chunks import chunks
from service_kit.database.engine import Transaction


def by_organization(tx: Transaction, organization_ids: Sequence[str]) -> Mapping[str, ArchiveUsage]:
    """The usage of each of these organizations with all below it, where there is any."""
    found: dict[str, ArchiveUsage] = {}
    for some in chunks(organization_ids):
        top, id = organizations.c.id.label("top"), organizations.c.id.label("id")
        below = select(top, id).where(organizations.c.id.in_(some)).cte("below", recursive=True)
        step = select(below.c.top, organizations.c.id)
        below = below.union_all(step.join(below, organizations.c.parent_id == below.c.id))
        statement = (
            select(below.c.top, *SUMS)
            .select_from(below)
            .join(users, users.c.organization_id == below.c.id)
            .join(devices, devices.c.user_id == users.c.id)
            .join(archives, _of_device())
            .group_by(below.c.top)
        )
        found.update((row.top, from_row(row)) for row in tx.execute(statement))
    return found


def by_user(tx: Transaction, user_ids: Sequence[str]) -> Mapping[str, ArchiveUsage]:
    """The usage of each of these users' devices, where there is any."""
    found: dict[str, ArchiveUsage] = {}
    for some in chunks(user_ids):
        statement = (
            select(devices.c.user_id, *SUMS)
            .select_from(devices)
            .join(archives, _of_device())
            .where(devices.c.user_id.in_(some))
            .group_by(devices.c.user_id)
        )
        found.update((row.user_id, from_row(row)) for row in tx.execute(statement))
    return found


def _of_device() -> ColumnElement[Any]:
    """An archive of a device: all archives here are the root organization's."""
    root = select(organizations.c.id).where(organizations.c.parent_id.is_(None))
    return (archives.c.account_id == root.scalar_subquery()) & (
        archives.c.device_guid == devices.c.id
    )
