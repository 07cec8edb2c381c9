"""What an attached customer's server may know of, and do with, its organization's archives."""

from datetime import datetime, timedelta

from archive_gateway.domain.names import ArchiveId
from archive_gateway.operations import grants, usage
from archive_gateway.operations.usage import AccountUsage
from archive_gateway.store.grants import Grant
from archive_gateway.tenancy import Tenancy
from provider_service.operations import sessions
from service_kit.database.engine import Transaction


def usage_of(tx: Transaction, tenancy: Tenancy, guid: str) -> AccountUsage:
    """What the caller's organization uses of what it may.

    Raises:
        Conflict: the attachment has ended, or never was.
    """
    return usage.of_organization(tx, tenancy, sessions.find_attached(tx, guid).id)


def grant(
    tx: Transaction, tenancy: Tenancy, guid: str, device_guid: str, life: timedelta, now: datetime
) -> Grant:
    """Grant reading the archive of one of the caller's devices; it needs no seat.

    Raises:
        Conflict: the attachment has ended, or never was.
        NotFound: the device has neither a seat's row nor an archive.
    """
    archive = ArchiveId(sessions.find_attached(tx, guid).id, device_guid)
    return grants.create(tx, tenancy, archive, life, now)
