"""Archives, their quotas, and how devices sign in."""

import sqlalchemy as sa
from alembic import op

from archive_gateway.store.tables import create_archive_tables_v1
from service_kit.database.types import AutoId, UtcTime

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the tables and columns."""
    create_archive_tables_v1(op)
    _add_columns()
    _create_enrollment_codes()
    _create_recovery_keys()


def _add_columns() -> None:
    append_only = sa.Column("append_only", sa.Boolean, nullable=False, server_default=sa.false())
    key = sa.Column("key_thumbprint", sa.String(64), nullable=False, server_default="")
    op.add_column("organizations", sa.Column("disk_quota_bytes", sa.BigInteger))
    op.add_column("organizations", sa.Column("delete_delay_seconds", sa.BigInteger))
    op.add_column("organizations", sa.Column("retention_seconds", sa.BigInteger))
    op.add_column("organizations", append_only)
    op.add_column("users", sa.Column("disk_quota_bytes", sa.BigInteger))
    op.add_column("storages", sa.Column("usage", sa.JSON))
    op.add_column("devices", key)
    op.add_column("devices", sa.Column("enroll_time", UtcTime))


def _create_enrollment_codes() -> None:
    op.create_table(
        "enrollment_codes",
        sa.Column("device_id", sa.String(36), nullable=False),
        sa.Column("code_hash", sa.String(64), nullable=False),
        sa.Column("expire_time", UtcTime, nullable=False),
        sa.Column("key_thumbprint", sa.String(64), nullable=False),
        sa.ForeignKeyConstraint(
            ["device_id"], ["devices.id"], name="enrollment_codes_device_id_fkey"
        ),
        sa.PrimaryKeyConstraint("device_id", name="enrollment_codes_pkey"),
        sa.UniqueConstraint("code_hash", name="enrollment_codes_code_hash_key"),
    )


def _create_recovery_keys() -> None:
    op.create_table(
        "recovery_keys",
        sa.Column("id", AutoId, primary_key=True),
        sa.Column("recipient", sa.Text, nullable=False),
        sa.Column("statement", sa.Text, nullable=False),
        sa.Column("create_time", UtcTime, nullable=False),
    )
