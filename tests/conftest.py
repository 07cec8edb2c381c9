"""Fixtures that tests of several folders share."""

from collections.abc import Iterator

import pytest

from service_kit.database.engine import Database
from tests.support import databases
from tests.support.databases import Ledgers, PostgresqlLedgers, SqliteLedgers


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


def _migrated(ledgers: Ledgers, migrations: str) -> Iterator[Database]:
    url = ledgers.migrated(migrations)
    database = Database(url)
    yield database
    database.dispose()
    ledgers.drop(url)
