"""A table with a column of every type."""

import sqlalchemy as sa
from alembic import op

from service_kit.database.migrate import create_common_tables_v1

revision = "0001"
down_revision = None


def upgrade() -> None:
    create_common_tables_v1(op)
    op.create_table(
        "things",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("parent_id", sa.String(36), sa.ForeignKey("things.id")),
        sa.Column("big", sa.BigInteger, nullable=False),
        sa.Column("flag", sa.Boolean, nullable=False),
        sa.Column("data", sa.JSON, nullable=False),
        sa.Column("secret", sa.LargeBinary),
    )
