"""A hosted organization: what the operator enters, and how it stands."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Self

from archive_gateway.domain.keeping import (
    DEFAULT_DELETE_DELAY,
    DEFAULT_RETENTION,
    check_keeping,
)
from provider_service.domain.quota import DEFAULT_WEB_RESTORE_LIMIT_BYTES, DiskQuota
from service_kit.errors import Conflict
from service_kit.identity.guid import parse_guid
from service_kit.reasons import Reason
from service_kit.validation import Checks

MAXIMUM_SEATS = 10_000_000
NOT_HEARD_OF_AFTER = timedelta(days=3)


class State(StrEnum):
    """Whether an organization is served."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    DEACTIVATED = "deactivated"


class Attachment(StrEnum):
    """How an organization and its customer's server stand."""

    DETACHED = "detached"
    ATTACHED = "attached"
    CONFLICT = "conflict"
    REWOUND = "rewound"


class Problem(StrEnum):
    """What an operator should look at."""

    OVER_QUOTA = "over_quota"
    OVER_SEATS = "over_seats"
    NOT_HEARD_OF = "not_heard_of"
    KEY_EXPIRED = "key_expired"
    CONFLICT = "conflict"
    REWOUND = "rewound"


@dataclass(frozen=True)
class Contact:
    """Whom to write to about an organization."""

    company: str = ""
    person: str = ""
    email: str = ""
    phone: str = ""
    postal_address: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        """Bound every field."""
        checks = Checks("organization.contact.")
        for field in ("company", "person", "phone"):
            checks.text(field, getattr(self, field), most=200)
        checks.email("email", self.email)
        checks.text("postal_address", self.postal_address, most=1000, lines=True)
        checks.text("note", self.note, most=4000, lines=True)
        checks.done()


@dataclass(frozen=True)
class Terms:
    """The version of the terms that the operator accepted, and when."""

    version: str
    accept_time: datetime


@dataclass(frozen=True)
class Settings:
    """What the operator enters for an organization."""

    name: str
    hosted: bool = False
    customer_guid: str = ""
    contact: Contact = Contact()
    maximum_seats: int | None = None
    disk_quota: DiskQuota | None = None
    web_restore_user_limit_bytes: int = DEFAULT_WEB_RESTORE_LIMIT_BYTES
    web_restore_admin_limit_bytes: int = DEFAULT_WEB_RESTORE_LIMIT_BYTES
    delete_delay: timedelta = DEFAULT_DELETE_DELAY
    retention: timedelta = DEFAULT_RETENTION
    append_only: bool = False

    def __post_init__(self) -> None:
        """Bound every field, and ask of a hosted organization all that it needs."""
        checks = Checks("organization.")
        object.__setattr__(self, "name", checks.text("name", self.name, least=1, most=200))
        if self.maximum_seats is not None:
            checks.between("maximum_seats", self.maximum_seats, 0, MAXIMUM_SEATS)
        for who in ("user", "admin"):
            field = f"web_restore_{who}_limit_bytes"
            checks.between(field, getattr(self, field), 0)
        check_keeping(checks, self.delete_delay, self.retention)
        if self.hosted:
            self._check_hosted(checks)
        with checks.collecting():
            self._read_guid()
        checks.done()

    def _read_guid(self) -> None:
        if self.customer_guid:
            guid = parse_guid("organization.customer_guid", self.customer_guid)
            object.__setattr__(self, "customer_guid", guid)

    def _check_hosted(self, checks: Checks) -> None:
        needed = {
            "customer_guid": self.customer_guid or None,
            "maximum_seats": self.maximum_seats,
            "disk_quota": self.disk_quota,
        }
        for field, value in needed.items():
            if value is None:
                checks.fail(field, "is required for a hosted organization")


