"""What a crash leaves behind, and what is done about it."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import update

from archive_gateway.domain.names import Location, new_nonce, time_of
from archive_gateway.operations import adopting, holding, purging, recovery, uploads
from archive_gateway.store import blobs
from archive_gateway.store.blobs import Blob
from archive_gateway.store.tables import DELETED, QUARANTINED, accounts, archives
from service_kit.clock import now
from service_kit.errors import Unavailable
from tests.support.archive_ledger import DATA, INDEX, LOCKS, SECOND, ArchiveLedger, new_name


def recover(ledger: ArchiveLedger) -> int:
    return len(ledger.run(recovery.return_expired, ledger.time))


def find(ledger: ArchiveLedger, name: str) -> Blob:
    blob = ledger.read(blobs.find_live, ledger.archive, DATA, name)
    assert blob is not None
    return blob


def stray(ledger: ArchiveLedger, name: str = "") -> Location:
    """Where a file may lie that the ledger does not know."""
    return Location(ledger.archive, DATA, name or new_name(), new_nonce())


def test_a_promise_that_nobody_keeps_is_given_back(archive_ledger: ArchiveLedger) -> None:
    kept = archive_ledger.promised(archive_ledger.announced(DATA, size=70))
    archive_ledger.later(uploads.LIFETIME)
    assert recover(archive_ledger) == 1
    assert archive_ledger.bytes() == (0, 0, 0)
    assert [each.location for each in archive_ledger.sweep()] == [kept.location]


def test_one_that_is_kept_alive_is_not(archive_ledger: ArchiveLedger) -> None:
    upload = archive_ledger.announced(DATA)
    reservation = archive_ledger.promised(upload)
    archive_ledger.later(uploads.LIFETIME - SECOND)
    assert recover(archive_ledger) == 0
    archive_ledger.run(uploads.extend, reservation.nonce, archive_ledger.time)
    archive_ledger.later(uploads.LIFETIME - SECOND)
    assert recover(archive_ledger) == 0
    archive_ledger.finish(upload, reservation)
    archive_ledger.later(uploads.LIFETIME)
    assert recover(archive_ledger) == 0


def test_promises_of_several_devices_and_types_are_given_back(
    archive_ledger: ArchiveLedger,
) -> None:
    other = ArchiveLedger(archive_ledger.database, archive_ledger.company)
    for each in (archive_ledger, other):
        for type in (DATA, INDEX, LOCKS):
            each.promised(each.announced(type))
    archive_ledger.later(uploads.LIFETIME + 10 * SECOND)
    assert recover(archive_ledger) == 6
    assert archive_ledger.bytes() == other.bytes() == (0, 0, 0)


def test_after_a_restore_files_of_old_promises_are_left(archive_ledger: ArchiveLedger) -> None:
    """The upload may have ended well since the backup, and its client been told so."""
    upload = archive_ledger.announced(DATA)
    reservation = archive_ledger.promised(upload)
    archive_ledger.run(holding.hold)
    archive_ledger.later(uploads.LIFETIME)
    assert recover(archive_ledger) == 1
    assert archive_ledger.sweep() == []
    archive_ledger.run(adopting.adopt, reservation.location, upload.size, archive_ledger.later())
    assert archive_ledger.live() == {upload.name: reservation.nonce}


@pytest.mark.parametrize("table", [accounts, archives])
@pytest.mark.parametrize("column", ["stored_bytes", "reserved_bytes", "kept_bytes"])
def test_a_count_that_drifted_is_found_and_put_right(
    archive_ledger: ArchiveLedger, table: object, column: str
) -> None:
    archive_ledger.delete(DATA, archive_ledger.upload(DATA, size=1))
    archive_ledger.upload(DATA, size=20)
    archive_ledger.upload(LOCKS)
    archive_ledger.promised(archive_ledger.announced(DATA, size=300))
    archive_ledger.check()
    archive_ledger.run(lambda tx: tx.execute(update(table).values({column: 5000})))  # type: ignore[arg-type]
    assert archive_ledger.read(recovery.drifted) == [archive_ledger.account_id]
    archive_ledger.run(recovery.recount, archive_ledger.account_id, archive_ledger.later())
    assert archive_ledger.bytes() == (20, 300, 1)


def test_a_blob_whose_file_is_wrong_is_set_aside_and_heals(archive_ledger: ArchiveLedger) -> None:
    name = archive_ledger.upload(DATA)
    blob = find(archive_ledger, name)
    for _ in range(2):
        archive_ledger.run(uploads.set_aside, blob, "rotten", archive_ledger.later())
    assert archive_ledger.nonces(QUARANTINED) == {blob.location.nonce}
    assert archive_ledger.bytes() == (0, 0, 100)
    assert archive_ledger.read(blobs.count_quarantined, archive_ledger.account_id) == 1
    archive_ledger.upload(DATA, name)
    assert archive_ledger.read(blobs.count_quarantined, archive_ledger.account_id) == 0
    assert archive_ledger.bytes() == (100, 0, 100)


def test_a_file_that_the_ledger_lost_is_adopted_once(archive_ledger: ArchiveLedger) -> None:
    location = stray(archive_ledger)
    for _ in range(2):
        archive_ledger.run(adopting.adopt, location, 70, archive_ledger.later())
    assert archive_ledger.live() == {location.name: location.nonce}
    assert archive_ledger.bytes() == (70, 0, 0)


def test_into_the_bin_where_its_name_is_taken(archive_ledger: ArchiveLedger) -> None:
    name = archive_ledger.upload(DATA)
    before = archive_ledger.live()
    location = stray(archive_ledger, name)
    archive_ledger.run(adopting.adopt, location, 70, archive_ledger.later())
    assert archive_ledger.live() == before
    assert archive_ledger.nonces(DELETED) == {location.nonce}
    assert archive_ledger.bytes() == (100, 0, 70)


def test_an_adopted_blob_was_there_since_its_file(archive_ledger: ArchiveLedger) -> None:
    """An undelete to a time after that keeps it, and one to a time before takes it out."""
    before = now()
    location = stray(archive_ledger)
    archive_ledger.time = datetime.max.replace(year=9000, tzinfo=before.tzinfo)
    archive_ledger.run(adopting.adopt, location, 70, archive_ledger.later())
    archive_ledger.undelete(time_of(location.nonce))
    assert set(archive_ledger.live()) == {location.name}
    archive_ledger.undelete(before)
    assert archive_ledger.live() == {}


def test_a_nonce_tells_its_time() -> None:
    before = now()
    assert before <= time_of(new_nonce()) <= now()
    assert time_of(new_nonce()) - before < timedelta(minutes=1)


def test_blobs_whose_files_are_gone_are_forgotten(archive_ledger: ArchiveLedger) -> None:
    stays, lost, deleted, rotten = (archive_ledger.upload(DATA) for _ in range(4))
    gone = [find(archive_ledger, name) for name in (lost, deleted, rotten)]
    archive_ledger.delete(DATA, deleted)
    archive_ledger.run(uploads.set_aside, gone[2], "rotten", archive_ledger.later())
    for _ in range(2):
        archive_ledger.run(adopting.forget_missing, gone, archive_ledger.later())
    assert set(archive_ledger.live()) == {stays}
    assert archive_ledger.bytes() == (100, 0, 0)


def test_a_blob_marked_meanwhile_is_forgotten_with_its_file(archive_ledger: ArchiveLedger) -> None:
    name = archive_ledger.upload(DATA)
    blob = find(archive_ledger, name)
    archive_ledger.delete(DATA, name)
    archive_ledger.run(
        *(purging.purge, archive_ledger.company, archive_ledger.account_id, ""),
        archive_ledger.later(),
    )
    archive_ledger.run(adopting.forget_missing, [blob], archive_ledger.later())
    assert archive_ledger.sweep() == []
    assert archive_ledger.bytes() == (0, 0, 0)


def test_what_came_back_after_a_restore_can_be_sent_again(archive_ledger: ArchiveLedger) -> None:
    upload = archive_ledger.announced(DATA)
    reservation = archive_ledger.promised(upload)
    archive_ledger.run(adopting.adopt, stray(archive_ledger, upload.name), 100, archive_ledger.time)
    assert not archive_ledger.finish(upload, reservation)
    with pytest.raises(Unavailable):
        archive_ledger.finish(upload, reservation)
    assert archive_ledger.bytes() == (100, 0, 0)
