"""Undelete: repositories become what they were at a time."""

import uuid
from datetime import timedelta

import pytest
from sqlalchemy import update

from archive_gateway.domain.names import BlobType
from archive_gateway.operations import undelete, uploads
from archive_gateway.operations.undelete import Undeleted
from archive_gateway.store import blobs
from archive_gateway.store.tables import blobs as table
from service_kit.database.paging import PageRequest
from service_kit.errors import InvalidArgument, NotFound
from service_kit.ledger import audit
from service_kit.ledger.audit import AuditFilter
from tests.support.archive_ledger import (
    DATA,
    DAY,
    INDEX,
    KEYS,
    LOCKS,
    SNAPSHOTS,
    ArchiveLedger,
    new_name,
)

CONFIG, ESCROW = BlobType.CONFIG, BlobType.ESCROW
KEPT = (DATA, INDEX, SNAPSHOTS, KEYS, CONFIG)


def test_a_repository_becomes_what_it_was(archive_ledger: ArchiveLedger) -> None:
    """As after a thief with the device's credential."""
    for type in (*KEPT, DATA, DATA):
        archive_ledger.upload(type, size=50)
    before, then = archive_ledger.live(), archive_ledger.later()
    for type in KEPT:
        for name in archive_ledger.live(type):
            archive_ledger.delete(type, name)
    for type in KEPT:
        archive_ledger.upload(type, size=30)
    done = archive_ledger.undelete(then)
    assert done == Undeleted(1, 7, 350, 5, 150)
    assert archive_ledger.live() == before
    assert archive_ledger.bytes() == (350, 0, 150)


def test_config_has_versions(archive_ledger: ArchiveLedger) -> None:
    times, versions = [], []
    for _ in range(3):
        archive_ledger.upload(CONFIG)
        versions.append(archive_ledger.live(CONFIG))
        times.append(archive_ledger.later())
        archive_ledger.delete(CONFIG)
    for time, version in [*zip(times, versions, strict=True)][::-1]:
        archive_ledger.undelete(time)
        assert archive_ledger.live(CONFIG) == version


def test_it_can_be_undone_and_done_again_to_other_times(archive_ledger: ArchiveLedger) -> None:
    """Each time stays reachable, also those before and between earlier undeletes."""
    found = {archive_ledger.later(): archive_ledger.live()}
    names = [archive_ledger.upload(DATA) for _ in range(3)]
    for name in names:
        found[archive_ledger.later()] = archive_ledger.live()
        archive_ledger.delete(DATA, name)
        archive_ledger.upload(INDEX)
    found[archive_ledger.later()] = archive_ledger.live()
    times = list(found)
    for time in (*times, *times[::-1], times[1], times[3], times[0], times[2]):
        archive_ledger.undelete(time)
        assert archive_ledger.live() == found[time]
        found[archive_ledger.later()] = archive_ledger.live()
        archive_ledger.check()
    for time, live in found.items():
        archive_ledger.undelete(time)
        assert archive_ledger.live() == live


def test_a_repeat_changes_nothing(archive_ledger: ArchiveLedger) -> None:
    archive_ledger.delete(DATA, archive_ledger.upload(DATA))
    archive_ledger.upload(INDEX)
    then = archive_ledger.time - DAY
    archive_ledger.undelete(then)
    before = archive_ledger.live(), archive_ledger.bytes()
    assert archive_ledger.undelete(then) == Undeleted()
    assert (archive_ledger.live(), archive_ledger.bytes()) == before


def test_it_succeeds_above_the_quota(archive_ledger: ArchiveLedger) -> None:
    archive_ledger.company.rules(quota_bytes=100)
    name = archive_ledger.upload(DATA, size=100)
    then = archive_ledger.later()
    archive_ledger.delete(DATA, name)
    archive_ledger.upload(DATA, size=100)
    archive_ledger.company.rules(quota_bytes=10)
    archive_ledger.undelete(then)
    assert set(archive_ledger.live()) == {name}
    assert archive_ledger.bytes() == (100, 0, 100)
    assert not archive_ledger.try_upload(DATA, size=1)


def test_it_succeeds_above_the_cap_of_what_is_kept(archive_ledger: ArchiveLedger) -> None:
    then = archive_ledger.later()
    archive_ledger.upload(DATA, size=500)
    archive_ledger.company.rules(quota_bytes=10)
    archive_ledger.undelete(then)
    assert archive_ledger.bytes() == (0, 0, 500)


def test_it_succeeds_where_nothing_may_be_written(archive_ledger: ArchiveLedger) -> None:
    name = archive_ledger.upload(DATA)
    then = archive_ledger.later()
    archive_ledger.delete(DATA, name)
    archive_ledger.company.read_only_ = "suspended"
    archive_ledger.company.generations[archive_ledger.device_guid] = None
    archive_ledger.undelete(then)
    assert set(archive_ledger.live()) == {name}


def test_a_name_sent_again_meanwhile_is_no_conflict(archive_ledger: ArchiveLedger) -> None:
    name = archive_ledger.upload(DATA)
    before, then = archive_ledger.live(), archive_ledger.later()
    for _ in range(2):
        archive_ledger.delete(DATA, name)
        archive_ledger.upload(DATA, name)
    archive_ledger.undelete(then)
    assert archive_ledger.live() == before
    archive_ledger.delete(DATA, name)
    archive_ledger.undelete(archive_ledger.time - timedelta(milliseconds=1))
    assert archive_ledger.live() == before


