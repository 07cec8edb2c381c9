"""A place to back up to: the customer's own server, or a provider attached to it."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Self

from archive_gateway.domain.usage import ArchiveUsage
from archive_gateway.domain.warnings import UsageWarning
from service_kit.errors import OffsiteError
from service_kit.identity.guid import parse_guid
from service_kit.validation import Checks

DEFAULT_PORT = 7401


class StorageType(StrEnum):
    """What a storage is."""

    LOCAL = "local"
    ATTACHED_SERVER = "attached_server"


class StorageState(StrEnum):
    """How a storage stands."""

    ATTACHING = "attaching"
    ATTACHED = "attached"
    REFUSED = "refused"
    SUSPENDED = "suspended"
    CONFLICT = "conflict"
    REWOUND = "rewound"
    DETACHING = "detaching"
    DETACHED = "detached"


# In these states the provider holds an attachment of this server.
CONNECTED = (
    StorageState.ATTACHED,
    StorageState.SUSPENDED,
    StorageState.CONFLICT,
    StorageState.REWOUND,
)
# In these states seat requests are sent.
SERVING = (StorageState.ATTACHED, StorageState.SUSPENDED)


@dataclass(frozen=True)
class Entitlement:
    """What a provider grants, as it last said."""

    organization_id: str = ""
    organization_name: str = ""
    maximum_seats: int = 0
    seats_in_use: int = 0
    disk_quota_bytes: int | None = None
    web_restore_user_limit_bytes: int = 0
    web_restore_admin_limit_bytes: int = 0
    suspend_reason: str | None = None
    grpc_addresses: tuple[str, ...] = ()
    version: str = ""


@dataclass(frozen=True)
class StorageUsage:
    """What a storage's archive holds, and what is nearly used up there."""

    archive: ArchiveUsage
    warnings: tuple[UsageWarning, ...] = ()


@dataclass(frozen=True)
class Storage:
    """A storage; an attached one carries the attachment's epoch and position."""

    id: str
    name: str
    type: StorageType
    state: StorageState
    create_time: datetime
    hostname: str = ""
    provider_guid: str = ""
    reason_code: str = ""
    reason: str = ""
    advice: str = ""
    sealed_key: bytes | None = field(default=None, repr=False)
    epoch: int = 0
    position: int = 0
    session_nonce: str = ""
    compared: bool = True
    entitlement: Entitlement = Entitlement()
    usage: StorageUsage | None = None  # as the provider last said
    last_contact_time: datetime | None = None
    reconcile_time: datetime | None = None
    next_attempt_time: datetime | None = None
    attempts: int = 0

    def __post_init__(self) -> None:
        """Bound every field that a person enters, and keep each in its one form."""
        checks = Checks()
        object.__setattr__(self, "id", checks.uuid("storage_id", self.id))
        object.__setattr__(self, "name", checks.text("name", self.name, least=1, most=100))
        if self.type is StorageType.ATTACHED_SERVER:
            with checks.collecting():
                object.__setattr__(self, "hostname", parse_hostname("hostname", self.hostname))
            with checks.collecting():
                guid = parse_guid("provider_guid", self.provider_guid)
                object.__setattr__(self, "provider_guid", guid)
        checks.done()

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where to dial: what a person entered first, then what the provider advertises."""
        return tuple(dict.fromkeys((self.hostname, *self.entitlement.grpc_addresses)))

    def in_session_of(self, sent: "Storage") -> bool:
        """Whether an answer to what was `sent` speaks of the present attachment and session."""
        return (self.provider_guid, self.epoch) == (sent.provider_guid, sent.epoch)

    def now(self, state: StorageState, why: OffsiteError | None = None) -> Self:
        """In another state, with the reason."""
        return replace(
            self,
            state=state,
            reason_code=why.reason if why else "",
            reason=why.message if why else "",
            advice=why.advice if why else "",
        )

    def attaching(self, sealed_key: bytes, now: datetime) -> Self:
        """An attach to be made at once, and after every crash until it is answered."""
        return replace(
            self.now(StorageState.ATTACHING),
            sealed_key=sealed_key,
            next_attempt_time=now,
            attempts=0,
        )

    def attached(self, epoch: int, position: int, entitlement: Entitlement, now: datetime) -> Self:
        """Attached under an epoch; the registration key is forgotten."""
        return replace(
            self.now(StorageState.ATTACHED),
            sealed_key=None,
            epoch=epoch,
            position=position,
            session_nonce="",
            compared=False,
            entitlement=entitlement,
            usage=None,
            last_contact_time=now,
            next_attempt_time=None,
            attempts=0,
        )

    def refused(self, why: OffsiteError) -> Self:
        """Refused for good: the registration key is forgotten."""
        return replace(
            self.now(StorageState.REFUSED, why),
            sealed_key=None,
            next_attempt_time=None,
        )

    def detaching(self, now: datetime) -> Self:
        """A detach to be told to the provider until it answers; a registration key is forgotten."""
        return replace(
            self.now(StorageState.DETACHING),
            sealed_key=None,
            session_nonce="",
            next_attempt_time=now,
            attempts=0,
        )

    def detached(self) -> Self:
        """Without an attachment, because a person here wants it so."""
        return replace(self.ended(None), epoch=0, position=0)

    def ended(self, why: OffsiteError | None) -> Self:
        """Without an attachment, because the provider ended it; it may be attached again."""
        return replace(
            self.now(StorageState.DETACHED, why),
            sealed_key=None,
            session_nonce="",
            next_attempt_time=None,
        )

    def later(self, why: OffsiteError, delay: timedelta, now: datetime) -> Self:
        """The same attach or detach, to be tried again after a while."""
        return replace(
            self.now(self.state, why), attempts=self.attempts + 1, next_attempt_time=now + delay
        )

    def in_session(self, epoch: int, position: int, now: datetime) -> Self:
        """In a new session. Both ledgers must be compared before the first seat request.

        An older copy of this server may open a session; only the comparison shows what it missed.
        """
        return replace(self.heard(position, now), epoch=epoch, session_nonce="", compared=False)

    def heard(self, position: int, now: datetime) -> Self:
        """The provider answered; the highest position is kept."""
        return replace(self, position=max(self.position, position), last_contact_time=now)


def parse_hostname(field_name: str, text: str) -> str:
    """HOST:PORT, the port 7401 if left out; an IPv6 address stands in brackets.

    Raises:
        InvalidArgument: it is neither.
    """
    checks = Checks()
    text = checks.text(field_name, text, least=1, most=300)
    host, _, port = text.rpartition(":")
    if not host or text.endswith("]"):
        host, port = text, str(DEFAULT_PORT)
    if not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        checks.fail(field_name, "must be HOST:PORT with a port of 1 to 65535")
    if any(each in host for each in "/@?# ") or (":" in host and not host.startswith("[")):
        checks.fail(field_name, "must be HOST:PORT, an IPv6 address in brackets")
    checks.done()
    return f"{host}:{port}"
