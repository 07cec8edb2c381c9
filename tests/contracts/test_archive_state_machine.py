"""Random walks over an archive's operations: what must hold after each, whatever came before."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar, cast

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from archive_gateway.domain.names import BlobType, Location, new_nonce
from archive_gateway.domain.rules import Upload
from archive_gateway.operations import adopting, purging, recovery, uploads
from archive_gateway.store import blobs
from archive_gateway.store.blobs import Blob
from archive_gateway.store.reservations import Reservation
from archive_gateway.store.tables import DELETED, LIVE, PURGING, QUARANTINED
from service_kit.database.engine import Database
from service_kit.errors import OffsiteError
from tests.support import databases
from tests.support.archive_ledger import DATA, INDEX, LOCKS, ArchiveLedger
from tests.support.databases import Ledgers

T = TypeVar("T")

EXAMPLES = {"sqlite": 60, "postgresql": 12}
STEPS = 40
QUOTA = 1000
NAMES = {DATA: "a" * 64, INDEX: "b" * 64, LOCKS: "c" * 64, BlobType.CONFIG: "config"}

devices = st.integers(0, 1)
types = st.sampled_from(list(NAMES))
sizes = st.sampled_from([1, 100, 300, 600])
choices = st.integers(0, 999)


class OneTransaction:
    """A ledger whose operations all run in one transaction, which is undone in the end: fast."""

    def __init__(self, database: Database) -> None:
        self._tx = database._writer.connect()
        self._tx.begin()

    def run_sync(self, operation: Callable[..., T], *arguments: Any, **options: Any) -> T:
        with self._tx.begin_nested():
            return operation(self._tx, *arguments, **options)

    def read_sync(self, operation: Callable[..., T], *arguments: Any) -> T:
        return operation(self._tx, *arguments)

    def undo(self) -> None:
        self._tx.close()


@dataclass
class Moment:
    """What a device's repository held at a time: names, with the nonce of each."""

    time: datetime
    live: dict[str, str]


@dataclass
class Side:
    """A device, with what is remembered of it."""

    ledger: ArchiveLedger
    moments: list[Moment] = field(default_factory=list)
    begun: list[tuple[Upload, Reservation]] = field(default_factory=list)


