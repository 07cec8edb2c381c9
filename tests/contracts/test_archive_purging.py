"""Purges: what is removed for good is first marked, then unlinked, then forgotten."""

import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

import pytest
from sqlalchemy import text

from archive_gateway.domain.names import ArchiveId
from archive_gateway.operations import deletes, holding, purging, undelete, uploads
from archive_gateway.operations.purging import Purged
from archive_gateway.store import blobs
from archive_gateway.store.tables import PURGING
from service_kit import clock
from service_kit.database.engine import Database, Transaction
from service_kit.database.paging import PageRequest
from service_kit.errors import Conflict, NotFound
from service_kit.ledger import audit
from service_kit.ledger.audit import AuditFilter
from service_kit.reasons import Reason
from tests.support import databases
from tests.support.archive_ledger import (
    DATA,
    DAY,
    INDEX,
    LOCKS,
    SECOND,
    ArchiveLedger,
)
from tests.support.archives import Company
from tests.support.databases import PostgresqlLedgers

T = TypeVar("T")

DELAY, RETENTION = timedelta(days=30), timedelta(days=90)


def purge(ledger: ArchiveLedger, device_guid: str = "", *, include_live: bool = False) -> Purged:
    return ledger.run(
        *(purging.purge, ledger.company, ledger.account_id, device_guid, ledger.later()),
        include_live=include_live,
    )


def leave(ledger: ArchiveLedger) -> None:
    """The device's seat ends now."""
    ledger.company.generations[ledger.device_guid] = None
    ledger.company.released[ledger.device_guid] = ledger.later()


def test_what_is_deleted_is_purged_when_its_delay_is_over(archive_ledger: ArchiveLedger) -> None:
    first, second, stays = (archive_ledger.upload(DATA, size=70) for _ in range(3))
    archive_ledger.delete(DATA, first)
    archive_ledger.delete(DATA, second)
    archive_ledger.later(DELAY - 2 * SECOND)
    assert archive_ledger.purge_due() == 0
    archive_ledger.later()
    assert archive_ledger.purge_due() == 1
    archive_ledger.later()
    assert archive_ledger.purge_due() == 1
    assert set(archive_ledger.live()) == {stays}
    assert archive_ledger.bytes() == (70, 0, 0)


def test_what_was_deleted_first_is_purged_first(archive_ledger: ArchiveLedger) -> None:
    """A prune deletes in an order in which the repository stays whole."""
    names = [archive_ledger.upload(DATA) for _ in range(5)]
    for name in names[::-1]:
        archive_ledger.delete(DATA, name)
    found = archive_ledger.read(
        blobs.due, archive_ledger.account_id, archive_ledger.later(DELAY), 3
    )
    assert [each.location.name for each in found] == names[:1:-1]


def test_what_is_marked_is_gone_but_not_forgotten(archive_ledger: ArchiveLedger) -> None:
    """A crash before its file is removed leaves a row that tells of it."""
    name = archive_ledger.upload(DATA)
    location = archive_ledger.location(DATA, name)
    archive_ledger.delete(DATA, name)
    archive_ledger.run(purging.mark_due, archive_ledger.company, archive_ledger.later(DELAY))
    assert archive_ledger.nonces(PURGING) == {location.nonce}
    assert archive_ledger.bytes() == (0, 0, 0)
    assert archive_ledger.undelete(archive_ledger.time - DELAY).restored_blobs == 0
    assert [each.location for each in archive_ledger.sweep()] == [location]
    assert archive_ledger.sweep() == []


def test_a_blob_that_comes_again_while_it_is_purged_has_a_place_of_its_own(
    archive_ledger: ArchiveLedger,
) -> None:
    archive_ledger.company.rules(delete_delay=timedelta(0))
    name = archive_ledger.upload(DATA)
    before = archive_ledger.location(DATA, name)
    archive_ledger.delete(DATA, name)
    archive_ledger.upload(DATA, name)
    assert [each.location for each in archive_ledger.sweep()] == [before]
    assert set(archive_ledger.live()) == {name}


