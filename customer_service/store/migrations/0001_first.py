"""The first schema: the tree, the storages, and the ledger of seats."""

import sqlalchemy as sa
from alembic import op

from service_kit.database.migrate import create_common_tables_v1
from service_kit.database.types import UtcTime

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    create_common_tables_v1(op)
    _create_organizations()
    _create_users()
    _create_devices()
    _create_storages()
    _create_default_destinations()
    _create_user_destinations()
    _create_seats()
    _create_unclaimed_seats()


def _create_organizations() -> None:
    op.create_table(
        "organizations",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("name_key", sa.Text, nullable=False),
        sa.Column("parent_id", sa.String(36)),
        sa.Column("deactivated", sa.Boolean, nullable=False),
        sa.Column("inherits", sa.Boolean, nullable=False),
        sa.Column("create_time", UtcTime, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.ForeignKeyConstraint(
            ["parent_id"], ["organizations.id"], name="organizations_parent_id_fkey"
        ),
        sa.PrimaryKeyConstraint("id", name="organizations_pkey"),
        sa.UniqueConstraint("name_key", name="organizations_name_key_key"),
    )
    op.create_index("organizations_parent", "organizations", ["parent_id"])


def _create_users() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("email_key", sa.Text, nullable=False),
        sa.Column("organization_id", sa.String(36), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("inherits_destinations", sa.Boolean, nullable=False),
        sa.Column("create_time", UtcTime, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name="users_organization_id_fkey"
        ),
        sa.PrimaryKeyConstraint("id", name="users_pkey"),
        sa.UniqueConstraint("email_key", name="users_email_key_key"),
    )
    op.create_index("users_organization", "users", ["organization_id"])


def _create_devices() -> None:
    op.create_table(
        "devices",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("name_key", sa.Text, nullable=False),
        sa.Column("user_id", sa.String(36), nullable=False),
        sa.Column("deactivated", sa.Boolean, nullable=False),
        sa.Column("deauthorized", sa.Boolean, nullable=False),
        sa.Column("create_time", UtcTime, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="devices_user_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="devices_pkey"),
    )
    op.create_index("devices_name", "devices", ["name_key"])
    op.create_index(
        "devices_user_name",
        "devices",
        ["user_id", "name_key"],
        unique=True,
        sqlite_where=sa.text("deactivated IS 0"),
        postgresql_where=sa.text("deactivated IS false"),
    )


def _create_storages() -> None:
    op.create_table(
        "storages",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("name_key", sa.Text, nullable=False),
        sa.Column("type", sa.String(16), nullable=False),
        sa.Column("hostname", sa.Text, nullable=False),
        sa.Column("provider_guid", sa.String(36), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason_code", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("advice", sa.Text, nullable=False),
        sa.Column("sealed_key", sa.LargeBinary),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("session_nonce", sa.String(36), nullable=False),
        sa.Column("compared", sa.Boolean, nullable=False),
        sa.Column("entitlement", sa.JSON, nullable=False),
        sa.Column("last_contact_time", UtcTime),
        sa.Column("reconcile_time", UtcTime),
        sa.Column("next_attempt_time", UtcTime),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("create_time", UtcTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="storages_pkey"),
    )
    op.create_index(
        "storages_name",
        "storages",
        ["name_key"],
        unique=True,
        sqlite_where=sa.text("state != 'detached'"),
        postgresql_where=sa.text("state != 'detached'"),
    )
    op.create_index(
        "storages_provider",
        "storages",
        ["provider_guid"],
        unique=True,
        sqlite_where=sa.text("state != 'detached'"),
        postgresql_where=sa.text("state != 'detached'"),
    )


def _create_default_destinations() -> None:
    op.create_table(
        "default_destinations",
        sa.Column("organization_id", sa.String(36), nullable=False),
        sa.Column("storage_id", sa.String(36), nullable=False),
        sa.ForeignKeyConstraint(
            ["storage_id"], ["storages.id"], name="default_destinations_storage_id_fkey"
        ),
        sa.PrimaryKeyConstraint("organization_id", "storage_id", name="default_destinations_pkey"),
    )


def _create_user_destinations() -> None:
    op.create_table(
        "user_destinations",
        sa.Column("user_id", sa.String(36), nullable=False),
        sa.Column("storage_id", sa.String(36), nullable=False),
        sa.ForeignKeyConstraint(
            ["storage_id"], ["storages.id"], name="user_destinations_storage_id_fkey"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="user_destinations_user_id_fkey"),
        sa.PrimaryKeyConstraint("user_id", "storage_id", name="user_destinations_pkey"),
    )


def _create_seats() -> None:
    op.create_table(
        "seats",
        sa.Column("storage_id", sa.String(36), nullable=False),
        sa.Column("device_id", sa.String(36), nullable=False),
        sa.Column("generation", sa.BigInteger, nullable=False),
        sa.Column("acknowledged", sa.BigInteger, nullable=False),
        sa.Column("acknowledged_held", sa.Boolean, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason_code", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("advice", sa.Text, nullable=False),
        sa.Column("update_time", UtcTime, nullable=False),
        sa.Column("next_attempt_time", UtcTime),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.ForeignKeyConstraint(["device_id"], ["devices.id"], name="seats_device_id_fkey"),
        sa.ForeignKeyConstraint(["storage_id"], ["storages.id"], name="seats_storage_id_fkey"),
        sa.PrimaryKeyConstraint("storage_id", "device_id", name="seats_pkey"),
    )
    op.create_index("seats_device", "seats", ["device_id"])
    op.create_index("seats_state", "seats", ["storage_id", "state"])
    op.create_index(
        "seats_outbox",
        "seats",
        ["next_attempt_time"],
        sqlite_where=sa.text("next_attempt_time IS NOT NULL"),
        postgresql_where=sa.text("next_attempt_time IS NOT NULL"),
    )


def _create_unclaimed_seats() -> None:
    op.create_table(
        "unclaimed_seats",
        sa.Column("storage_id", sa.String(36), nullable=False),
        sa.Column("device_guid", sa.String(36), nullable=False),
        sa.Column("device_name", sa.Text, nullable=False),
        sa.Column("generation", sa.BigInteger, nullable=False),
        sa.ForeignKeyConstraint(
            ["storage_id"], ["storages.id"], name="unclaimed_seats_storage_id_fkey"
        ),
        sa.PrimaryKeyConstraint("storage_id", "device_guid", name="unclaimed_seats_pkey"),
    )
