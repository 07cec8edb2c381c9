"""How much is used, and who is told of it."""

import uuid
from dataclasses import replace
from datetime import timedelta

import pytest

from archive_gateway.domain.names import ArchiveId
from archive_gateway.domain.standing import Limit, Standing
from archive_gateway.operations import holding, reports, undelete, uploads, usage, warn
from archive_gateway.operations.usage import AccountArchive
from archive_gateway.store import archives, blobs
from service_kit.database.engine import Transaction
from service_kit.database.paging import PageRequest
from service_kit.errors import NotFound
from service_kit.ledger import audit
from service_kit.ledger.audit import AuditFilter
from tests.support.archive_ledger import DATA, DAY, LOCKS, SNAPSHOTS, ArchiveLedger
from tests.support.archives import Company


def shown(ledger: ArchiveLedger) -> AccountArchive:
    return ledger.read(usage.archive_of, ledger.company, ledger.account_id)


def report(ledger: ArchiveLedger) -> dict[str, object]:
    return ledger.read(reports.of_device, ledger.company, ledger.archive)


def warned(ledger: ArchiveLedger) -> list[tuple[str, int]]:
    """What is told now."""
    page = ledger.read(warn.to_look_at, ledger.company, PageRequest())
    if not page.items:
        return []
    told = ledger.run(warn.warn, ledger.company, ledger.account_id, ledger.later())
    return [(each.resource, each.percent) for each in told]


def test_an_accounts_usage_is_the_sum_of_its_devices(archive_ledger: ArchiveLedger) -> None:
    other = ArchiveLedger(archive_ledger.database, archive_ledger.company)
    archive_ledger.upload(DATA, size=70)
    other.upload(SNAPSHOTS, size=20)
    archive_ledger.delete(DATA, archive_ledger.upload(DATA, size=5))
    other.promised(other.announced(DATA, size=3))
    archive_ledger.run(archives.add_downloaded, other.archive, 11)
    found = archive_ledger.read(
        usage.of_organization, archive_ledger.company, archive_ledger.account_id
    )
    all_ = found.archive
    assert (all_.stored_bytes, all_.reserved_bytes, all_.kept_bytes) == (90, 3, 5)
    assert (all_.uploaded_bytes, all_.downloaded_bytes) == (95, 11)
    assert all_.last_backup_time == other.usage().last_backup_time is not None
    assert (found.seats_in_use, found.maximum_seats) == (2, 10)
    page = archive_ledger.read(usage.list_page, archive_ledger.company, PageRequest())
    assert page.items == [found]


def test_an_account_without_an_archive_uses_nothing(archive_ledger: ArchiveLedger) -> None:
    found = shown(archive_ledger)
    assert found.usage.archive.stored_bytes == 0
    assert not found.full
    assert report(archive_ledger)["state"] == "active"
    with pytest.raises(NotFound):
        archive_ledger.read(usage.archive_of, archive_ledger.company, str(uuid.uuid4()))


def test_what_is_used_up_is_warned_of_once(archive_ledger: ArchiveLedger) -> None:
    archive_ledger.company.rules(quota_bytes=1000)
    archive_ledger.company.maximum_seats = 100
    archive_ledger.upload(DATA, size=799)
    assert warned(archive_ledger) == []
    archive_ledger.upload(DATA, size=1)
    assert warned(archive_ledger) == [("disk quota", 80)]
    assert warned(archive_ledger) == []
    archive_ledger.upload(DATA, size=200)
    assert warned(archive_ledger) == [("disk quota", 100)]
    assert warned(archive_ledger) == []


def test_and_again_once_it_was_less(archive_ledger: ArchiveLedger) -> None:
    archive_ledger.company.rules(quota_bytes=1000)
    archive_ledger.company.rules(delete_delay=timedelta(0))
    for _ in range(2):
        name = archive_ledger.upload(DATA, size=950)
        assert warned(archive_ledger) == [("disk quota", 90)]
        archive_ledger.delete(DATA, name)
        assert warned(archive_ledger) == []


def test_seats_are_warned_of_too(archive_ledger: ArchiveLedger) -> None:
    for _ in range(9):
        archive_ledger.company.device()
    assert warned(archive_ledger) == [("seats", 100)]
    page = archive_ledger.read(audit.list_events, AuditFilter(), PageRequest())
    assert [(each.kind, each.subject) for each in page.items] == [("usage.warning", "seats")]
    assert "10 of 10" in page.items[0].detail


def test_no_limit_no_warning(archive_ledger: ArchiveLedger) -> None:
    archive_ledger.company.rules(quota_bytes=None)
    archive_ledger.company.maximum_seats = None
    archive_ledger.upload(DATA, size=1 << 27)
    assert warned(archive_ledger) == []


