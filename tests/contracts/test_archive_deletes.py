"""Deletes: what goes out of a repository is kept for a while."""

from datetime import timedelta

import pytest

from archive_gateway.domain.names import BlobType
from archive_gateway.operations import uploads
from archive_gateway.store.blobs import Blob
from service_kit.errors import LimitReached, OffsiteError, PermissionDenied, Unauthenticated
from service_kit.reasons import Reason
from tests.support.archive_ledger import (
    DATA,
    INDEX,
    KEYS,
    LOCKS,
    SECOND,
    SNAPSHOTS,
    ArchiveLedger,
    new_name,
)

CONFIG, ESCROW = BlobType.CONFIG, BlobType.ESCROW
KEPT = (DATA, INDEX, SNAPSHOTS, KEYS, CONFIG)


def refusal(ledger: ArchiveLedger, type: BlobType, name: str) -> OffsiteError:
    """Why a blob is not deleted."""
    with pytest.raises(OffsiteError) as caught:
        ledger.delete(type, name)
    assert name in ledger.live(type)
    return caught.value


@pytest.mark.parametrize("type", KEPT)
def test_what_is_deleted_leaves_the_quota_and_is_kept(
    archive_ledger: ArchiveLedger, type: BlobType
) -> None:
    name = archive_ledger.upload(type, size=70)
    assert not archive_ledger.delete(type, name)
    assert archive_ledger.live() == {}
    assert archive_ledger.bytes() == (0, 0, 70)
    assert archive_ledger.sweep() == []


def test_a_full_account_can_delete_and_write_again(archive_ledger: ArchiveLedger) -> None:
    archive_ledger.company.rules(quota_bytes=100)
    name = archive_ledger.upload(DATA, size=100)
    archive_ledger.delete(DATA, name)
    archive_ledger.upload(DATA, size=100)
    assert archive_ledger.bytes() == (100, 0, 100)


def test_without_a_delay_it_is_purged_at_once(archive_ledger: ArchiveLedger) -> None:
    archive_ledger.company.rules(delete_delay=timedelta(0))
    name = archive_ledger.upload(DATA)
    location = archive_ledger.location(DATA, name)
    assert archive_ledger.delete(DATA, name)
    assert archive_ledger.bytes() == (0, 0, 0)
    assert [each.location for each in archive_ledger.sweep()] == [location]


def test_what_is_not_there_is_deleted_already(archive_ledger: ArchiveLedger) -> None:
    assert not archive_ledger.delete(DATA, new_name())
    name = archive_ledger.upload(DATA)
    for _ in range(2):
        archive_ledger.delete(DATA, name)
    assert archive_ledger.bytes() == (0, 0, 100)


def test_a_late_delete_does_not_take_what_was_promised_since(
    archive_ledger: ArchiveLedger,
) -> None:
    arrived = archive_ledger.later()
    name = archive_ledger.upload(DATA)
    assert not archive_ledger.delete(DATA, name, arrived)
    assert name in archive_ledger.live()
    archive_ledger.delete(DATA, name)
    assert archive_ledger.live() == {}


@pytest.mark.parametrize("type", [DATA, LOCKS])
def test_nor_what_was_promised_again_since(archive_ledger: ArchiveLedger, type: BlobType) -> None:
    name = archive_ledger.upload(type)
    arrived = archive_ledger.later()
    archive_ledger.upload(type, name)
    archive_ledger.delete(type, name, arrived)
    assert name in archive_ledger.live()


def test_a_lock_deleted_while_it_was_sent_again_is_kept_as_it_came(
    archive_ledger: ArchiveLedger,
) -> None:
    upload = archive_ledger.announced(LOCKS)
    first, second = archive_ledger.promised(upload), archive_ledger.promised(upload)
    archive_ledger.finish(upload, first)
    archive_ledger.delete(LOCKS, upload.name)
    assert archive_ledger.finish(upload, second)
    assert archive_ledger.live() == {upload.name: second.nonce}