def test_an_archive_is_purged_a_retention_after_its_seat_ended(
    archive_ledger: ArchiveLedger,
) -> None:
    archive_ledger.upload(DATA)
    archive_ledger.upload(LOCKS)
    archive_ledger.delete(DATA, archive_ledger.upload(DATA))
    other = ArchiveLedger(archive_ledger.database, archive_ledger.company)
    other.upload(DATA)
    leave(archive_ledger)
    archive_ledger.company.rules(delete_delay=2 * RETENTION)
    archive_ledger.later(RETENTION)
    assert archive_ledger.purge_due() == 0
    archive_ledger.later()
    assert archive_ledger.purge_due() == 3
    assert archive_ledger.live() == {}
    assert archive_ledger.bytes() == (0, 0, 0)
    assert len(other.live()) == 1
    page = archive_ledger.read(audit.list_events, AuditFilter(kind="archive."), PageRequest())
    assert [each.kind for each in page.items] == ["archive.lapsed"]


def test_coming_back_within_the_retention_brings_it_back(archive_ledger: ArchiveLedger) -> None:
    name = archive_ledger.upload(DATA)
    leave(archive_ledger)
    archive_ledger.later(RETENTION)
    archive_ledger.company.generations[archive_ledger.device_guid] = archive_ledger.generation = 2
    del archive_ledger.company.released[archive_ledger.device_guid]
    archive_ledger.later(RETENTION)
    archive_ledger.purge_due()
    assert set(archive_ledger.live()) == {name}
    archive_ledger.upload(DATA)


def test_an_operator_purges_what_is_deleted(archive_ledger: ArchiveLedger) -> None:
    other = ArchiveLedger(archive_ledger.database, archive_ledger.company)
    for each in (archive_ledger, other):
        each.upload(INDEX)
        each.delete(DATA, each.upload(DATA, size=70))
    assert purge(archive_ledger, archive_ledger.device_guid) == Purged(1, 70)
    assert purge(archive_ledger) == Purged(1, 70)
    assert purge(archive_ledger) == Purged()
    assert archive_ledger.bytes() == other.bytes() == (100, 0, 0)


def test_and_what_was_set_aside(archive_ledger: ArchiveLedger) -> None:
    name = archive_ledger.upload(DATA)
    blob = archive_ledger.read(blobs.find_live, archive_ledger.archive, DATA, name)
    assert blob is not None
    archive_ledger.run(uploads.set_aside, blob, "rotten", archive_ledger.later())
    archive_ledger.later(10 * RETENTION)
    assert archive_ledger.purge_due() == 0
    assert purge(archive_ledger) == Purged(1, 100)


def test_what_is_live_is_purged_of_those_without_a_seat_alone(
    archive_ledger: ArchiveLedger,
) -> None:
    gone = ArchiveLedger(archive_ledger.database, archive_ledger.company)
    for each in (archive_ledger, gone):
        each.upload(DATA)
    with pytest.raises(Conflict):
        purge(archive_ledger, archive_ledger.device_guid, include_live=True)
    leave(gone)
    assert purge(archive_ledger, include_live=True) == Purged(1, 100)
    assert len(archive_ledger.live()) == 1
    assert gone.live() == {}


def test_nothing_is_purged_while_purges_are_held(archive_ledger: ArchiveLedger) -> None:
    archive_ledger.delete(DATA, archive_ledger.upload(DATA))
    archive_ledger.upload(DATA)
    archive_ledger.run(holding.hold)
    leave(archive_ledger)
    archive_ledger.later(2 * RETENTION)
    assert archive_ledger.purge_due() == 0
    with pytest.raises(Conflict) as caught:
        purge(archive_ledger)
    assert caught.value.reason is Reason.ARCHIVE_REWOUND
    archive_ledger.run(holding.let_go)
    assert archive_ledger.purge_due() == 2


def test_an_account_that_there_is_not_is_not_purged(archive_ledger: ArchiveLedger) -> None:
    with pytest.raises(NotFound):
        archive_ledger.run(
            *(purging.purge, archive_ledger.company, str(uuid.uuid4()), ""), archive_ledger.time
        )


def test_blobs_of_an_account_that_the_ledger_lost_keep_no_other_from_purges(
    archive_ledger: ArchiveLedger,
) -> None:
    lost = ArchiveLedger(
        archive_ledger.database, Company(account_id="00000000-0000-0000-0000-000000000000")
    )
    for each in (lost, archive_ledger):
        each.delete(DATA, each.upload(DATA))
    archive_ledger.later(DELAY)
    assert archive_ledger.purge_due() == 1
    assert lost.bytes() == (0, 0, 100)


# --- on two replicas; SQLite has one writer


