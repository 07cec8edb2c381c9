"""Uploads: bytes are promised before they come, and counted once when they are durable."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from archive_gateway.domain import rules
from archive_gateway.domain.names import BlobType
from archive_gateway.domain.rules import MIB, MOST_LOCKS
from archive_gateway.domain.standing import Limit
from archive_gateway.operations import purging, uploads, usage
from archive_gateway.store.blobs import Blob
from archive_gateway.store.tables import archives
from service_kit.errors import (
    LimitReached,
    OffsiteError,
    PermissionDenied,
    Unauthenticated,
    Unavailable,
)
from service_kit.reasons import Reason
from tests.support.archive_ledger import (
    DATA,
    INDEX,
    KEYS,
    LOCKS,
    SNAPSHOTS,
    ArchiveLedger,
    new_name,
)

CONFIG, ESCROW = BlobType.CONFIG, BlobType.ESCROW
SLACK = 256 * MIB


def refusal(ledger: ArchiveLedger, type: BlobType, name: str = "", size: int = 100) -> OffsiteError:
    """Why a blob is not taken."""
    with pytest.raises(OffsiteError) as caught:
        ledger.upload(type, name, size)
    return caught.value


def test_bytes_are_promised_first_and_counted_when_they_are_there(
    archive_ledger: ArchiveLedger,
) -> None:
    upload = archive_ledger.announced(DATA, size=70)
    reservation = archive_ledger.promised(upload)
    assert archive_ledger.bytes() == (0, 70, 0)
    assert archive_ledger.live() == {}
    assert archive_ledger.finish(upload, reservation)
    assert archive_ledger.bytes() == (70, 0, 0)
    assert archive_ledger.usage().uploaded_bytes == 70
    assert archive_ledger.live(DATA) == {upload.name: reservation.nonce}


@pytest.mark.parametrize("written", [False, True])
def test_an_upload_that_came_to_nothing_gives_its_bytes_back(
    archive_ledger: ArchiveLedger, written: bool
) -> None:
    reservation = archive_ledger.promised(archive_ledger.announced(DATA))
    archive_ledger.give_up(reservation, written=written)
    archive_ledger.give_up(reservation, written=written)
    assert archive_ledger.bytes() == (0, 0, 0)
    marked = [each.location.nonce for each in archive_ledger.read(purging.waiting)]
    assert marked == ([reservation.nonce] if written else [])


def test_the_same_again_is_promised_again_and_counted_once(archive_ledger: ArchiveLedger) -> None:
    name = archive_ledger.upload(DATA, size=70)
    before = archive_ledger.live()
    archive_ledger.upload(DATA, name, 70)
    assert archive_ledger.live() == before
    assert archive_ledger.bytes() == (70, 0, 0)


def test_of_two_uploads_of_the_same_one_is_kept(archive_ledger: ArchiveLedger) -> None:
    upload = archive_ledger.announced(DATA, size=70)
    first, second = archive_ledger.promised(upload), archive_ledger.promised(upload)
    assert archive_ledger.bytes() == (0, 140, 0)
    assert archive_ledger.finish(upload, second)
    assert not archive_ledger.finish(upload, first)
    assert archive_ledger.live(DATA) == {upload.name: second.nonce}
    assert archive_ledger.bytes() == (70, 0, 0)
    assert [each.location for each in archive_ledger.sweep()] == [first.location]


def test_a_blob_deleted_while_it_was_sent_again_has_to_be_sent_once_more(
    archive_ledger: ArchiveLedger,
) -> None:
    name = archive_ledger.upload(DATA)
    upload = archive_ledger.announced(DATA, name)
    existing = archive_ledger.begin(upload)
    assert isinstance(existing, Blob)
    archive_ledger.delete(DATA, name)
    with pytest.raises(Unavailable):
        archive_ledger.run(
            uploads.confirm, archive_ledger.company, upload, existing, 1, archive_ledger.later()
        )
    archive_ledger.upload(DATA, name)
    assert set(archive_ledger.live(DATA)) == {name}


def test_a_deleted_blob_comes_back_as_a_copy_of_its_own(archive_ledger: ArchiveLedger) -> None:
    name = archive_ledger.upload(DATA, size=70)
    before = archive_ledger.location(DATA, name)
    archive_ledger.delete(DATA, name)
    archive_ledger.upload(DATA, name, 70)
    assert archive_ledger.location(DATA, name) != before
    assert archive_ledger.bytes() == (70, 0, 70)


def test_config_is_made_once(archive_ledger: ArchiveLedger) -> None:
    upload = archive_ledger.announced(CONFIG)
    first, second = archive_ledger.promised(upload), archive_ledger.promised(upload)
    archive_ledger.finish(upload, first)
    with pytest.raises(PermissionDenied) as caught:
        archive_ledger.finish(upload, second)
    assert caught.value.reason is Reason.ALREADY_EXISTS
    archive_ledger.give_up(second)
    assert refusal(archive_ledger, CONFIG).reason is Reason.ALREADY_EXISTS
    assert archive_ledger.bytes() == (100, 0, 0)


def test_a_quota_is_filled_to_the_byte_and_never_above(archive_ledger: ArchiveLedger) -> None:
    archive_ledger.company.rules(quota_bytes=1000)
    archive_ledger.upload(DATA, size=400)
    upload = archive_ledger.announced(DATA, size=600)
    reservation = archive_ledger.promised(upload)
    error = refusal(archive_ledger, DATA, size=1)
    assert error.reason is Reason.DISK_QUOTA_EXCEEDED
    assert error.message == "Organization disk quota exceeded (1 kB of 1 kB)"
    archive_ledger.give_up(reservation)
    assert refusal(archive_ledger, DATA, size=601).metadata["used_bytes"] == "400"
    archive_ledger.upload(DATA, size=600)
    assert archive_ledger.bytes() == (1000, 0, 0)


def test_a_quota_without_limit_takes_all(archive_ledger: ArchiveLedger) -> None:
    archive_ledger.company.rules(quota_bytes=None)
    archive_ledger.upload(DATA, size=128 * MIB)
    assert archive_ledger.usage().stored_bytes == 128 * MIB


@pytest.mark.parametrize("type", [INDEX, SNAPSHOTS, KEYS])
def test_what_a_prune_writes_may_stand_a_little_above_the_quota(
    archive_ledger: ArchiveLedger, type: BlobType
) -> None:
    archive_ledger.company.rules(quota_bytes=1000)
    archive_ledger.upload(DATA, size=1000)
    archive_ledger.upload(type, size=128 * MIB)
    archive_ledger.upload(type, size=128 * MIB)
    assert refusal(archive_ledger, type, size=1).reason is Reason.DISK_QUOTA_EXCEEDED
    assert archive_ledger.usage().stored_bytes == 1000 + SLACK


def test_index_alone_fills_quota_and_slack_and_no_more(archive_ledger: ArchiveLedger) -> None:
    quota = 100 * MIB
    archive_ledger.company.rules(quota_bytes=quota)
    taken = 0
    while archive_ledger.try_upload(INDEX, size=4 * MIB):
        taken += 1
    assert taken * 4 * MIB == quota + SLACK


def test_a_large_quota_has_a_hundredth_of_slack(archive_ledger: ArchiveLedger) -> None:
    quota = 100_000 * MIB
    assert rules.most_bytes(INDEX, quota, None, archive_ledger.time) == quota + 1000 * MIB


def test_an_allowed_prune_writes_data_and_then_its_index(archive_ledger: ArchiveLedger) -> None:
    """A prune that may write data and no index would be left half done, in a loop."""
    archive_ledger.company.rules(quota_bytes=1000)
    archive_ledger.upload(DATA, size=1000)
    until = archive_ledger.time + rules.PRUNE_ALLOWANCE
    archive_ledger.run(usage.allow_prune, archive_ledger.company, archive_ledger.account_id, until)
    archive_ledger.fill(rules.prune_allowance(1000))
    assert refusal(archive_ledger, DATA, size=1).reason is Reason.DISK_QUOTA_EXCEEDED
    archive_ledger.upload(INDEX, size=128 * MIB)
    archive_ledger.later(rules.PRUNE_ALLOWANCE)
    assert refusal(archive_ledger, INDEX, size=1).reason is Reason.DISK_QUOTA_EXCEEDED


def test_an_allowance_ends(archive_ledger: ArchiveLedger) -> None:
    archive_ledger.company.rules(quota_bytes=1000)
    until = archive_ledger.time + timedelta(hours=1)
    archive_ledger.run(usage.allow_prune, archive_ledger.company, archive_ledger.account_id, until)
    archive_ledger.upload(DATA, size=2000)
    archive_ledger.later(timedelta(hours=1))
    assert refusal(archive_ledger, DATA, size=1).reason is Reason.DISK_QUOTA_EXCEEDED


def test_locks_and_escrow_stand_outside_the_quota(archive_ledger: ArchiveLedger) -> None:
    archive_ledger.company.rules(quota_bytes=0)
    for type, most in ((LOCKS, rules.MOST_LOCK_BYTES), (ESCROW, rules.MOST_ESCROW_BYTES)):
        archive_ledger.upload(type, size=most)
        assert refusal(archive_ledger, type, size=most + 1).reason is Reason.BLOB_REFUSED
    assert archive_ledger.bytes() == (0, 0, 0)
    assert refusal(archive_ledger, DATA, size=1).reason is Reason.DISK_QUOTA_EXCEEDED


def test_a_blob_is_not_larger_than_a_client_ever_makes_it(archive_ledger: ArchiveLedger) -> None:
    archive_ledger.upload(DATA, size=140 * MIB)
    error = refusal(archive_ledger, DATA, size=140 * MIB + 1)
    assert isinstance(error, LimitReached)
    assert error.reason is Reason.BLOB_REFUSED


def test_a_device_has_a_thousand_locks_at_most(archive_ledger: ArchiveLedger) -> None:
    names = archive_ledger.upload_many(LOCKS, MOST_LOCKS)
    error = refusal(archive_ledger, LOCKS)
    assert error.reason is Reason.BLOB_REFUSED
    assert "at most 1000" in error.message
    archive_ledger.upload(LOCKS, names[0])
    other = ArchiveLedger(archive_ledger.database, archive_ledger.company)
    other.upload(LOCKS)
    archive_ledger.delete(LOCKS, names[0])
    archive_ledger.upload(LOCKS)


def test_limits_are_of_the_devices_that_count_in_them(archive_ledger: ArchiveLedger) -> None:
    first = archive_ledger
    second = ArchiveLedger(first.database, first.company)
    third = ArchiveLedger(first.database, first.company)
    both = select(archives.c.device_guid).where(
        archives.c.device_guid.in_([first.device_guid, second.device_guid])
    )
    third.upload(DATA, size=5000)
    first.company.limits = (Limit("User ada@acme.test", 1000, both),)
    first.upload(DATA, size=600)
    second.promised(second.announced(DATA, size=399))
    error = refusal(second, DATA, size=2)
    assert error.message == "User ada@acme.test disk quota exceeded (999 B of 1 kB)"
    assert first.bytes()[1] == second.bytes()[1] - 399 == 0
    second.upload(DATA, size=1)


def test_a_limit_of_the_whole_account_counts_all_devices(archive_ledger: ArchiveLedger) -> None:
    archive_ledger.company.limits = (Limit("Organization Acme", 1000),)
    ArchiveLedger(archive_ledger.database, archive_ledger.company).upload(DATA, size=1000)
    error = refusal(archive_ledger, DATA, size=1)
    assert error.message == "Organization Acme disk quota exceeded (1 kB of 1 kB)"


@pytest.mark.parametrize("generation", [None, 2])
def test_an_upload_whose_seat_ends_or_is_renewed_in_the_middle_is_refused(
    archive_ledger: ArchiveLedger, generation: int | None
) -> None:
    upload = archive_ledger.announced(DATA)
    reservation = archive_ledger.promised(upload)
    archive_ledger.company.generations[archive_ledger.device_guid] = generation
    with pytest.raises(Unauthenticated):
        archive_ledger.finish(upload, reservation)
    archive_ledger.give_up(reservation)
    assert archive_ledger.live() == {}
    assert archive_ledger.bytes() == (0, 0, 0)


def test_a_read_only_account_takes_locks_alone(archive_ledger: ArchiveLedger) -> None:
    upload = archive_ledger.announced(DATA)
    reservation = archive_ledger.promised(upload)
    archive_ledger.company.read_only_ = "suspended: unpaid"
    for type in (DATA, INDEX, SNAPSHOTS, KEYS, CONFIG, ESCROW):
        error = refusal(archive_ledger, type)
        assert error.message == "Read-only: suspended: unpaid"
    with pytest.raises(PermissionDenied):
        archive_ledger.finish(upload, reservation)
    archive_ledger.upload(LOCKS)


def test_an_upload_that_outlived_its_promise_is_refused_and_leaves_no_file(
    archive_ledger: ArchiveLedger,
) -> None:
    """Whoever gave the promise back removed its file before it was there."""
    upload = archive_ledger.announced(DATA)
    reservation = archive_ledger.promised(upload)
    archive_ledger.give_up(reservation)
    assert [each.location for each in archive_ledger.sweep()] == [reservation.location]
    with pytest.raises(Unavailable):
        archive_ledger.finish(upload, reservation)
    archive_ledger.give_up(reservation)
    assert [each.location for each in archive_ledger.sweep()] == [reservation.location]
    assert archive_ledger.bytes() == (0, 0, 0)


def test_a_commit_whose_answer_was_lost_is_not_undone(archive_ledger: ArchiveLedger) -> None:
    upload = archive_ledger.announced(DATA)
    reservation = archive_ledger.promised(upload)
    archive_ledger.finish(upload, reservation)
    archive_ledger.give_up(reservation)
    assert archive_ledger.live(DATA) == {upload.name: reservation.nonce}
    assert archive_ledger.sweep() == []


def test_bytes_that_come_keep_a_promise(archive_ledger: ArchiveLedger) -> None:
    upload = archive_ledger.announced(DATA)
    reservation = archive_ledger.promised(upload)
    archive_ledger.run(uploads.extend, reservation.nonce, archive_ledger.later())
    archive_ledger.finish(upload, reservation)
    with pytest.raises(Unavailable):
        archive_ledger.run(uploads.extend, reservation.nonce, archive_ledger.later())


def test_a_snapshot_that_was_saved_is_a_backup(archive_ledger: ArchiveLedger) -> None:
    archive_ledger.upload(INDEX)
    assert archive_ledger.usage().last_backup_time is None
    archive_ledger.upload(SNAPSHOTS)
    assert archive_ledger.usage().last_backup_time == archive_ledger.time


def test_a_device_is_not_another(archive_ledger: ArchiveLedger) -> None:
    name = new_name()
    archive_ledger.upload(DATA, name)
    other = ArchiveLedger(archive_ledger.database, archive_ledger.company)
    other.upload(DATA, name)
    other.delete(DATA, name)
    assert set(archive_ledger.live()) == {name}
    assert other.live() == {}


def test_a_flood_of_escrow_keeps_no_device_out_for_longer_than_an_hour(
    archive_ledger: ArchiveLedger,
) -> None:
    archive_ledger.upload_many(BlobType.ESCROW, rules.MOST_ESCROW)
    assert refusal(archive_ledger, BlobType.ESCROW).reason is Reason.BLOB_REFUSED
    archive_ledger.later(rules.ESCROW_PERIOD)
    archive_ledger.upload(BlobType.ESCROW)
