"""Keyset paging."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Column, Integer, MetaData, Row, String, Table, delete, insert, select

from service_kit.database import paging
from service_kit.database.engine import Database, Transaction
from service_kit.database.paging import Page, PageRequest, paginate
from service_kit.database.types import UtcTime
from service_kit.errors import InvalidArgument

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
things = Table(
    "things",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("name", String(200), nullable=False),
    Column("time", UtcTime, nullable=False),
)


def make(tx: Transaction, count: int) -> None:
    things.create(tx)
    if count:
        add(tx, *range(1, count + 1))


def add(tx: Transaction, *ids: int) -> None:
    rows = [
        {"id": id, "name": f"n{id % 3}", "time": NOON + timedelta(seconds=id % 2)} for id in ids
    ]
    tx.execute(insert(things), rows)


def by_id(tx: Transaction, page: PageRequest, name: str = "") -> Page[int]:
    statement = select(things)
    if name:
        statement = statement.where(things.c.name == name)
    return paginate(tx, statement, keys=[things.c.id], page=page, build=_id, filter=(name,))


def by_time(tx: Transaction, page: PageRequest) -> Page[int]:
    keys = [things.c.time, things.c.name, things.c.id]
    return paginate(tx, select(things), keys=keys, page=page, build=_id)


def _id(row: Row[Any]) -> int:
    return int(row.id)


def test_pages_follow_each_other_to_the_end(database: Database) -> None:
    database.run_sync(make, 5)
    first = database.read_sync(by_id, PageRequest(2))
    second = database.read_sync(by_id, PageRequest(2, first.next_page_token))
    third = database.read_sync(by_id, PageRequest(2, second.next_page_token))
    assert [first.items, second.items, third.items] == [[1, 2], [3, 4], [5]]
    assert third.next_page_token == ""


def test_a_full_last_page_has_no_next(database: Database) -> None:
    database.run_sync(make, 2)
    assert database.read_sync(by_id, PageRequest(2)) == Page([1, 2], "")


def test_rows_that_come_and_go_neither_repeat_nor_hide_others(database: Database) -> None:
    database.run_sync(make, 0)
    database.run_sync(add, 10, 20, 30, 40)
    first = database.read_sync(by_id, PageRequest(2))
    database.run_sync(add, 15, 25)
    database.run_sync(lambda tx: tx.execute(delete(things).where(things.c.id == 20)).close())
    second = database.read_sync(by_id, PageRequest(2, first.next_page_token))
    assert second.items == [25, 30]


def test_several_keys_sort_together(database: Database) -> None:
    database.run_sync(make, 12)
    whole = database.read_sync(by_time, PageRequest(12)).items
    found: list[int] = []
    token = ""
    while len(found) < 12:
        page = database.read_sync(by_time, PageRequest(5, token))
        found += page.items
        token = page.next_page_token
    assert found == whole
    assert token == ""


@pytest.mark.parametrize(("size", "expected"), [(0, 50), (7, 7), (1000, 1000), (5000, 1000)])
def test_sizes(database: Database, size: int, expected: int) -> None:
    database.run_sync(make, 1001)
    assert len(database.read_sync(by_id, PageRequest(size)).items) == expected


def test_a_negative_size_is_refused(database: Database) -> None:
    database.run_sync(make, 1)
    with pytest.raises(InvalidArgument) as refusal:
        database.read_sync(by_id, PageRequest(-1))
    assert refusal.value.violations[0].field == "page_size"


def test_a_token_belongs_to_one_filter(database: Database) -> None:
    database.run_sync(make, 9)
    token = database.read_sync(by_id, PageRequest(1, ""), "n1").next_page_token
    assert database.read_sync(by_id, PageRequest(1, token), "n1").items == [4]
    with pytest.raises(InvalidArgument) as refusal:
        database.read_sync(by_id, PageRequest(1, token), "n2")
    assert refusal.value.violations[0].field == "page_token"


def forged(*values: object) -> str:
    text = json.dumps([paging._digest(()), *values])
    return base64.urlsafe_b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "%%%",
        "é",
        "A" * 5000,
        forged(),
        forged("2026-07-01T12:00:00+00:00", "n1"),
        forged("2026-07-01T12:00:00", "n1", 1),
        forged("noon", "n1", 1),
        forged(1, "n1", 1),
        forged("2026-07-01T12:00:00+00:00", "n\x00", 1),
        forged("2026-07-01T12:00:00+00:00", "n\ud800", 1),
        forged("2026-07-01T12:00:00+00:00", "n1", "1"),
        forged("2026-07-01T12:00:00+00:00", "n1", True),
        forged("2026-07-01T12:00:00+00:00", "n1", 2**63),
        base64.urlsafe_b64encode(b"7").decode(),
        base64.urlsafe_b64encode(b"{}").decode(),
        base64.urlsafe_b64encode(b"[]").decode(),
    ],
)
def test_a_forged_token_is_refused(database: Database, token: str) -> None:
    database.run_sync(make, 1)
    with pytest.raises(InvalidArgument) as refusal:
        database.read_sync(by_time, PageRequest(1, token))
    assert refusal.value.violations[0].field == "page_token"
