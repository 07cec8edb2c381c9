"""Warn once of each threshold that an account passes."""

from collections.abc import Sequence
from datetime import datetime

from archive_gateway.domain.warnings import DISK_QUOTA, SEATS, UsageWarning, Use, warnings
from archive_gateway.store import archives
from archive_gateway.store.archives import Account
from archive_gateway.tenancy import Tenancy
from service_kit.database.engine import Transaction
from service_kit.database.paging import Page, PageRequest
from service_kit.ledger import audit


def to_look_at(tx: Transaction, tenancy: Tenancy, page: PageRequest) -> Page[str]:
    """Those of a page of accounts of which something else is to be told than was told last.

    Reads alone, so that a look at all accounts keeps no writer waiting.
    """
    found = tenancy.accounts(tx, page)
    changed = [each for each in found.items if _changes(tx, tenancy, each)]
    return Page(changed, found.next_page_token)


def warn(
    tx: Transaction, tenancy: Tenancy, account_id: str, now: datetime
) -> Sequence[UsageWarning]:
    """Record what an account has passed since the last time, each once; answers it for the log.

    Where less is used again, that is remembered: to pass the threshold anew is told anew.

    Raises:
        NotFound: there is no such account.
    """
    account = archives.lock_account(tx, account_id)
    told = _told(account)
    found = _present(tx, tenancy, account)
    new = [each for each in found if each.percent > told[each.resource]]
    percent = {each.resource: each.percent for each in found}
    archives.set_warned(tx, account_id, percent.get(DISK_QUOTA, 0), percent.get(SEATS, 0))
    entries = [
        audit.Entry("usage.warning", account_id, each.resource, each.message, actor="server")
        for each in new
    ]
    audit.record_all(tx, entries, now)
    return new


def _changes(tx: Transaction, tenancy: Tenancy, account_id: str) -> bool:
    account = archives.get_account(tx, account_id)
    percent = {each.resource: each.percent for each in _present(tx, tenancy, account)}
    return {DISK_QUOTA: 0, SEATS: 0, **percent} != _told(account)


def _present(tx: Transaction, tenancy: Tenancy, account: Account) -> Sequence[UsageWarning]:
    quota = tenancy.policy(tx, account.account_id).quota_bytes
    in_use, most = tenancy.seats(tx, account.account_id)
    return warnings(Use(account.stored_bytes, quota, in_use, most))


def _told(account: Account) -> dict[str, int]:
    return {DISK_QUOTA: account.warned_quota_percent, SEATS: account.warned_seats_percent}
