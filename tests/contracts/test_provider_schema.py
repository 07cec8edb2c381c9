from archive_gateway.store.tables import archive_metadata
from provider_service.store import tables
from service_kit.database.engine import Database
from tests.support.databases import schema_differences


def test_the_migrations_make_the_tables_of_the_code(provider_database: Database) -> None:
    assert schema_differences(provider_database, tables.metadata, archive_metadata) == []
