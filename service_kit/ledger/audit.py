"""The audit trail: who did what, when, and how it changed the number of seats."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, Select, func, insert, select

from service_kit.database.engine import Transaction
from service_kit.database.paging import Page, PageRequest, paginate
from service_kit.database.statements import upsert
from service_kit.database.tables import audit_events as table
from service_kit.ledger.actor import actor as current_actor

# A transaction may commit later than one that took a higher id. None takes nearly this long:
# calls end after 30 seconds.
_LATE = timedelta(seconds=60)
_MOST_AT_ONCE = 1000
_INSERT = insert(table)  # built once: every batch of seat requests ends in it


@dataclass(frozen=True)
class Entry:
    """An event to record; without an actor it is the current call's."""

    kind: str
    organization_id: str = ""
    subject: str = ""
    detail: str = ""
    seat_delta: int = 0
    actor: str | None = None


@dataclass(frozen=True)
class AuditEvent:
    """A recorded event; `count` like ones of the same minute may share one."""

    id: int
    time: datetime
    kind: str
    organization_id: str
    subject: str
    actor: str
    detail: str
    seat_delta: int
    count: int


@dataclass(frozen=True)
class AuditFilter:
    """Which events; what is not set does not narrow. A kind like `seat.` means all of a noun."""

    organization_id: str = ""
    kind: str = ""
    start_time: datetime | None = None
    end_time: datetime | None = None


def record(
    tx: Transaction,
    kind: str,
    *,
    organization_id: str = "",
    subject: str = "",
    detail: str = "",
    seat_delta: int = 0,
    actor: str | None = None,
    now: datetime,
) -> None:
    """Record one event, with the transaction that makes it true."""
    entry = Entry(kind, organization_id, subject, detail, seat_delta, actor)
    record_all(tx, [entry], now)


def record_all(tx: Transaction, entries: Sequence[Entry], now: datetime) -> None:
    """Record events, in their order."""
    if entries:
        tx.execute(_INSERT, [_to_row(entry, now) for entry in entries])


def count_refusal(
    tx: Transaction,
    kind: str,
    *,
    organization_id: str = "",
    subject: str = "",
    detail: str = "",
    now: datetime,
) -> None:
    """Record a refusal that anyone can cause: one row a minute, kind and organization.

    So the trail can't be flooded. The row shows the last subject, actor and detail.
    """
    row = _to_row(Entry(kind, organization_id, subject, detail), now)
    row["minute_key"] = f"{now:%Y-%m-%dT%H:%MZ} {kind} {organization_id}"
    last = {name: row[name] for name in ("subject", "actor", "detail")}
    statement = upsert(tx, table).values(row)
    tx.execute(
        statement.on_conflict_do_update(
            index_elements=[table.c.minute_key], set_={**last, "count": table.c.count + 1}
        )
    )


def list_events(tx: Transaction, filter: AuditFilter, page: PageRequest) -> Page[AuditEvent]:
    """The events, oldest first.

    Raises:
        InvalidArgument: the page size or token is wrong.
    """
    statement = _filtered(filter)
    return paginate(tx, statement, keys=[table.c.id], page=page, build=_from_row, filter=filter)


def last_id(tx: Transaction) -> int:
    """The highest id so far, 0 if there is no event."""
    return int(tx.execute(select(func.coalesce(func.max(table.c.id), 0))).scalar_one())


class Follower:
    """Reads what is new, each event once, also one that commits after a higher id did.

    On PostgreSQL ids are given out before the commit, so "higher than the last" would lose events:
    the ids that were skipped are looked for again until they are too old to come.
    """

    def __init__(self, filter: AuditFilter, after_id: int) -> None:
        self._filter = filter
        self._highest = after_id
        self._skipped: dict[int, datetime] = {}

    def poll(self, tx: Transaction, now: datetime) -> list[AuditEvent]:
        """Events that were not answered before, at most 1000; none when there are no more."""
        while ids := self._new_ids(tx):
            statement = _filtered(self._filter).where(table.c.id.in_(ids)).order_by(table.c.id)
            events = [_from_row(row) for row in tx.execute(statement)]
            self._note(ids, now)
            if events:
                return events
        return []

    def _new_ids(self, tx: Transaction) -> Sequence[int]:
        new = (table.c.id > self._highest) | table.c.id.in_(list(self._skipped))
        statement = select(table.c.id).where(new).order_by(table.c.id).limit(_MOST_AT_ONCE)
        return tx.execute(statement).scalars().all()

    def _note(self, ids: Sequence[int], now: datetime) -> None:
        highest = max(self._highest, ids[-1])
        first = max(self._highest + 1, highest - _MOST_AT_ONCE)
        skipped = {**self._skipped, **dict.fromkeys(range(first, highest), now)}
        for id in ids:
            skipped.pop(id, None)
        recent = sorted(id for id, time in skipped.items() if now - time < _LATE)
        self._skipped = {id: skipped[id] for id in recent[-_MOST_AT_ONCE:]}
        self._highest = highest


def _filtered(filter: AuditFilter) -> Select[Any]:
    statement = select(*(column for column in table.c if column is not table.c.minute_key))
    if filter.organization_id:
        statement = statement.where(table.c.organization_id == filter.organization_id)
    if filter.kind.endswith("."):
        statement = statement.where(table.c.kind.startswith(filter.kind, autoescape=True))
    elif filter.kind:
        statement = statement.where(table.c.kind == filter.kind)
    if filter.start_time is not None:
        statement = statement.where(table.c.time >= filter.start_time)
    if filter.end_time is not None:
        statement = statement.where(table.c.time < filter.end_time)
    return statement


def _to_row(entry: Entry, now: datetime) -> dict[str, Any]:
    return {
        "time": now,
        "kind": entry.kind,
        "organization_id": entry.organization_id,
        "subject": entry.subject,
        "actor": current_actor.get() if entry.actor is None else entry.actor,
        "detail": entry.detail,
        "seat_delta": entry.seat_delta,
        "count": 1,
    }


def _from_row(row: Row[Any]) -> AuditEvent:
    return AuditEvent(**row._asdict())
