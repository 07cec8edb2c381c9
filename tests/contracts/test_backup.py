"""Backup and restore of a server."""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    LargeBinary,
    MetaData,
    String,
    Table,
    insert,
    select,
)

from service_kit.database.backup import backup, restore
from service_kit.database.backup_file import Manifest
from service_kit.database.engine import Database, Transaction
from service_kit.database.migrate import revision, upgrade
from service_kit.database.paging import PageRequest
from service_kit.errors import AlreadyExists, Conflict
from service_kit.identity.identity import Identity
from service_kit.ledger import audit, license
from service_kit.reasons import Reason
from tests.support.databases import Ledgers, PostgresqlLedgers, SqliteLedgers

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
# A chain of two revisions: the second one adds a column to the first one's table.
CHAIN = "tests.support.backup_migrations"

things = Table(
    "things",
    MetaData(),
    Column("id", String(36), primary_key=True),
    Column("parent_id", ForeignKey("things.id")),
    Column("big", BigInteger, nullable=False),
    Column("flag", Boolean, nullable=False),
    Column("data", JSON, nullable=False),
    Column("secret", LargeBinary),
)
ROWS: list[dict[str, Any]] = [
    # The parent comes after its child.
    {"id": "a", "parent_id": "b", "big": 2**62, "flag": True, "data": {"é": [1]}, "secret": None},
    {"id": "b", "parent_id": None, "big": -1, "flag": False, "data": None, "secret": b"\x00\xff"},
]


@pytest.fixture
def source(ledgers: Ledgers) -> Iterator[Database]:
    """A ledger with rows of every type."""
    yield from opened(ledgers, ledgers.migrated(CHAIN), write_rows)


@pytest.fixture
def target(ledgers: Ledgers) -> Iterator[Database]:
    yield from opened(ledgers, ledgers.empty())


def opened(
    ledgers: Ledgers, url: str, prepare: Callable[[Transaction], None] | None = None
) -> Iterator[Database]:
    database = Database(url)
    if prepare is not None:
        database.run_sync(prepare)
    yield database
    database.dispose()
    ledgers.drop(url)


@pytest.fixture
def identity(tmp_path: Path) -> Path:
    path = tmp_path / "identity.pem"
    Identity.load_or_create(path)
    return path


@pytest.fixture
def file(tmp_path: Path, source: Database, identity: Path) -> Path:
    """A backup."""
    path = tmp_path / "server.backup"
    backup(source, kind="provider", identity=identity, file=path, now=NOW)
    return path


def write_rows(tx: Transaction) -> None:
    tx.execute(insert(things), ROWS[1:])
    tx.execute(insert(things), ROWS[:1])
    audit.record(tx, "organization.created", now=NOW)
    license.set_seats(tx, 7, NOW)


def read_rows(tx: Transaction) -> list[dict[str, Any]]:
    return [row._asdict() for row in tx.execute(select(things).order_by(things.c.id))]


def nothing(tx: Transaction) -> None:
    """A server that marks nothing."""


def bring_back(
    target: Database,
    file: Path,
    identity: Path,
    after: Callable[[Transaction], None] = nothing,
    *,
    kind: str = "provider",
    force: bool = False,
) -> Manifest:
    return restore(
        target,
        kind=kind,
        migrations=CHAIN,
        identity=identity,
        file=file,
        after_restore=after,
        force=force,
    )


def test_a_restored_server_is_the_one_that_was_backed_up(
    file: Path, target: Database, identity: Path, tmp_path: Path
) -> None:
    new_home = tmp_path / "new.pem"
    manifest = bring_back(target, file, new_home)
    assert new_home.read_bytes() == identity.read_bytes()
    assert new_home.stat().st_mode & 0o777 == 0o600
    assert target.read_sync(read_rows) == ROWS
    assert target.read_sync(license.get).seats == 7
    assert manifest.tables["things"] == 2
    assert manifest.guid == Identity.load(identity).guid


def test_an_older_servers_backup_is_migrated(
    ledgers: Ledgers, target: Database, identity: Path, tmp_path: Path
) -> None:
    def old_schema(tx: Transaction) -> None:
        upgrade(tx, CHAIN, "0001")
        write_rows(tx)

    file = tmp_path / "old.backup"
    for old in opened(ledgers, ledgers.empty(), old_schema):
        backup(old, kind="provider", identity=identity, file=file, now=NOW)
    assert bring_back(target, file, identity).revision == "0001"
    assert target.read_sync(revision) == "0002"
    assert target.read_sync(read_rows) == ROWS


def test_a_ledger_moves_from_sqlite_to_postgresql(
    sqlite_ledgers: SqliteLedgers,
    postgresql_ledgers: PostgresqlLedgers,
    identity: Path,
    tmp_path: Path,
) -> None:
    file = tmp_path / "moving.backup"
    for source in opened(sqlite_ledgers, sqlite_ledgers.migrated(CHAIN), write_rows):
        backup(source, kind="provider", identity=identity, file=file, now=NOW)
    for target in opened(postgresql_ledgers, postgresql_ledgers.empty()):
        bring_back(target, file, identity)
        assert target.read_sync(read_rows) == ROWS


def test_ids_go_on_after_those_restored(file: Path, target: Database, tmp_path: Path) -> None:
    bring_back(target, file, tmp_path / "new.pem")
    before = target.read_sync(audit.last_id)
    target.run_sync(audit.record, "organization.created", now=NOW)
    assert target.read_sync(audit.last_id) == before + 1


def test_references_hold_after_a_restore(file: Path, target: Database, tmp_path: Path) -> None:
    bring_back(target, file, tmp_path / "new.pem")
    orphan = {**ROWS[0], "id": "c", "parent_id": "none"}
    with pytest.raises(Exception, match=r"(?i)foreign key"):
        target.run_sync(lambda tx: tx.execute(insert(things), [orphan]).close())