def test_devices_are_listed_with_what_they_use(archive_ledger: ArchiveLedger) -> None:
    archive_ledger.upload(DATA, size=70)
    never = archive_ledger.company.device()
    gone = archive_ledger.company.device(None)
    archive_ledger.company.released[gone] = archive_ledger.time
    page = archive_ledger.read(
        *(usage.list_devices, archive_ledger.company, archive_ledger.account_id),
        *(PageRequest(), None),
    )
    found = {each.tenant.device_guid: each for each in page.items}
    assert found[archive_ledger.device_guid].archive.stored_bytes == 70
    assert found[never].archive.stored_bytes == 0
    assert found[never].archive_end_time is None
    assert found[gone].archive_end_time == archive_ledger.time + timedelta(days=90)


def test_devices_without_a_backup_for_long_are_found(archive_ledger: ArchiveLedger) -> None:
    never = archive_ledger.company.device()
    archive_ledger.company.device(None)
    archive_ledger.time += 30 * 365 * DAY  # what is idle is compared with the real clock
    archive_ledger.upload(SNAPSHOTS)

    def idle(since: timedelta) -> set[str]:
        page = archive_ledger.read(
            *(usage.list_devices, archive_ledger.company, archive_ledger.account_id),
            *(PageRequest(), since),
        )
        return {each.tenant.device_guid for each in page.items}

    assert idle(7 * DAY) == {never}
    assert idle(-100 * 365 * DAY) == {never, archive_ledger.device_guid}


def test_a_device_is_told_how_it_stands(archive_ledger: ArchiveLedger) -> None:
    archive_ledger.company.rules(quota_bytes=100, append_only=True)
    archive_ledger.upload(SNAPSHOTS, size=60)
    ArchiveLedger(archive_ledger.database, archive_ledger.company).upload(DATA, size=39)
    archive_ledger.upload(LOCKS)
    last = archive_ledger.usage().last_backup_time
    assert last is not None
    expected = {
        "state": "active",
        "reason": "",
        "stored_bytes": 60,
        "kept_bytes": 0,
        "last_backup_time": last.isoformat(),
        "organization_stored_bytes": 99,
        "quota_bytes": 100,
        "quota_left_bytes": 1,
        "append_only": True,
    }
    assert report(archive_ledger).items() >= expected.items()
    archive_ledger.upload(DATA, size=1)
    assert report(archive_ledger)["state"] == "full"
    archive_ledger.company.read_only_ = "suspended"
    assert report(archive_ledger)["state"] == "read-only"
    assert report(archive_ledger)["reason"] == "suspended"


class Blocked(Company):
    """A company that has one device blocked, and no other."""

    blocked = ""

    def standing(self, tx: Transaction, archive: ArchiveId) -> Standing | None:
        found = super().standing(tx, archive)
        if found is None or archive.device_guid != self.blocked:
            return found
        return replace(found, read_only="the user is blocked")


def test_a_device_that_is_blocked_alone_is_told_so(archive_ledger: ArchiveLedger) -> None:
    company = Blocked()
    blocked, other = (ArchiveLedger(archive_ledger.database, company) for _ in range(2))
    company.blocked = blocked.device_guid
    found = report(blocked)
    assert (found["state"], found["reason"]) == ("read-only", "the user is blocked")
    assert report(other)["state"] == "active"


def test_limits_of_some_devices_are_not_the_accounts(archive_ledger: ArchiveLedger) -> None:
    archive_ledger.company.limits = (Limit("User", 10**6),)
    archive_ledger.upload(DATA, size=100)
    assert not shown(archive_ledger).full


def test_what_an_operator_sees_of_an_archive(archive_ledger: ArchiveLedger) -> None:
    archive_ledger.company.rules(quota_bytes=100)
    name = archive_ledger.upload(DATA, size=100)
    assert shown(archive_ledger).full
    archive_ledger.run(holding.hold)
    blob = archive_ledger.read(blobs.find_live, archive_ledger.archive, DATA, name)
    assert blob is not None
    archive_ledger.run(uploads.set_aside, blob, "rotten", archive_ledger.later())
    archive_ledger.company.read_only_ = "suspended"
    found = shown(archive_ledger)
    assert (found.full, found.purges_held, found.quarantined_blobs) == (False, True, 1)
    assert found.read_only == "suspended"
    assert found.prune_allowance_expire_time is None


def test_an_undelete_above_the_quota_is_warned_of(archive_ledger: ArchiveLedger) -> None:
    archive_ledger.company.rules(quota_bytes=1000)
    archive_ledger.upload(DATA, size=1000)
    then = archive_ledger.later()
    archive_ledger.delete(DATA, next(iter(archive_ledger.live())))
    archive_ledger.run(
        *(undelete.undelete, archive_ledger.company, archive_ledger.account_id, ""),
        *(then, archive_ledger.later()),
    )
    assert warned(archive_ledger) == [("disk quota", 100)]
