"""How a device stands with an account: what a service tells the gateway about both."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Select

from archive_gateway.domain.keeping import DEFAULT_DELETE_DELAY, DEFAULT_RETENTION


@dataclass(frozen=True)
class Policy:
    """The rules of an account's archives; a quota of None is without limit."""

    name: str
    quota_bytes: int | None
    delete_delay: timedelta = DEFAULT_DELETE_DELAY
    retention: timedelta = DEFAULT_RETENTION
    append_only: bool = False


@dataclass(frozen=True)
class Limit:
    """One quota that an upload must fit into.

    `devices` selects the GUIDs of the devices that count in it; None means the whole account.
    """

    holder: str
    quota_bytes: int
    devices: Select[tuple[str]] | None = None


@dataclass(frozen=True)
class Standing:
    """A device at an account, as of one transaction.

    `generation` is that of its live seat, None where it holds none. `read_only` says why nothing
    may be written, and is empty where it may.
    """

    policy: Policy
    generation: int | None
    read_only: str = ""
    limits: tuple[Limit, ...] = ()


@dataclass(frozen=True)
class Tenant:
    """A device as lists show it; `release_time` is when its seat ended."""

    device_guid: str
    name: str
    holds_seat: bool
    release_time: datetime | None = None
