"""The customer's own tables, beside the common ones of `service_kit.database.tables`."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    false,
)
from sqlalchemy.types import JSON, LargeBinary

from service_kit.database.tables import service_metadata
from service_kit.database.types import AutoId, UtcTime

metadata = service_metadata()

SERVER = ""  # the organization_id of the server's own default destinations

organizations = Table(
    "organizations",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("name", Text, nullable=False),
    Column("name_key", Text, nullable=False, unique=True),
    Column("parent_id", ForeignKey("organizations.id")),
    Column("deactivated", Boolean, nullable=False),
    Column("inherits", Boolean, nullable=False),
    Column("create_time", UtcTime, nullable=False),
    Column("version", Integer, nullable=False),
    Column("disk_quota_bytes", BigInteger),
    Column("delete_delay_seconds", BigInteger),
    Column("retention_seconds", BigInteger),
    Column("append_only", Boolean, nullable=False, server_default=false()),
)
Index("organizations_parent", organizations.c.parent_id)

users = Table(
    "users",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("email", Text, nullable=False),
    Column("email_key", Text, nullable=False, unique=True),
    Column("organization_id", ForeignKey("organizations.id"), nullable=False),
    Column("state", String(16), nullable=False),
    Column("inherits_destinations", Boolean, nullable=False),
    Column("create_time", UtcTime, nullable=False),
    Column("version", Integer, nullable=False),
    Column("disk_quota_bytes", BigInteger),
)
Index("users_organization", users.c.organization_id)

devices = Table(
    "devices",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("name", Text, nullable=False),
    Column("name_key", Text, nullable=False),
    Column("user_id", ForeignKey("users.id"), nullable=False),
    Column("deactivated", Boolean, nullable=False),
    Column("deauthorized", Boolean, nullable=False),
    Column("create_time", UtcTime, nullable=False),
    Column("key_thumbprint", String(64), nullable=False, server_default=""),
    Column("enroll_time", UtcTime),
)
_in_use = devices.c.deactivated.is_(False)
Index(
    "devices_user_name",
    devices.c.user_id,
    devices.c.name_key,
    unique=True,
    sqlite_where=_in_use,
    postgresql_where=_in_use,
)
Index("devices_name", devices.c.name_key)

# At most one a device; whoever changes it holds the device's row. The codes themselves are nowhere.
enrollment_codes = Table(
    "enrollment_codes",
    metadata,
    Column("device_id", ForeignKey("devices.id"), primary_key=True),
    Column("code_hash", String(64), nullable=False, unique=True),
    Column("expire_time", UtcTime, nullable=False),
    # Of the key that it was used for, which alone may use it again.
    Column("key_thumbprint", String(64), nullable=False),
)

# The newest is in force; rows are never changed or removed.
recovery_keys = Table(
    "recovery_keys",
    metadata,
    Column("id", AutoId, primary_key=True),
    Column("recipient", Text, nullable=False),
    Column("statement", Text, nullable=False),
    Column("create_time", UtcTime, nullable=False),
)

storages = Table(
    "storages",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("name", Text, nullable=False),
    Column("name_key", Text, nullable=False),
    Column("type", String(16), nullable=False),
    Column("hostname", Text, nullable=False),
    Column("provider_guid", String(36), nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason_code", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("advice", Text, nullable=False),
    Column("sealed_key", LargeBinary),
    Column("epoch", BigInteger, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("session_nonce", String(36), nullable=False),
    Column("compared", Boolean, nullable=False),
    Column("entitlement", JSON, nullable=False),
    Column("usage", JSON(none_as_null=True)),
    Column("last_contact_time", UtcTime),
    Column("reconcile_time", UtcTime),
    Column("next_attempt_time", UtcTime),
    Column("attempts", Integer, nullable=False),
    Column("create_time", UtcTime, nullable=False),
)
# Detached storages stand aside: name and provider may be used again.
_present = storages.c.state != "detached"
Index(
    "storages_name",
    storages.c.name_key,
    unique=True,
    sqlite_where=_present,
    postgresql_where=_present,
)
Index(
    "storages_provider",
    storages.c.provider_guid,
    unique=True,
    sqlite_where=_present,
    postgresql_where=_present,
)

default_destinations = Table(
    "default_destinations",
    metadata,
    Column("organization_id", String(36), primary_key=True),
    Column("storage_id", ForeignKey("storages.id"), primary_key=True),
)

user_destinations = Table(
    "user_destinations",
    metadata,
    Column("user_id", ForeignKey("users.id"), primary_key=True),
    Column("storage_id", ForeignKey("storages.id"), primary_key=True),
)

# Ledger and outbox in one: a row in `acquiring` or `releasing` is a change that the provider has
# not answered yet. Rows are kept for ever, so that a generation is never used twice.
seats = Table(
    "seats",
    metadata,
    Column("storage_id", ForeignKey("storages.id"), primary_key=True),
    Column("device_id", ForeignKey("devices.id"), primary_key=True),
    Column("generation", BigInteger, nullable=False),
    Column("acknowledged", BigInteger, nullable=False),
    Column("acknowledged_held", Boolean, nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason_code", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("advice", Text, nullable=False),
    Column("update_time", UtcTime, nullable=False),
    Column("next_attempt_time", UtcTime),
    Column("attempts", Integer, nullable=False),
)
Index("seats_device", seats.c.device_id)
Index("seats_state", seats.c.storage_id, seats.c.state)
_waiting = seats.c.next_attempt_time.is_not(None)
Index(
    "seats_outbox",
    seats.c.next_attempt_time,
    sqlite_where=_waiting,
    postgresql_where=_waiting,
)

unclaimed_seats = Table(
    "unclaimed_seats",
    metadata,
    Column("storage_id", ForeignKey("storages.id"), primary_key=True),
    Column("device_guid", String(36), primary_key=True),
    Column("device_name", Text, nullable=False),
    Column("generation", BigInteger, nullable=False),
)
