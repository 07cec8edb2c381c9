"""A chain with the common tables alone, for tests of what all servers share."""

from alembic import op

from service_kit.database.migrate import create_common_tables_v1

revision = "0001"
down_revision = None


def upgrade() -> None:
    create_common_tables_v1(op)
