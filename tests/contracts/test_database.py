"""Transactions on either engine."""

import asyncio
import contextvars
import threading
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import Column, MetaData, Table, insert, select, text, update

from service_kit.database.engine import Database, Transaction
from service_kit.database.migrate import migrate, revision
from service_kit.database.statements import upsert
from service_kit.database.tables import license_table, server_state
from service_kit.database.types import UtcTime
from service_kit.errors import Conflict, InvalidArgument, Unavailable
from service_kit.reasons import Reason
from tests.support.databases import COMMON, PostgresqlLedgers, SqliteLedgers, schema_differences


def put(tx: Transaction, key: str, value: str = "") -> str:
    tx.execute(insert(server_state).values(key=key, value=value))
    return value


def keys(tx: Transaction) -> list[str]:
    return list(tx.execute(select(server_state.c.key).order_by(server_state.c.key)).scalars())


async def test_what_an_operation_wrote_is_there_afterwards(database: Database) -> None:
    assert await database.run(put, "a", value="1") == "1"
    assert await database.read(keys) == ["a"]


async def test_an_operation_that_raises_leaves_nothing(database: Database) -> None:
    def fail(tx: Transaction) -> None:
        put(tx, "a")
        raise Conflict(Reason.WRONG_STATE, "no")

    with pytest.raises(Conflict):
        await database.run(fail)
    assert await database.read(keys) == []


async def test_a_preview_answers_what_would_happen_and_leaves_nothing(database: Database) -> None:
    assert await database.preview(put, "a", "1") == "1"
    assert database.preview_sync(put, "a", "1") == "1"
    assert await database.read(keys) == []


async def test_a_read_cannot_write(database: Database) -> None:
    with pytest.raises(Exception, match=r"read-?only"):
        await database.read(put, "a")


async def test_a_read_sees_one_snapshot(database: Database) -> None:
    began, written = threading.Event(), threading.Event()

    def read_twice(tx: Transaction) -> tuple[list[str], list[str]]:
        first = keys(tx)
        began.set()
        assert written.wait(10)
        return first, keys(tx)

    reading = asyncio.create_task(database.read(read_twice))
    await asyncio.to_thread(began.wait, 10)
    await database.run(put, "a")
    written.set()
    assert await reading == ([], [])


async def test_context_variables_reach_the_operation(database: Database) -> None:
    variable = contextvars.ContextVar[str]("variable")
    variable.set("mine")

    def look(tx: Transaction) -> str:
        return variable.get()

    assert await database.run(look) == "mine"
    assert await database.read(look) == "mine"
    assert database.run_sync(look) == "mine"


async def test_concurrent_read_then_write_loses_no_update(database: Database) -> None:
    def add_one(tx: Transaction) -> None:
        seats = tx.execute(select(license_table.c.seats).with_for_update()).scalar_one()
        tx.execute(update(license_table).values(seats=seats + 1))

    def count(tx: Transaction) -> int:
        return int(tx.execute(select(license_table.c.seats)).scalar_one())

    before = database.read_sync(count)
    await asyncio.gather(*(database.run(add_one) for _ in range(40)))
    assert database.read_sync(count) == before + 40


async def test_a_deadlocked_operation_is_run_again(postgresql_database: Database) -> None:
    database = postgresql_database
    database.run_sync(put, "a")
    database.run_sync(put, "b")
    both = threading.Barrier(2, timeout=10)
    attempts: list[str] = []

    def write_in_order(tx: Transaction, first: str, second: str) -> None:
        attempts.append(first)
        tx.execute(update(server_state).where(server_state.c.key == first).values(value=second))
        if attempts.count(first) == 1:
            both.wait()
        tx.execute(update(server_state).where(server_state.c.key == second).values(value=first))

    await asyncio.gather(
        database.run(write_in_order, "a", "b"), database.run(write_in_order, "b", "a")
    )
    assert len(attempts) == 3


async def test_foreign_keys_hold(database: Database) -> None:
    def orphan(tx: Transaction) -> None:
        tx.execute(text("CREATE TABLE child (parent VARCHAR(100) REFERENCES server_state (key))"))
        tx.execute(text("INSERT INTO child VALUES ('none')"))

    with pytest.raises(Exception, match=r"(?i)foreign key"):
        await database.run(orphan)


