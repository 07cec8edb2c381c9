"""Fixtures that tests of several folders share."""

import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from archive_gateway.blob_stores.s3 import S3Store
from service_kit.database.engine import Database
from tests.support import databases
from tests.support.archive_ledger import ArchiveLedger
from tests.support.databases import Ledgers, PostgresqlLedgers, SqliteLedgers
from tests.support.s3 import S3Endpoint, SeaweedFs


@pytest.fixture(scope="session")
def sqlite_ledgers(tmp_path_factory: pytest.TempPathFactory) -> SqliteLedgers:
    return SqliteLedgers(tmp_path_factory.mktemp("sqlite"))


@pytest.fixture(scope="session")
def postgresql_ledgers() -> Iterator[PostgresqlLedgers]:
    ledgers = PostgresqlLedgers()
    yield ledgers
    ledgers.close()


@pytest.fixture(params=databases.ENGINES)
def ledgers(request: pytest.FixtureRequest) -> Ledgers:
    found: Ledgers = request.getfixturevalue(f"{request.param}_ledgers")
    return found


@pytest.fixture
def database_url(ledgers: Ledgers) -> Iterator[str]:
    """An empty ledger of the test's own."""
    url = ledgers.empty()
    yield url
    ledgers.drop(url)


@pytest.fixture
def database(ledgers: Ledgers) -> Iterator[Database]:
    """A ledger with the common tables alone."""
    yield from _migrated(ledgers, databases.COMMON)


@pytest.fixture
def postgresql_database(postgresql_ledgers: PostgresqlLedgers) -> Iterator[Database]:
    """As `database`, for what can't happen on SQLite."""
    yield from _migrated(postgresql_ledgers, databases.COMMON)


@pytest.fixture
def provider_database(ledgers: Ledgers) -> Iterator[Database]:
    """A ledger of a provider's server."""
    yield from _migrated(ledgers, databases.PROVIDER)


@pytest.fixture
def customer_database(ledgers: Ledgers) -> Iterator[Database]:
    """A ledger of a customer's server."""
    yield from _migrated(ledgers, databases.CUSTOMER)


@pytest.fixture(scope="session")
def s3_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Endpoint]:
    """A real S3 server, for the whole session."""
    server = SeaweedFs(tmp_path_factory.mktemp("s3"))
    yield server.endpoint
    server.kill()


@pytest.fixture
async def s3_store(s3_endpoint: S3Endpoint, tmp_path: Path) -> AsyncIterator[S3Store]:
    """A store of the test's own, in the shared bucket."""
    where = s3_endpoint.where(uuid.uuid4().hex)
    store = S3Store(where, tmp_path / "spool", s3_endpoint.environment)
    yield store
    await store.close()


@pytest.fixture
def archive_database(ledgers: Ledgers) -> Iterator[Database]:
    """A ledger of archives alone."""
    yield from _migrated(ledgers, databases.ARCHIVE)


@pytest.fixture
def archive_ledger(archive_database: Database) -> Iterator[ArchiveLedger]:
    """The archives of a company with one device; at the end their counts must be right."""
    ledger = ArchiveLedger(archive_database)
    yield ledger
    ledger.check()


def _migrated(ledgers: Ledgers, migrations: str) -> Iterator[Database]:
    url = ledgers.migrated(migrations)
    database = Database(url)
    yield database
    database.dispose()
    ledgers.drop(url)