@pytest.fixture
def replicas(postgresql_ledgers: PostgresqlLedgers) -> Iterator[tuple[Database, Database]]:
    """Two servers' views of one ledger."""
    url = postgresql_ledgers.migrated(databases.ARCHIVE)
    both = Database(url), Database(url)
    yield both
    for each in both:
        each.dispose()
    postgresql_ledgers.drop(url)


def at_once(
    one: Database,
    first: Callable[[Transaction], object],
    other: Database,
    second: Callable[[Transaction], T],
) -> T:
    """Let a second operation run into the first, whose end waits for that."""
    waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    answers: list[T] = []
    follower = threading.Thread(target=lambda: answers.append(other.run_sync(second)))

    def leader(tx: Transaction) -> None:
        first(tx)
        follower.start()
        while not tx.execute(text(waits)).scalar_one() and follower.is_alive():
            tx.execute(text("SELECT pg_sleep(0.01), pg_stat_clear_snapshot()"))

    one.run_sync(leader)
    follower.join()
    return answers[0]


def test_two_replicas_purge_a_blob_once(replicas: tuple[Database, Database]) -> None:
    ledger = ArchiveLedger(replicas[0])
    ledger.delete(DATA, ledger.upload(DATA))
    time = ledger.later(DELAY)

    def mark(tx: Transaction) -> int:
        return purging.mark_due(tx, ledger.company, time)

    assert at_once(replicas[0], mark, replicas[1], mark) == 0
    ledger.check()
    assert ledger.bytes() == (0, 0, 0)


@pytest.mark.parametrize("by_hand", [False, True])
def test_a_purge_does_not_take_what_an_undelete_just_brought_back(
    replicas: tuple[Database, Database], by_hand: bool
) -> None:
    ledger = ArchiveLedger(replicas[0])
    name = ledger.upload(DATA)
    then = ledger.later()
    ledger.delete(DATA, name)
    time = ledger.later(DELAY)

    def restore(tx: Transaction) -> None:
        undelete.undelete(tx, ledger.company, ledger.account_id, "", then, time)

    def take(tx: Transaction) -> None:
        if by_hand:
            purging.purge(tx, ledger.company, ledger.account_id, "", time)
        else:
            purging.mark_due(tx, ledger.company, time)

    at_once(replicas[0], restore, replicas[1], take)
    assert set(ledger.live()) == {name}
    ledger.check()
    assert ledger.bytes() == (100, 0, 0)


def test_a_lock_deleted_by_one_replica_while_another_takes_it_again_is_there(
    replicas: tuple[Database, Database],
) -> None:
    ledger = ArchiveLedger(replicas[0])
    upload = ledger.announced(LOCKS)
    first, second = ledger.promised(upload), ledger.promised(upload)
    ledger.finish(upload, first)
    time = ledger.later()

    def remove(tx: Transaction) -> None:
        deletes.delete(tx, ledger.company, ledger.archive, LOCKS, upload.name, 1, time, time)

    def again(tx: Transaction) -> bool:
        return uploads.commit(tx, ledger.company, upload, second, 1, time)

    at_once(replicas[0], remove, replicas[1], again)
    assert set(ledger.live()) == {upload.name}


def test_nothing_lapses_for_a_retention_after_a_rebuild(archive_ledger: ArchiveLedger) -> None:
    """The ledger may be older than the return of a device: its seat would seem to have ended."""
    archive_ledger.upload(DATA)
    company = archive_ledger.company
    company.generations[archive_ledger.device_guid] = None
    archive_ledger.run(holding.let_go)
    rebuilt, retention = clock.now(), company.policy_.retention
    company.released[archive_ledger.device_guid] = rebuilt - retention - DAY
    for moment, marked in ((rebuilt, 0), (rebuilt + retention - DAY, 0), (rebuilt + retention, 1)):
        assert archive_ledger.run(purging.mark_lapsed, company, moment + DAY / 2) == marked


class Returning(Company):
    """A company whose device comes back to its seat while its lapse waits for the account."""

    def lapsed(self, tx: Transaction, now: datetime, most: int) -> Sequence[ArchiveId]:
        return [ArchiveId(self.account_id, each) for each in self.generations]


def test_a_device_that_came_back_meanwhile_loses_nothing(archive_ledger: ArchiveLedger) -> None:
    ledger = ArchiveLedger(archive_ledger.database, Returning())
    name = ledger.upload(DATA)
    assert ledger.run(purging.mark_lapsed, ledger.company, ledger.later()) == 0
    assert set(ledger.live()) == {name}
