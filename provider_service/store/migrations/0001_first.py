"""The first schema: organizations, their keys and seats, and the terms."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from service_kit.database.migrate import create_common_tables_v1
from service_kit.database.types import UtcTime

revision = "0001"
down_revision = None

_DEVICE_GUID = sa.String(36).with_variant(postgresql.VARCHAR(36, collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables."""
    create_common_tables_v1(op)
    _create_organizations()
    _create_former_customers()
    _create_registration_keys()
    _create_seats()
    _create_terms()


def _create_organizations() -> None:
    op.create_table(
        "organizations",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("name_key", sa.Text, nullable=False),
        sa.Column("hosted", sa.Boolean, nullable=False),
        sa.Column("customer_guid", sa.String(36), nullable=False),
        sa.Column("contact", sa.JSON, nullable=False),
        sa.Column("maximum_seats", sa.Integer),
        sa.Column("disk_quota_bytes", sa.BigInteger),
        sa.Column("disk_quota_unlimited", sa.Boolean, nullable=False),
        sa.Column("web_restore_user_limit_bytes", sa.BigInteger, nullable=False),
        sa.Column("web_restore_admin_limit_bytes", sa.BigInteger, nullable=False),
        sa.Column("terms_version", sa.String(12), nullable=False),
        sa.Column("terms_accept_time", UtcTime),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("suspend_reason", sa.Text, nullable=False),
        sa.Column("attachment", sa.String(16), nullable=False),
        sa.Column("rewound_confirmed", sa.Boolean, nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("floor", sa.BigInteger, nullable=False),
        sa.Column("session_nonces", sa.JSON, nullable=False),
        sa.Column("session_used", sa.Boolean, nullable=False),
        sa.Column("resync_parts", sa.Integer, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("seats_in_use", sa.Integer, nullable=False),
        sa.Column("seat_rows", sa.Integer, nullable=False),
        sa.Column("attach_time", UtcTime),
        sa.Column("last_contact_time", UtcTime),
        sa.Column("peer_version", sa.Text, nullable=False),
        sa.Column("peer_addresses", sa.JSON, nullable=False),
        sa.Column("last_refused_guid", sa.String(36), nullable=False),
        sa.Column("last_refused_time", UtcTime),
        sa.Column("create_time", UtcTime, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
    )
    in_force = sa.text("state != 'deactivated'")
    op.create_index(
        "organizations_name",
        "organizations",
        ["name_key"],
        unique=True,
        sqlite_where=in_force,
        postgresql_where=in_force,
    )
    named_server = sa.text("state != 'deactivated' AND customer_guid != ''")
    op.create_index(
        "organizations_customer_guid",
        "organizations",
        ["customer_guid"],
        unique=True,
        sqlite_where=named_server,
        postgresql_where=named_server,
    )
    op.create_index("organizations_any_customer_guid", "organizations", ["customer_guid"])


def _create_former_customers() -> None:
    op.create_table(
        "former_customers",
        sa.Column("guid", sa.String(36), primary_key=True),
        sa.Column(
            "organization_id", sa.String(36), sa.ForeignKey("organizations.id"), nullable=False
        ),
    )


def _create_registration_keys() -> None:
    op.create_table(
        "registration_keys",
        sa.Column("id", sa.String(8), primary_key=True),
        sa.Column(
            "organization_id", sa.String(36), sa.ForeignKey("organizations.id"), nullable=False
        ),
        sa.Column("key_hash", sa.String(64), nullable=False, unique=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("epoch", sa.BigInteger),
        sa.Column("create_time", UtcTime, nullable=False),
        sa.Column("expire_time", UtcTime, nullable=False),
    )
    not_ended = sa.text("state != 'ended'")
    op.create_index(
        "registration_keys_in_force",
        "registration_keys",
        ["organization_id"],
        unique=True,
        sqlite_where=not_ended,
        postgresql_where=not_ended,
    )


def _create_seats() -> None:
    op.create_table(
        "seats",
        sa.Column(
            "organization_id", sa.String(36), sa.ForeignKey("organizations.id"), primary_key=True
        ),
        sa.Column("device_guid", _DEVICE_GUID, primary_key=True),
        sa.Column("device_name", sa.Text, nullable=False),
        sa.Column("generation", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("live", sa.Boolean, nullable=False),
        sa.Column("revoked", sa.Boolean, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("acquire_time", UtcTime),
        sa.Column("update_time", UtcTime, nullable=False),
        sqlite_with_rowid=False,
    )


def _create_terms() -> None:
    op.create_table(
        "terms",
        sa.Column("version", sa.String(12), primary_key=True),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("update_time", UtcTime, nullable=False),
    )
