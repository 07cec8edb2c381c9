"""How much of what it may use an account uses, and each of its devices."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from archive_gateway.domain.names import ArchiveId
from archive_gateway.domain.standing import Policy, Tenant
from archive_gateway.domain.usage import NOTHING, ArchiveUsage
from archive_gateway.domain.warnings import UsageWarning, Use, warnings
from archive_gateway.operations import holding
from archive_gateway.store import archives, blobs, totals
from archive_gateway.store import usage as store
from archive_gateway.tenancy import Tenancy
from service_kit.clock import now
from service_kit.database.engine import Transaction
from service_kit.database.paging import Page, PageRequest
from service_kit.ledger import audit


@dataclass(frozen=True)
class AccountUsage:
    """An account's usage; `maximum_seats` is None where only the license limits them."""

    account_id: str
    policy: Policy
    archive: ArchiveUsage
    seats_in_use: int
    maximum_seats: int | None

    @property
    def warnings(self) -> Sequence[UsageWarning]:
        """What is nearly or wholly used up."""
        stored, quota = self.archive.stored_bytes, self.policy.quota_bytes
        return warnings(Use(stored, quota, self.seats_in_use, self.maximum_seats))


@dataclass(frozen=True)
class DeviceUsage:
    """A device's usage; `archive_end_time` is when its archive is removed, as it has no seat."""

    tenant: Tenant
    archive: ArchiveUsage
    archive_end_time: datetime | None


@dataclass(frozen=True)
class AccountArchive:
    """All that is to be known of an account's archive."""

    usage: AccountUsage
    read_only: str
    full: bool
    prune_allowance_expire_time: datetime | None
    purges_held: bool
    quarantined_blobs: int


def of_organization(tx: Transaction, tenancy: Tenancy, account_id: str) -> AccountUsage:
    """An account's usage.

    Raises:
        NotFound: there is no such account.
    """
    return _of(tx, tenancy, account_id, store.of_account(tx, account_id))


def archive_of(tx: Transaction, tenancy: Tenancy, account_id: str) -> AccountArchive:
    """An account's archive, with its rules and allowances.

    Raises:
        NotFound: there is no such account.
    """
    usage = of_organization(tx, tenancy, account_id)
    account = archives.get_account(tx, account_id)
    quota = usage.policy.quota_bytes
    ends = account.prune_allowance_expire_time
    return AccountArchive(
        usage,
        tenancy.read_only(tx, account_id),
        quota is not None and account.used_bytes >= quota,
        ends if ends is not None and ends > now() else None,
        holding.held(tx),
        blobs.count_quarantined(tx, account_id),
    )


def list_page(tx: Transaction, tenancy: Tenancy, page: PageRequest) -> Page[AccountUsage]:
    """A page of accounts, by id."""
    found = tenancy.accounts(tx, page)
    used = totals.of_accounts(tx, found.items)
    items = [_of(tx, tenancy, each, used.get(each, NOTHING)) for each in found.items]
    return Page(items, found.next_page_token)


def list_devices(
    tx: Transaction, tenancy: Tenancy, account_id: str, page: PageRequest, idle: timedelta | None
) -> Page[DeviceUsage]:
    """A page of an account's devices, by GUID.

    With `idle`, only those that hold a seat and have saved no snapshot for so long; a page may
    then have few, or none, and others follow.

    Raises:
        NotFound: there is no such account.
    """
    policy = tenancy.policy(tx, account_id)
    found = tenancy.devices(tx, account_id, page)
    used = store.of_devices(tx, account_id, [each.device_guid for each in found.items])
    items = [
        DeviceUsage(each, used.get(each.device_guid, NOTHING), _end(each, policy))
        for each in found.items
    ]
    if idle is not None:
        since = now() - idle
        items = [each for each in items if _is_idle(each, since)]
    return Page(items, found.next_page_token)


def of_device(tx: Transaction, archive: ArchiveId) -> ArchiveUsage:
    """One device's usage."""
    return store.of_archive(tx, archive)


def allow_prune(tx: Transaction, tenancy: Tenancy, account_id: str, until: datetime) -> Policy:
    """Let a full account write what a prune needs, until a time.

    Raises:
        NotFound: there is no such account.
    """
    policy = tenancy.policy(tx, account_id)
    archives.lock_account(tx, account_id)
    archives.allow_prune(tx, account_id, until)
    audit.record(
        tx,
        "archive.prune_allowed",
        organization_id=account_id,
        detail=f"Until {until:%Y-%m-%d %H:%M} UTC.",
        now=now(),
    )
    return policy


def _of(tx: Transaction, tenancy: Tenancy, account_id: str, used: ArchiveUsage) -> AccountUsage:
    policy = tenancy.policy(tx, account_id)
    return AccountUsage(account_id, policy, used, *tenancy.seats(tx, account_id))


def _end(tenant: Tenant, policy: Policy) -> datetime | None:
    released = tenant.release_time
    return released + policy.retention if released is not None and not tenant.holds_seat else None


def _is_idle(usage: DeviceUsage, since: datetime) -> bool:
    last = usage.archive.last_backup_time
    return usage.tenant.holds_seat and (last is None or last < since)