def test_it_succeeds_where_clocks_differed(archive_ledger: ArchiveLedger) -> None:
    """Two copies of a name seem to have been there at once: the later one is taken."""
    name = archive_ledger.upload(DATA)
    for _ in range(2):
        archive_ledger.delete(DATA, name)
        archive_ledger.upload(DATA, name)
    last = archive_ledger.live()
    begin = archive_ledger.time - DAY
    archive_ledger.run(lambda tx: tx.execute(update(table).values(live_time=begin)))
    archive_ledger.undelete(begin)
    assert archive_ledger.live() == last
    archive_ledger.delete(DATA, name)
    archive_ledger.undelete(begin)
    assert archive_ledger.live() == last
    archive_ledger.check()


def test_locks_and_escrow_stay_as_they_are(archive_ledger: ArchiveLedger) -> None:
    gone = archive_ledger.upload(LOCKS)
    then = archive_ledger.later()
    archive_ledger.delete(LOCKS, gone)
    stay = {archive_ledger.upload(LOCKS), archive_ledger.upload(ESCROW)}
    archive_ledger.undelete(then)
    assert set(archive_ledger.live()) == stay


def test_what_was_purged_is_lost(archive_ledger: ArchiveLedger) -> None:
    archive_ledger.company.rules(delete_delay=timedelta(0))
    name = archive_ledger.upload(DATA)
    then = archive_ledger.later()
    archive_ledger.delete(DATA, name)
    purged = archive_ledger.time
    done = archive_ledger.undelete(then)
    assert (done.restored_blobs, done.lost_blobs, done.purge_time) == (0, 1, purged)
    archive_ledger.sweep()
    assert archive_ledger.undelete(then) == Undeleted(purge_time=purged)
    assert archive_ledger.undelete(purged) == Undeleted()
    assert archive_ledger.live() == {}


def test_what_was_set_aside_is_lost_unless_it_was_sent_again(
    archive_ledger: ArchiveLedger,
) -> None:
    """The same name is the same content, so a copy sent later is as good."""
    names = [archive_ledger.upload(DATA) for _ in range(2)]
    then = archive_ledger.later()
    for name in names:
        blob = archive_ledger.read(blobs.find_live, archive_ledger.archive, DATA, name)
        assert blob is not None
        archive_ledger.run(uploads.set_aside, blob, "rotten", archive_ledger.later())
    archive_ledger.upload(DATA, names[0])
    archive_ledger.upload(INDEX)
    done = archive_ledger.undelete(then)
    assert (done.deleted_blobs, done.lost_blobs) == (1, 1)
    assert set(archive_ledger.live()) == {names[0]}


def test_one_device_or_all(archive_ledger: ArchiveLedger) -> None:
    others = [ArchiveLedger(archive_ledger.database, archive_ledger.company) for _ in range(2)]
    all_ = [archive_ledger, *others]
    names = [each.upload(DATA) for each in all_]
    then = max(each.later() for each in all_)
    for each, name in zip(all_, names, strict=True):
        each.later()
        each.delete(DATA, name)
    archive_ledger.undelete(then)
    assert [len(each.live()) for each in all_] == [1, 0, 0]
    done = archive_ledger.undelete(then, whole_account=True)
    assert (done.devices, done.restored_blobs) == (2, 2)
    assert [len(each.live()) for each in all_] == [1, 1, 1]


def test_a_look_changes_nothing(archive_ledger: ArchiveLedger) -> None:
    name = archive_ledger.upload(DATA)
    then = archive_ledger.later()
    archive_ledger.delete(DATA, name)
    account_id, now = archive_ledger.account_id, archive_ledger.later()
    done = archive_ledger.database.preview_sync(
        undelete.undelete, archive_ledger.company, account_id, "", then, now
    )
    assert done == Undeleted(1, 1, 100)
    assert archive_ledger.live() == {}


def test_a_delete_on_its_way_does_not_take_what_came_back(archive_ledger: ArchiveLedger) -> None:
    name = archive_ledger.upload(DATA)
    then = archive_ledger.later()
    archive_ledger.delete(DATA, name)
    arrived = archive_ledger.later()
    archive_ledger.undelete(then)
    archive_ledger.delete(DATA, name, arrived)
    assert set(archive_ledger.live()) == {name}


def test_it_leads_to_the_past_of_an_account_that_there_is(archive_ledger: ArchiveLedger) -> None:
    with pytest.raises(InvalidArgument):
        archive_ledger.undelete(archive_ledger.time + DAY)
    now, then = archive_ledger.later(), archive_ledger.time - DAY
    with pytest.raises(NotFound):
        archive_ledger.run(
            undelete.undelete, archive_ledger.company, str(uuid.uuid4()), "", then, now
        )


def test_it_is_in_the_audit_trail(archive_ledger: ArchiveLedger) -> None:
    archive_ledger.delete(DATA, archive_ledger.upload(DATA))
    archive_ledger.undelete(archive_ledger.time - DAY)
    page = archive_ledger.read(audit.list_events, AuditFilter(), PageRequest())
    assert [each.kind for each in page.items] == ["archive.undeleted"]
    assert page.items[0].organization_id == archive_ledger.account_id


def test_a_blob_of_before_the_time_stays_whatever_its_copies_did(
    archive_ledger: ArchiveLedger,
) -> None:
    """A copy that came to nothing was never part of the repository."""
    name = new_name()
    upload = archive_ledger.announced(DATA, name)
    first, second = archive_ledger.promised(upload), archive_ledger.promised(upload)
    archive_ledger.finish(upload, first)
    archive_ledger.finish(upload, second)
    kept = archive_ledger.live()
    then = archive_ledger.later()
    archive_ledger.upload(DATA)
    assert archive_ledger.undelete(then).lost_blobs == 0
    assert archive_ledger.live() == kept