def test_kept_bytes_are_capped_at_the_quotas_size(archive_ledger: ArchiveLedger) -> None:
    archive_ledger.company.rules(quota_bytes=100)
    for _ in range(2):
        name = archive_ledger.upload(DATA, size=50)
        archive_ledger.delete(DATA, name)
    name = archive_ledger.upload(DATA, size=1)
    error = refusal(archive_ledger, DATA, name)
    assert isinstance(error, LimitReached)
    assert error.reason is Reason.KEPT_QUOTA_EXCEEDED
    assert "100 B of 100 B" in error.message
    assert archive_ledger.bytes() == (1, 0, 100)
    lock = archive_ledger.upload(LOCKS)
    assert archive_ledger.delete(LOCKS, lock)


def test_uploads_and_deletes_in_turns_end_at_the_cap(archive_ledger: ArchiveLedger) -> None:
    """Otherwise a thief could fill the disk within a small quota."""
    archive_ledger.company.rules(quota_bytes=1000)
    for _ in range(10):
        archive_ledger.delete(DATA, archive_ledger.upload(DATA, size=100))
    last = archive_ledger.upload(DATA, size=100)
    refusal(archive_ledger, DATA, last)
    stored, _, kept = archive_ledger.bytes()
    assert (stored, kept) == (100, 1000)


def test_append_only_archives_lose_locks_alone(archive_ledger: ArchiveLedger) -> None:
    names = {type: archive_ledger.upload(type) for type in (*KEPT, LOCKS)}
    archive_ledger.company.rules(append_only=True)
    for type in KEPT:
        error = refusal(archive_ledger, type, names[type])
        assert error.reason is Reason.ARCHIVE_APPEND_ONLY
    archive_ledger.delete(LOCKS, names[LOCKS])
    assert archive_ledger.live(LOCKS) == {}


def test_escrow_is_never_deleted(archive_ledger: ArchiveLedger) -> None:
    name = archive_ledger.upload(ESCROW)
    assert isinstance(refusal(archive_ledger, ESCROW, name), PermissionDenied)


def test_a_read_only_account_deletes_locks_alone(archive_ledger: ArchiveLedger) -> None:
    names = {type: archive_ledger.upload(type) for type in (*KEPT, LOCKS)}
    archive_ledger.company.read_only_ = "suspended"
    for type in KEPT:
        assert refusal(archive_ledger, type, names[type]).reason is Reason.ARCHIVE_READ_ONLY
    archive_ledger.delete(LOCKS, names[LOCKS])
    assert archive_ledger.live(LOCKS) == {}


@pytest.mark.parametrize("generation", [None, 2])
def test_a_seat_that_ended_or_was_renewed_deletes_nothing(
    archive_ledger: ArchiveLedger, generation: int | None
) -> None:
    names = {type: archive_ledger.upload(type) for type in (DATA, LOCKS)}
    archive_ledger.company.generations[archive_ledger.device_guid] = generation
    for type, name in names.items():
        assert isinstance(refusal(archive_ledger, type, name), Unauthenticated)


def test_a_grant_deletes_locks_alone(archive_ledger: ArchiveLedger) -> None:
    names = {type: archive_ledger.upload(type) for type in (*KEPT, LOCKS)}
    archive_ledger.generation = None
    for type in KEPT:
        assert refusal(archive_ledger, type, names[type]).message == "Read-only: this is a grant"
    archive_ledger.delete(LOCKS, names[LOCKS])
    assert archive_ledger.live(LOCKS) == {}


def test_a_repeat_promises_until_a_delete_that_comes_after_it(
    archive_ledger: ArchiveLedger,
) -> None:
    name = archive_ledger.upload(DATA)
    upload = archive_ledger.announced(DATA, name)
    existing = archive_ledger.begin(upload)
    assert isinstance(existing, Blob)
    promised = archive_ledger.later(2 * SECOND)
    archive_ledger.run(uploads.confirm, archive_ledger.company, upload, existing, 1, promised)
    archive_ledger.delete(DATA, name, promised - SECOND)
    assert name in archive_ledger.live()
    archive_ledger.delete(DATA, name, promised + SECOND)
    assert name not in archive_ledger.live()
