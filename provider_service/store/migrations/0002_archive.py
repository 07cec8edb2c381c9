"""Archives: their own tables, and how long each organization's are kept."""

import sqlalchemy as sa
from alembic import op

from archive_gateway.store.tables import create_archive_tables_v1

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add what archives need."""
    create_archive_tables_v1(op)
    for column in (
        sa.Column("delete_delay_seconds", sa.BigInteger, nullable=False, server_default="2592000"),
        sa.Column("retention_seconds", sa.BigInteger, nullable=False, server_default="7776000"),
        sa.Column("append_only", sa.Boolean, nullable=False, server_default=sa.false()),
    ):
        op.add_column("organizations", column)
