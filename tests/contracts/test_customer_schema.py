from archive_gateway.store.tables import archive_metadata
from customer_service.store import tables
from service_kit.database.engine import Database
from tests.support.databases import schema_differences


def test_the_migrations_make_the_tables_of_the_code(customer_database: Database) -> None:
    assert schema_differences(customer_database, tables.metadata, archive_metadata) == []
