"""Who is calling: set by the guards once a call, read by handlers and by the log."""

from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a caller is; the access tables say which roles may call a method."""

    OPEN = "open"
    OPERATOR = "operator"
    READ_ONLY = "read-only"
    PEER = "peer"
    DEVICE = "device"


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller.

    `guid` is a peer server's or a device's own; `key` is the thumbprint of a device's key.
    """

    role: Role
    name: str
    guid: str | None = None
    key: str = ""


ANONYMOUS = Caller(Role.OPEN, "anonymous")


@dataclass(slots=True)
class CallFacts:
    """What is known of the call in progress."""

    method: str
    trace_id: str
    caller: Caller = ANONYMOUS


call_facts: ContextVar[CallFacts | None] = ContextVar("call_facts", default=None)


def current_caller() -> Caller:
    """The caller of the call in progress; ANONYMOUS outside one and in open methods."""
    facts = call_facts.get()
    return ANONYMOUS if facts is None else facts.caller


def current_peer() -> str:
    """The GUID of the peer server that is calling.

    Raises:
        LookupError: the caller is no peer: the access table gives this method to others.
    """
    return _current(Role.PEER)[0]


def current_device() -> tuple[str, str]:
    """The GUID of the device that is calling, and the thumbprint of its key.

    Raises:
        LookupError: the caller is no device: the access table gives this method to others.
    """
    return _current(Role.DEVICE)


def _current(role: Role) -> tuple[str, str]:
    caller = current_caller()
    if caller.role is not role or caller.guid is None:
        raise LookupError(f"this method is called by a {role} only")
    return caller.guid, caller.key
