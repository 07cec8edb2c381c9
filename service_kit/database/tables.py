"""The tables that every server has, and how a service declares its own."""

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, String, Table, Text

from service_kit.database.types import AutoId, UtcTime

# Constraints have the same names on both engines, so that migrations can name them.
NAMING = {
    "ix": "%(table_name)s_%(column_0_N_name)s",
    "uq": "%(table_name)s_%(column_0_N_name)s_key",
    "ck": "%(table_name)s_%(constraint_name)s_check",
    "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
    "pk": "%(table_name)s_pkey",
}


def service_metadata() -> MetaData:
    """Where a service declares its own tables; one each, as names repeat between services."""
    return MetaData(naming_convention=NAMING)


common_metadata = service_metadata()

access_tokens = Table(
    "access_tokens",
    common_metadata,
    Column("name", String(100), primary_key=True),
    Column("secret_hash", String(64), nullable=False, unique=True),
    Column("role", String(16), nullable=False),
    Column("create_time", UtcTime, nullable=False),
    Column("expire_time", UtcTime),
    Column("revoke_time", UtcTime),
)

audit_events = Table(
    "audit_events",
    common_metadata,
    Column("id", AutoId, primary_key=True),
    Column("time", UtcTime, nullable=False),
    Column("kind", String(64), nullable=False),
    Column("organization_id", String(36), nullable=False),
    Column("subject", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("seat_delta", Integer, nullable=False),
    Column("count", Integer, nullable=False),
    # Set on rows that stand for all like events of a minute.
    Column("minute_key", Text, unique=True),
)
Index("audit_events_organization", audit_events.c.organization_id, audit_events.c.id)

license_table = Table(
    "license",
    common_metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),  # always 1: there is one row
    Column("seats", Integer, nullable=False),
    Column("seats_in_use", BigInteger, nullable=False),
)

server_state = Table(
    "server_state",
    common_metadata,
    Column("key", String(100), primary_key=True),
    Column("value", Text, nullable=False),
)
