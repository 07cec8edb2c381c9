"""The provider's own tables, beside the common ones of `service_kit.database.tables`."""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, String, Table, Text
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import JSON

from service_kit.database.tables import service_metadata
from service_kit.database.types import UtcTime

metadata = service_metadata()

# Ordered by bytes on both engines, for both sides' digests go through seats in that order.
DeviceGuid = String(36).with_variant(postgresql.VARCHAR(36, collation="C"), "postgresql")

organizations = Table(
    "organizations",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("name", Text, nullable=False),
    Column("name_key", Text, nullable=False),
    Column("hosted", Boolean, nullable=False),
    Column("customer_guid", String(36), nullable=False),
    Column("contact", JSON, nullable=False),
    Column("maximum_seats", Integer),
    Column("disk_quota_bytes", BigInteger),
    Column("disk_quota_unlimited", Boolean, nullable=False),
    Column("web_restore_user_limit_bytes", BigInteger, nullable=False),
    Column("web_restore_admin_limit_bytes", BigInteger, nullable=False),
    Column("delete_delay_seconds", BigInteger, nullable=False),
    Column("retention_seconds", BigInteger, nullable=False),
    Column("append_only", Boolean, nullable=False),
    Column("terms_version", String(12), nullable=False),
    Column("terms_accept_time", UtcTime),
    Column("state", String(16), nullable=False),
    Column("suspend_reason", Text, nullable=False),
    Column("attachment", String(16), nullable=False),
    Column("rewound_confirmed", Boolean, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("floor", BigInteger, nullable=False),
    Column("session_nonces", JSON, nullable=False),
    Column("session_used", Boolean, nullable=False),
    Column("resync_parts", Integer, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("seats_in_use", Integer, nullable=False),
    Column("seat_rows", Integer, nullable=False),
    Column("attach_time", UtcTime),
    Column("last_contact_time", UtcTime),
    Column("peer_version", Text, nullable=False),
    Column("peer_addresses", JSON, nullable=False),
    Column("last_refused_guid", String(36), nullable=False),
    Column("last_refused_time", UtcTime),
    Column("create_time", UtcTime, nullable=False),
    Column("version", Integer, nullable=False),
)

# A name and a customer's server belong to one organization at a time; deactivated ones stand aside.
_in_force = organizations.c.state != "deactivated"
Index(
    "organizations_name",
    organizations.c.name_key,
    unique=True,
    sqlite_where=_in_force,
    postgresql_where=_in_force,
)
_named_server = _in_force & (organizations.c.customer_guid != "")
Index(
    "organizations_customer_guid",
    organizations.c.customer_guid,
    unique=True,
    sqlite_where=_named_server,
    postgresql_where=_named_server,
)
# Finds the organization of a former customer, to tell it that its attachment has ended.
Index("organizations_any_customer_guid", organizations.c.customer_guid)

former_customers = Table(
    "former_customers",
    metadata,
    Column("guid", String(36), primary_key=True),
    Column("organization_id", String(36), ForeignKey("organizations.id"), nullable=False),
)

registration_keys = Table(
    "registration_keys",
    metadata,
    Column("id", String(8), primary_key=True),
    Column("organization_id", String(36), ForeignKey("organizations.id"), nullable=False),
    Column("key_hash", String(64), nullable=False, unique=True),
    Column("state", String(16), nullable=False),
    Column("epoch", BigInteger),
    Column("create_time", UtcTime, nullable=False),
    Column("expire_time", UtcTime, nullable=False),
)
# Finds the one key of an organization that is in force, and holds that there is at most one.
_not_ended = registration_keys.c.state != "ended"
Index(
    "registration_keys_in_force",
    registration_keys.c.organization_id,
    unique=True,
    sqlite_where=_not_ended,
    postgresql_where=_not_ended,
)

# The primary key alone is the index: by organization, then in the order of every list and digest.
seats = Table(
    "seats",
    metadata,
    Column("organization_id", String(36), ForeignKey("organizations.id"), primary_key=True),
    Column("device_guid", DeviceGuid, primary_key=True),
    Column("device_name", Text, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("kind", String(8), nullable=False),
    Column("live", Boolean, nullable=False),
    Column("revoked", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
    Column("acquire_time", UtcTime),
    Column("update_time", UtcTime, nullable=False),
    sqlite_with_rowid=False,
)

terms = Table(
    "terms",
    metadata,
    Column("version", String(12), primary_key=True),
    Column("text", Text, nullable=False),
    Column("update_time", UtcTime, nullable=False),
)