async def test_an_upsert_is_spelled_alike_on_both_engines(database: Database) -> None:
    def upsert_value(tx: Transaction, value: str) -> str:
        statement = upsert(tx, server_state).values(key="a", value=value)
        tx.execute(statement.on_conflict_do_update(index_elements=["key"], set_={"value": value}))
        return str(tx.execute(select(server_state.c.value)).scalar_one())

    assert await database.run(upsert_value, "1") == "1"
    assert await database.run(upsert_value, "2") == "2"


async def test_a_time_comes_back_in_utc_to_the_microsecond(database: Database) -> None:
    table = Table("times", MetaData(), Column("time", UtcTime))
    moment = datetime(2026, 7, 1, 12, 0, 0, 123457, tzinfo=timezone(timedelta(hours=2)))

    def round_trip(tx: Transaction) -> list[datetime]:
        table.create(tx)
        tx.execute(insert(table).values(time=moment))
        later = table.c.time > moment - timedelta(microseconds=1)
        return list(tx.execute(select(table.c.time).where(later)).scalars())

    [found] = await database.preview(round_trip)
    assert found == moment
    assert found.tzinfo is UTC


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(TypeError):
        UtcTime().process_bind_param(datetime(2026, 7, 1), None)  # type: ignore[arg-type]  # noqa: DTZ001


def test_the_migrated_tables_are_those_of_the_code(database: Database) -> None:
    assert schema_differences(database) == []


def test_migrating_again_changes_nothing(database: Database) -> None:
    migrate(database, COMMON)
    assert database.read_sync(revision) == "0001"


def test_a_newer_schema_is_refused(database: Database) -> None:
    database.run_sync(
        lambda tx: tx.execute(text("UPDATE alembic_version SET version_num = '0999'"))
    )
    with pytest.raises(Conflict) as refusal:
        migrate(database, COMMON)
    assert refusal.value.reason is Reason.SCHEMA_NEWER


def test_replicas_may_migrate_at_the_same_time(postgresql_ledgers: PostgresqlLedgers) -> None:
    url = postgresql_ledgers.empty()
    replicas = [Database(url, pool_size=1) for _ in range(3)]
    threads = [threading.Thread(target=migrate, args=(each, COMMON)) for each in replicas]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [replica.read_sync(revision) for replica in replicas] == ["0001"] * 3
    for replica in replicas:
        replica.dispose()
    postgresql_ledgers.drop(url)


def test_a_second_process_on_the_same_file_is_refused(sqlite_ledgers: SqliteLedgers) -> None:
    url = sqlite_ledgers.migrated(COMMON)
    first = Database(url)
    with pytest.raises(Conflict) as refusal:
        Database(url)
    assert refusal.value.reason is Reason.DATA_IN_USE
    first.dispose()
    Database(url).dispose()


def test_a_sqlite_file_is_durable_and_private(sqlite_ledgers: SqliteLedgers) -> None:
    database = Database(sqlite_ledgers.migrated(COMMON))

    def settings(tx: Transaction) -> list[object]:
        names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        return [tx.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in names]

    assert database.run_sync(settings) == ["wal", 2, 1, 10000]
    database.dispose()
    fresh = sqlite_ledgers.empty().removeprefix("sqlite:///")
    Database(f"sqlite:///{fresh}").dispose()
    assert Path(fresh).stat().st_mode & 0o777 == 0o600


def test_a_reader_beside_a_server_cannot_write(database: Database) -> None:
    beside = Database(database.url.render_as_string(hide_password=False), read_only=True)
    database.run_sync(put, "a")
    assert beside.read_sync(keys) == ["a"]
    with pytest.raises(Exception, match=r"read-?only"):
        beside.run_sync(put, "b")
    beside.dispose()


@pytest.mark.parametrize(
    "url", ["", "ledger.db", "mysql://host/name", "sqlite://", "postgresql://h"]
)
def test_another_kind_of_url_is_refused(url: str) -> None:
    with pytest.raises(InvalidArgument) as refusal:
        Database(url)
    assert refusal.value.violations[0].field == "database"


def test_an_unreachable_database_is_unavailable(tmp_path: Path) -> None:
    database = Database("postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(Unavailable):
        database.run_sync(keys)
    database.dispose()
    with pytest.raises(Unavailable):
        Database(f"sqlite:///{tmp_path}/none.db", read_only=True).read_sync(keys)
