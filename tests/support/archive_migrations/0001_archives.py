"""A chain with the common tables and the archives' alone, for tests of the gateway by itself."""

from alembic import op

from archive_gateway.store.tables import create_archive_tables_v1
from service_kit.database.migrate import create_common_tables_v1

revision = "0001"
down_revision = None


def upgrade() -> None:
    create_common_tables_v1(op)
    create_archive_tables_v1(op)