@dataclass(frozen=True)
class Organization:
    """An organization as it stands in the ledger."""

    id: str
    settings: Settings
    create_time: datetime
    terms: Terms | None = None
    state: State = State.ACTIVE
    suspend_reason: str = ""
    attachment: Attachment = Attachment.DETACHED
    rewound_confirmed: bool = False
    epoch: int = 0
    floor: int = 0
    session_nonces: tuple[str, ...] = ()
    session_used: bool = False
    resync_parts: int = 0
    position: int = 0
    seats_in_use: int = 0
    seat_rows: int = 0
    attach_time: datetime | None = None
    last_contact_time: datetime | None = None
    peer_version: str = ""
    peer_addresses: tuple[str, ...] = ()
    last_refused_guid: str = ""
    last_refused_time: datetime | None = None
    version: int = 1

    @property
    def etag(self) -> str:
        """Changes with every change of settings or state."""
        return str(self.version)

    @property
    def was_attached(self) -> bool:
        """Whether a customer's server was ever attached: epochs are never reset."""
        return self.epoch > 0

    def edited(self, settings: Settings) -> Self:
        """The same organization with other settings.

        Raises:
            Conflict: a setting that an attachment rests on would change under it.
        """
        if self.attachment is not Attachment.DETACHED:
            self._refuse_under_attachment(settings)
        return replace(self, settings=settings, version=self.version + 1)

    def _refuse_under_attachment(self, settings: Settings) -> None:
        if settings.customer_guid != self.settings.customer_guid:
            raise Conflict(
                Reason.WRONG_STATE,
                "The customer GUID of an attached organization can't be edited.",
                "Use change-guid if the customer's server was replaced.",
            )
        if not settings.hosted:
            raise Conflict(
                Reason.WRONG_STATE,
                "An attached organization stays hosted.",
                "Detach it first.",
            )

    def suspended(self, reason: str) -> Self:
        """Stopped for the time being; a repeat with another reason replaces the reason."""
        checks = Checks()
        reason = checks.text("reason", reason, least=1, most=500)
        checks.done()
        self._refuse_deactivated()
        return replace(self, state=State.SUSPENDED, suspend_reason=reason, version=self.version + 1)

    def resumed(self) -> Self:
        """Served again."""
        self._refuse_deactivated()
        return replace(self, state=State.ACTIVE, suspend_reason="", version=self.version + 1)

    def deactivated(self) -> Self:
        """Not served; its attachment has ended."""
        return replace(self.detached(), state=State.DEACTIVATED, suspend_reason="")

    def reactivated(self) -> Self:
        """Served again, without an attachment."""
        return replace(self, state=State.ACTIVE, version=self.version + 1)

    def detached(self) -> Self:
        """Without an attachment. Epoch and position stay, so that they are never used again."""
        return replace(
            self,
            attachment=Attachment.DETACHED,
            rewound_confirmed=False,
            session_nonces=(),
            session_used=False,
            attach_time=None,
            version=self.version + 1,
        )

    def _refuse_deactivated(self) -> None:
        if self.state is State.DEACTIVATED:
            raise Conflict(
                Reason.ORGANIZATION_DEACTIVATED,
                f"Organization {self.settings.name} is deactivated.",
                "Reactivate it first.",
            )


def why_read_only(state: State, suspend_reason: str, attachment: Attachment, hosted: bool) -> str:
    """Why nothing may be written to an organization's archives; empty where it may."""
    if state is State.DEACTIVATED:
        return "deactivated"
    if state is State.SUSPENDED:
        return f"suspended: {suspend_reason}"
    if attachment is Attachment.REWOUND:
        return "this server's ledger went back in time (rewound)"
    return "" if hosted else "not hosted"


def problems(
    organization: Organization,
    key_expire_time: datetime | None,
    stored_bytes: int,
    now: datetime,
) -> list[Problem]:
    """What an operator should look at.

    The same rules in SQL select the rows of a list: `store.organizations.has_problem`.
    """
    quota = organization.settings.disk_quota
    found = {
        Problem.OVER_QUOTA: quota is not None
        and quota.limit_bytes is not None
        and stored_bytes > quota.limit_bytes,
        Problem.OVER_SEATS: organization.seats_in_use > (organization.settings.maximum_seats or 0),
        Problem.NOT_HEARD_OF: organization.attachment is not Attachment.DETACHED
        and organization.last_contact_time is not None
        and organization.last_contact_time < now - NOT_HEARD_OF_AFTER,
        Problem.KEY_EXPIRED: organization.attachment is Attachment.DETACHED
        and organization.state is not State.DEACTIVATED
        and key_expire_time is not None
        and key_expire_time <= now,
        Problem.CONFLICT: organization.attachment is Attachment.CONFLICT,
        Problem.REWOUND: organization.attachment is Attachment.REWOUND,
    }
    return [problem for problem, present in found.items() if present]
