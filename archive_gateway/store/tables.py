"""The tables of the archives' ledger; a service's own chain of migrations makes them."""

from types import ModuleType

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from service_kit.database.tables import service_metadata
from service_kit.database.types import AutoId, UtcTime

LIVE, DELETED, QUARANTINED, PURGING = "live", "deleted", "quarantined", "purging"


def _tables(metadata: MetaData) -> None:
    """Declare the tables as their first version made them."""
    # The row that every change of an account's bytes takes first, so that quotas hold.
    Table(
        "archive_accounts",
        metadata,
        Column("account_id", String(36), primary_key=True),
        Column("stored_bytes", BigInteger, nullable=False),
        Column("reserved_bytes", BigInteger, nullable=False),
        Column("kept_bytes", BigInteger, nullable=False),
        Column("prune_allowance_expire_time", UtcTime),
        # The highest thresholds of quota and seats that were warned of, in per cent.
        Column("warned_quota_percent", Integer, nullable=False),
        Column("warned_seats_percent", Integer, nullable=False),
    )
    Table(
        "archives",
        metadata,
        Column("id", AutoId, primary_key=True),
        Column("account_id", String(36), nullable=False),
        Column("device_guid", String(36), nullable=False),
        Column("stored_bytes", BigInteger, nullable=False),
        Column("reserved_bytes", BigInteger, nullable=False),
        Column("kept_bytes", BigInteger, nullable=False),
        Column("uploaded_bytes", BigInteger, nullable=False),
        Column("downloaded_bytes", BigInteger, nullable=False),
        Column("last_backup_time", UtcTime),
        # What was deleted up to here may be gone for good: the past before it is not complete.
        Column("purge_time", UtcTime),
        UniqueConstraint("account_id", "device_guid"),
    )
    _blobs(metadata)
    Table(
        "archive_reservations",
        metadata,
        Column("nonce", String(24), primary_key=True),
        Column("archive_id", ForeignKey("archives.id"), nullable=False),
        Column("type", String(9), nullable=False),
        Column("name", String(64), nullable=False),
        Column("bytes", BigInteger, nullable=False),
        Column("expire_time", UtcTime, nullable=False),
        Index("archive_reservations_expire_time", "expire_time"),
        Index("archive_reservations_archive", "archive_id"),
    )
    Table(
        "archive_grants",
        metadata,
        Column("id", String(36), primary_key=True),
        Column("account_id", String(36), nullable=False),
        Column("device_guid", String(36), nullable=False),
        Column("creator", Text, nullable=False),
        Column("create_time", UtcTime, nullable=False),
        Column("expire_time", UtcTime, nullable=False),
        Column("revoke_time", UtcTime),
        Index("archive_grants_account", "account_id"),
    )


def _blobs(metadata: MetaData) -> None:
    blobs = Table(
        "archive_blobs",
        metadata,
        Column("nonce", String(24), primary_key=True),
        Column("archive_id", ForeignKey("archives.id"), nullable=False),
        Column("type", String(9), nullable=False),
        Column("name", String(64), nullable=False),
        Column("size", BigInteger, nullable=False),
        Column("state", String(12), nullable=False),
        # It is, or was, part of the repository from here to its delete_time.
        Column("live_time", UtcTime, nullable=False),
        Column("confirm_time", UtcTime, nullable=False),
        Column("delete_time", UtcTime),
    )
    columns = blobs.c
    live, deleted = columns.state == LIVE, columns.state == DELETED
    gone = columns.state == QUARANTINED
    for name, keys, unique, where in (
        # A repository's blobs: at most one of a name; lists are read from this index alone.
        ("archive_blobs_live", (columns.archive_id, columns.type, columns.name), True, live),
        ("archive_blobs_deleted", (columns.archive_id, columns.delete_time), False, deleted),
        ("archive_blobs_quarantined", (columns.archive_id,), False, gone),
        ("archive_blobs_purging", (columns.nonce,), False, columns.state == PURGING),
    ):
        Index(name, *keys, unique=unique, sqlite_where=where, postgresql_where=where)
    # Earlier times in a repository of blobs that an undelete has moved in or out since.
    Table(
        "archive_blob_history",
        metadata,
        Column("nonce", ForeignKey("archive_blobs.nonce", ondelete="CASCADE"), primary_key=True),
        Column("live_time", UtcTime, primary_key=True),
        Column("delete_time", UtcTime, nullable=False),
    )


archive_metadata = service_metadata()
_tables(archive_metadata)

accounts = archive_metadata.tables["archive_accounts"]
archives = archive_metadata.tables["archives"]
blobs = archive_metadata.tables["archive_blobs"]
history = archive_metadata.tables["archive_blob_history"]
reservations = archive_metadata.tables["archive_reservations"]
grants = archive_metadata.tables["archive_grants"]


def create_archive_tables_v1(op: ModuleType) -> None:
    """The tables as above, for the revision of a service that brings archives.

    A later change of a table belongs into a revision of its own, and this stays as it is.
    """
    metadata = service_metadata()
    _tables(metadata)
    metadata.create_all(op.get_bind())