def test_what_the_service_marks_is_part_of_the_restore(
    file: Path, target: Database, tmp_path: Path
) -> None:
    def mark(tx: Transaction) -> None:
        audit.record(tx, "server.restored", now=NOW)

    bring_back(target, file, tmp_path / "new.pem", mark)
    page = target.read_sync(audit.list_events, audit.AuditFilter(), PageRequest())
    assert page.items[-1].kind == "server.restored"


def test_a_failing_mark_leaves_the_target_empty(
    file: Path, target: Database, tmp_path: Path
) -> None:
    def fail(tx: Transaction) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        bring_back(target, file, tmp_path / "new.pem", fail)
    assert not (tmp_path / "new.pem").exists()
    bring_back(target, file, tmp_path / "new.pem")


def test_a_backup_is_private_and_leaves_nothing_beside_it(file: Path, identity: Path) -> None:
    assert file.stat().st_mode & 0o777 == 0o600
    assert sorted(file.parent.iterdir()) == [identity, file]


def test_a_backup_never_overwrites(file: Path, source: Database, identity: Path) -> None:
    before = file.read_bytes()
    with pytest.raises(AlreadyExists):
        backup(source, kind="provider", identity=identity, file=file, now=NOW)
    assert file.read_bytes() == before


def test_a_backup_is_taken_beside_a_running_server(
    source: Database, identity: Path, tmp_path: Path
) -> None:
    beside = Database(source.url.render_as_string(hide_password=False), read_only=True)
    path = tmp_path / "online.backup"

    def write_meanwhile(tx: Transaction) -> Manifest:
        audit.record(tx, "organization.created", now=NOW)
        return backup(beside, kind="provider", identity=identity, file=path, now=NOW)

    manifest = source.run_sync(write_meanwhile)
    assert manifest.tables["audit_events"] == 2
    beside.dispose()


def test_a_used_place_is_refused_and_kept(
    file: Path, source: Database, identity: Path, tmp_path: Path
) -> None:
    with pytest.raises(Conflict) as refusal:
        bring_back(source, file, identity)
    assert refusal.value.reason is Reason.WRONG_STATE
    assert source.read_sync(read_rows) == ROWS


def test_another_identity_is_refused_and_kept(file: Path, target: Database, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    before = Identity.load_or_create(other).pem()
    with pytest.raises(Conflict) as refusal:
        bring_back(target, file, other)
    assert refusal.value.reason is Reason.WRONG_STATE
    assert other.read_bytes() == before


def test_force_replaces_what_is_there(file: Path, source: Database, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    Identity.load_or_create(other)
    source.run_sync(lambda tx: tx.execute(things.delete().where(things.c.id == "a")).close())
    manifest = bring_back(source, file, other, force=True)
    assert source.read_sync(read_rows) == ROWS
    assert Identity.load(other).guid == manifest.guid


def changed(file: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """The backup with its files changed, packed well."""
    with tarfile.open(file) as tar:
        files = {each.name: tar.extractfile(each).read() for each in tar}  # type: ignore[union-attr]
    change(files)
    path = file.with_name("changed.backup")
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def in_manifest(files: dict[str, bytes], **values: object) -> None:
    files["manifest.json"] = json.dumps({**json.loads(files["manifest.json"]), **values}).encode()


def other_identity(files: dict[str, bytes]) -> None:
    files["identity.pem"] = Identity.create().pem()
    digests = json.loads(files["manifest.json"])["digests"]
    digests["identity.pem"] = hashlib.sha256(files["identity.pem"]).hexdigest()
    in_manifest(files, digests=digests)


CHANGES: dict[str, Callable[[dict[str, bytes]], object]] = {
    "a row more": lambda files: files.update({"things.jsonl": files["things.jsonl"] * 2}),
    "a table less": lambda files: files.pop("things.jsonl"),
    "a file more": lambda files: files.update({"more.jsonl": b""}),
    "a path out of it": lambda files: files.update({"../escaped": b""}),
    "no manifest": lambda files: files.pop("manifest.json"),
    "a manifest of nothing": lambda files: files.update({"manifest.json": b"{}"}),
    "another format": lambda files: in_manifest(files, format=2),
    "another identity": other_identity,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_changed_backup_is_refused(
    file: Path, target: Database, tmp_path: Path, change: Callable[[dict[str, bytes]], None]
) -> None:
    assert_unreadable(target, changed(file, change), tmp_path)


def test_a_broken_backup_is_refused(file: Path, target: Database, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    whole = file.read_bytes()
    for content in (b"", b"text", whole[:-20], whole[: len(whole) // 2], gzip.compress(b"text")):
        broken.write_bytes(content)
        assert_unreadable(target, broken, tmp_path)
    assert_unreadable(target, tmp_path / "missing", tmp_path)


def test_the_other_kind_of_server_is_refused(file: Path, target: Database, tmp_path: Path) -> None:
    assert_unreadable(target, file, tmp_path, kind="customer")


def assert_unreadable(
    target: Database, file: Path, tmp_path: Path, *, kind: str = "provider"
) -> None:
    new_home = tmp_path / "new.pem"
    with pytest.raises(Conflict) as refusal:
        bring_back(target, file, new_home, kind=kind)
    assert refusal.value.reason is Reason.BACKUP_UNREADABLE
    assert not new_home.exists()


def test_a_newer_schema_is_refused(file: Path, target: Database, tmp_path: Path) -> None:
    newer = changed(file, lambda files: in_manifest(files, revision="0999"))
    with pytest.raises(Conflict) as refusal:
        bring_back(target, newer, tmp_path / "new.pem")
    assert refusal.value.reason is Reason.SCHEMA_NEWER