class Archives(RuleBasedStateMachine):
    """Two devices of one company, on a ledger of their own."""

    database: Database

    def __init__(self) -> None:
        super().__init__()
        self.steps = OneTransaction(self.database)
        first = ArchiveLedger(cast("Database", self.steps))
        second = ArchiveLedger(first.database, first.company)
        self.company = first.company
        self.company.rules(quota_bytes=QUOTA, delete_delay=timedelta(minutes=1))
        self.sides = Side(first), Side(second)

    @contextmanager
    def on(self, device: int) -> Iterator[Side]:
        """One device acts; a refusal changes nothing, and all have the same time."""
        side = self.sides[device]
        before = side.ledger.live(), side.ledger.bytes()
        try:
            yield side
        except OffsiteError:
            assert (side.ledger.live(), side.ledger.bytes()) == before
        time = side.ledger.later()
        for each in self.sides:
            each.ledger.time = time
            each.moments.append(Moment(time, self._kept(each)))

    # --- devices

    @rule(device=devices, type=types, size=sizes)
    def upload(self, device: int, type: BlobType, size: int) -> None:
        with self.on(device) as side:
            side.ledger.upload(type, NAMES[type], size)

    @rule(device=devices, type=types, size=sizes)
    def begin(self, device: int, type: BlobType, size: int) -> None:
        with self.on(device) as side:
            upload = side.ledger.announced(type, NAMES[type], size)
            outcome = side.ledger.run(
                *(uploads.reserve, self.company, upload, 1, side.ledger.later())
            )
            if isinstance(outcome, Reservation):
                side.begun.append((upload, outcome))

    @rule(device=devices, choice=choices, whole=st.booleans())
    def end(self, device: int, choice: int, whole: bool) -> None:
        """An upload that was begun some time ago is whole now, or given up."""
        side = self.sides[device]
        if not side.begun:
            return
        upload, reservation = side.begun.pop(choice % len(side.begun))
        if whole:
            with self.on(device):
                side.ledger.finish(upload, reservation)
        with self.on(device):
            side.ledger.give_up(reservation)

    @rule(device=devices, type=types, late=st.booleans())
    def delete(self, device: int, type: BlobType, late: bool) -> None:
        with self.on(device) as side:
            before = side.ledger.live(type)
            arrived = datetime.min.replace(tzinfo=side.ledger.time.tzinfo, year=2000)
            side.ledger.delete(type, NAMES[type], arrived if late else None)
            assert side.ledger.live(type) == (before if late else {})

    # --- time, operators, and what runs beside

    @rule(device=devices, seconds=st.sampled_from([10, 61, 600]))
    def time_passes(self, device: int, seconds: int) -> None:
        with self.on(device) as side:
            side.ledger.later(timedelta(seconds=seconds))
            side.ledger.run(recovery.return_expired, side.ledger.time)
            side.ledger.run(purging.mark_due, self.company, side.ledger.time)

    @rule(device=devices)
    def purge(self, device: int) -> None:
        with self.on(device) as side:
            guid, time = side.ledger.device_guid, side.ledger.later()
            side.ledger.run(purging.purge, self.company, self.company.account_id, guid, time)
            assert not side.ledger.nonces(DELETED)

    @rule()
    def sweep(self) -> None:
        self.sides[0].ledger.sweep()

    @rule(device=devices, type=st.sampled_from([DATA, INDEX]))
    def set_aside(self, device: int, type: BlobType) -> None:
        with self.on(device) as side:
            ledger = side.ledger
            blob = ledger.read(blobs.find_live, ledger.archive, type, NAMES[type])
            if blob is not None:
                ledger.run(uploads.set_aside, blob, "rotten", ledger.later())

    @rule(device=devices, type=st.sampled_from([DATA, INDEX]), size=sizes)
    def adopt(self, device: int, type: BlobType, size: int) -> None:
        with self.on(device) as side:
            location = Location(side.ledger.archive, type, NAMES[type], new_nonce())
            side.ledger.run(adopting.adopt, location, size, side.ledger.later())

    @rule(device=devices, type=st.sampled_from([DATA, INDEX]))
    def lose(self, device: int, type: BlobType) -> None:
        """A file is gone, and its blob forgotten."""
        with self.on(device) as side:
            found = side.ledger.read(blobs.find_live, side.ledger.archive, type, NAMES[type])
            gone: list[Blob] = [found] if found is not None else []
            side.ledger.run(adopting.forget_missing, gone, side.ledger.later())

    @rule(device=devices, choice=choices, all_=st.booleans())
    def undelete(self, device: int, choice: int, all_: bool) -> None:
        """What was held at a time is held again, but for what is gone for good."""
        if not self.sides[device].moments:
            return
        moment = self.sides[device].moments[choice % len(self.sides[device].moments)]
        with self.on(device) as side:
            expected = self._expected(side, moment)
            side.ledger.undelete(moment.time, whole_account=all_)
            assert self._kept(side) == expected
            again = side.ledger.undelete(moment.time)
            assert (again.restored_blobs, again.deleted_blobs) == (0, 0)

    def _expected(self, side: Side, moment: Moment) -> dict[str, str]:
        there = side.ledger.nonces(LIVE) | side.ledger.nonces(DELETED)
        gone = side.ledger.nonces(QUARANTINED) | side.ledger.nonces(PURGING)
        expected = {name: nonce for name, nonce in moment.live.items() if nonce in there}
        for name, nonce in moment.live.items():
            if nonce in gone and name != "config":
                for stand_in in self._stand_ins(side, name)[:1]:
                    expected[name] = stand_in
        return expected

    def _stand_ins(self, side: Side, name: str) -> list[str]:
        """Who has the same content as one that is gone: the live one, else the newest."""
        live = [each for each in [side.ledger.live().get(name)] if each]
        return live or sorted(side.ledger.nonces_of(name, DELETED), reverse=True)

    def _kept(self, side: Side) -> dict[str, str]:
        live = side.ledger.live()
        return {name: nonce for name, nonce in live.items() if name != NAMES[LOCKS]}

    # --- what must hold

    @invariant()
    def counts_are_sums(self) -> None:
        self.sides[0].ledger.check()

    @invariant()
    def a_name_is_live_once(self) -> None:
        for side in self.sides:
            assert len(side.ledger.nonces(LIVE)) == len(side.ledger.live())

    def teardown(self) -> None:
        try:
            self._remove_all()
        finally:
            self.steps.undo()

    def _remove_all(self) -> None:
        """All can be removed in the end, and nothing is left of it."""
        for side in self.sides:
            self.company.generations[side.ledger.device_guid] = None
            time = side.ledger.later(timedelta(days=1))
            side.ledger.run(recovery.return_expired, time)
            guid = side.ledger.device_guid
            side.ledger.run(
                *(purging.purge, self.company, self.company.account_id, guid, time),
                include_live=True,
            )
            side.ledger.sweep()
            assert side.ledger.bytes() == (0, 0, 0)
        self.counts_are_sums()


def test_an_archive_holds_what_it_should(ledgers: Ledgers) -> None:
    url = ledgers.migrated(databases.ARCHIVE)
    Archives.database = Database(url)
    try:
        run_state_machine_as_test(
            Archives,
            settings=settings(
                max_examples=EXAMPLES[Archives.database.dialect],
                stateful_step_count=STEPS,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        Archives.database.dispose()
        ledgers.drop(url)
