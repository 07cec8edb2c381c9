"""Brings a ledger to the schema of this program: one Alembic chain for both engines.

A chain is a package with one file a revision; `service_kit/database/alembic` is its environment.
"""

from importlib.resources import files
from pathlib import Path
from types import ModuleType

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from service_kit.database.engine import Database, Transaction
from service_kit.database.types import AutoId, UtcTime
from service_kit.errors import Conflict
from service_kit.reasons import Reason

FIRST_SEATS = 25  # what a new server's license has
_ADVISORY_LOCK = 0x0FF517E  # any number that no other program uses on this database


def migrate(database: Database, migrations: str) -> None:
    """Bring a ledger to the newest revision of a chain, in one transaction.

    Raises:
        Conflict: SCHEMA_NEWER, a newer program has migrated it already.
    """
    database.use_wal()
    database.run_sync(upgrade, migrations, "head")


def upgrade(tx: Transaction, migrations: str, to: str) -> None:
    """Apply a chain up to a revision.

    Raises:
        Conflict: SCHEMA_NEWER, the ledger's revision or `to` is not in the chain.
    """
    if tx.dialect.name == "postgresql":
        # Replicas start at the same time.
        tx.execute(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_LOCK)))
    config = _config(migrations)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    for wanted in (revision(tx), to):
        if wanted not in {None, "head", *known}:
            raise _newer(wanted)
    config.attributes["connection"] = tx
    command.upgrade(config, to)


def revision(tx: Transaction) -> str | None:
    """The ledger's revision, or None before the first migration."""
    return MigrationContext.configure(tx).get_current_revision()


def create_common_tables_v1(op: ModuleType) -> None:
    """The common tables of `service_kit.database.tables`, for the first revision of a service."""
    op.create_table(
        "access_tokens",
        sa.Column("name", sa.String(100), primary_key=True),
        sa.Column("secret_hash", sa.String(64), nullable=False, unique=True),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("create_time", UtcTime, nullable=False),
        sa.Column("expire_time", UtcTime),
        sa.Column("revoke_time", UtcTime),
    )
    _create_audit_events_v1(op)
    license_table = op.create_table(
        "license",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("seats", sa.Integer, nullable=False),
        sa.Column("seats_in_use", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(license_table, [{"id": 1, "seats": FIRST_SEATS, "seats_in_use": 0}])
    op.create_table(
        "server_state",
        sa.Column("key", sa.String(100), primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )


def _create_audit_events_v1(op: ModuleType) -> None:
    op.create_table(
        "audit_events",
        sa.Column("id", AutoId, primary_key=True),
        sa.Column("time", UtcTime, nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("organization_id", sa.String(36), nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("seat_delta", sa.Integer, nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("minute_key", sa.Text, unique=True),
    )
    op.create_index("audit_events_organization", "audit_events", ["organization_id", "id"])


def _config(migrations: str) -> Config:
    config = Config()
    # One folder, whatever characters its path has: % would start an interpolation.
    config.set_main_option("path_separator", "newline")
    environment = Path(__file__).with_name("alembic")
    config.set_main_option("script_location", str(environment).replace("%", "%%"))
    config.set_main_option("version_locations", str(files(migrations)).replace("%", "%%"))
    return config


def _newer(found: str | None) -> Conflict:
    return Conflict(
        Reason.SCHEMA_NEWER,
        f"The ledger has revision {found}, which this program does not know.",
        "Use the newer program that made it, or restore a backup that this one made.",
    )
