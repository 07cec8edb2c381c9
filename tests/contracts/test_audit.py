"""The audit trail."""

import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from service_kit.database.engine import Database, Transaction
from service_kit.database.paging import PageRequest
from service_kit.ledger import audit
from service_kit.ledger.actor import actor
from service_kit.ledger.audit import AuditEvent, AuditFilter, Entry, Follower

NOW = datetime(2026, 7, 1, 12, 0, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def listed(database: Database, filter: AuditFilter = AuditFilter()) -> Sequence[AuditEvent]:  # noqa: B008
    return database.read_sync(audit.list_events, filter, PageRequest()).items


def kinds(events: Sequence[AuditEvent]) -> list[str]:
    return [event.kind for event in events]


def test_an_event_tells_all_that_was_recorded(database: Database) -> None:
    database.run_sync(
        audit.record,
        "seat.acquired",
        organization_id="acme",
        subject="laptop",
        detail="Taken.",
        seat_delta=1,
        actor="peer:x",
        now=NOW,
    )
    [event] = listed(database)
    assert event == AuditEvent(
        event.id, NOW, "seat.acquired", "acme", "laptop", "peer:x", "Taken.", 1, 1
    )


async def test_the_actor_is_the_current_calls(database: Database) -> None:
    actor.set("token:operator")
    await database.run(audit.record, "organization.created", now=NOW)
    [event] = listed(database)
    assert event.actor == "token:operator"


def test_events_of_a_batch_keep_their_order(database: Database) -> None:
    entries = [Entry(f"seat.{number}", actor=f"peer:{number}") for number in range(5)]
    database.run_sync(audit.record_all, entries, NOW)
    database.run_sync(audit.record_all, [], NOW)
    events = listed(database)
    assert kinds(events) == [entry.kind for entry in entries]
    assert [event.actor for event in events] == [entry.actor for entry in entries]


def test_refusals_are_counted_a_minute_kind_and_organization(database: Database) -> None:
    def refuse(subject: str, now: datetime, organization_id: str = "") -> None:
        database.run_sync(
            audit.count_refusal,
            "key.refused",
            organization_id=organization_id,
            subject=subject,
            now=now,
        )

    refuse("a", NOW)
    refuse("b", NOW + timedelta(seconds=29))
    refuse("c", NOW, "acme")
    refuse("d", NOW + MINUTE)
    events = listed(database)
    assert [(event.subject, event.count) for event in events] == [("b", 2), ("c", 1), ("d", 1)]


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        (AuditFilter(), ["seat.acquired", "seat.released", "seats.lowered", "token.created"]),
        (AuditFilter(organization_id="acme"), ["seat.acquired", "seats.lowered"]),
        (AuditFilter(kind="seat.released"), ["seat.released"]),
        (AuditFilter(kind="seat."), ["seat.acquired", "seat.released"]),
        (AuditFilter(kind="%."), []),
        (AuditFilter(start_time=NOW + MINUTE), ["seat.released", "seats.lowered", "token.created"]),
        (AuditFilter(end_time=NOW + MINUTE), ["seat.acquired"]),
        (AuditFilter("acme", "seat.", NOW, NOW + MINUTE), ["seat.acquired"]),
    ],
)
def test_filters(database: Database, filter: AuditFilter, expected: list[str]) -> None:
    recorded = [
        ("seat.acquired", "acme"),
        ("seat.released", ""),
        ("seats.lowered", "acme"),
        ("token.created", ""),
    ]
    for number, (kind, organization_id) in enumerate(recorded):
        now = NOW + number * MINUTE
        database.run_sync(audit.record, kind, organization_id=organization_id, now=now)
    assert kinds(listed(database, filter)) == expected


def test_a_follower_sees_each_new_event_once(database: Database) -> None:
    database.run_sync(audit.record, "old.one", now=NOW)
    follower = Follower(AuditFilter(kind="new."), database.read_sync(audit.last_id))
    assert database.read_sync(follower.poll, NOW) == []
    database.run_sync(audit.record, "other.one", now=NOW)
    database.run_sync(audit.record, "new.one", now=NOW)
    assert kinds(database.read_sync(follower.poll, NOW)) == ["new.one"]
    database.run_sync(audit.record, "new.two", now=NOW)
    assert kinds(database.read_sync(follower.poll, NOW + MINUTE)) == ["new.two"]
    assert database.read_sync(follower.poll, NOW + MINUTE) == []


def test_a_follower_finds_what_it_wants_behind_much_that_it_does_not(database: Database) -> None:
    follower = Follower(AuditFilter(kind="new."), 0)
    database.run_sync(audit.record_all, [Entry("other.one")] * 1500, NOW)
    database.run_sync(audit.record, "new.one", now=NOW)
    assert kinds(database.read_sync(follower.poll, NOW)) == ["new.one"]


def test_a_follower_sees_what_commits_late(postgresql_database: Database) -> None:
    database = postgresql_database
    follower = Follower(AuditFilter(), 0)
    recorded, go_on = threading.Event(), threading.Event()

    def record_slowly(tx: Transaction) -> None:
        audit.record(tx, "slow.one", now=NOW)
        recorded.set()
        assert go_on.wait(10)

    slow = threading.Thread(target=database.run_sync, args=(record_slowly,))
    slow.start()
    assert recorded.wait(10)
    database.run_sync(audit.record, "fast.one", now=NOW)
    assert kinds(database.read_sync(follower.poll, NOW)) == ["fast.one"]
    go_on.set()
    slow.join()
    assert kinds(database.read_sync(follower.poll, NOW)) == ["slow.one"]
    assert database.read_sync(follower.poll, NOW) == []
