"""What every call passes, in this order, before its handler runs.

`standard_guards` is the list: bounds, authentication, authorization. Around it,
`service_kit.server.interceptor` imposes the deadline, writes the log line and the metrics, and
turns whatever was raised into a status by one table.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from service_kit.errors import LimitReached, PermissionDenied
from service_kit.ledger.actor import actor
from service_kit.reasons import Reason
from service_kit.server.access import Roles
from service_kit.server.authenticator import Authenticator
from service_kit.server.caller import Caller, CallFacts, Role

MAX_MESSAGE_BYTES = 1 << 20
MAX_METADATA_BYTES = 16 << 10

Metadata: TypeAlias = Sequence[tuple[str, str | bytes]]


@dataclass(slots=True)
class Call(CallFacts):
    """A call on its way through the guards."""

    roles: Roles = frozenset()
    metadata: Metadata = ()
    request_bytes: int = 0


# A guard raises an OffsiteError to refuse. It returns an awaitable only when it has to wait: most
# calls then pass without a switch.
Guard: TypeAlias = Callable[[Call], Awaitable[None] | None]


def standard_guards(authenticator: Authenticator) -> tuple[Guard, ...]:
    """The guards of every server, in their order."""
    return (bound, _authentication(authenticator), authorize)


def bound(call: Call) -> None:
    """Refuse messages above 1 MiB and metadata above 16 KiB."""
    if call.request_bytes > MAX_MESSAGE_BYTES:
        raise _too_large("message", call.request_bytes, MAX_MESSAGE_BYTES)
    size = sum(len(key) + len(value) for key, value in call.metadata)
    if size > MAX_METADATA_BYTES:
        raise _too_large("metadata", size, MAX_METADATA_BYTES)


def authorize(call: Call) -> None:
    """Refuse a caller whose role may not call this method; one not in the table is nobody's."""
    if call.caller.role in call.roles:
        return
    allowed = " or ".join(sorted(call.roles)) or "nobody"
    raise PermissionDenied(
        Reason.ROLE_NOT_ALLOWED,
        f"{call.caller.name} is {call.caller.role}, and {call.method} is for {allowed}",
        "Use a token with that role.",
    )


def _authentication(authenticator: Authenticator) -> Guard:
    def authenticate(call: Call) -> Awaitable[None] | None:
        if Role.OPEN in call.roles:
            return None
        caller = authenticator.authenticate(_authorization(call.metadata))
        if isinstance(caller, Awaitable):
            return _admit_later(call, caller)
        _admit(call, caller)
        return None

    return authenticate


async def _admit_later(call: Call, caller: Awaitable[Caller]) -> None:
    _admit(call, await caller)


def _admit(call: Call, caller: Caller) -> None:
    call.caller = caller
    actor.set(caller.name)


def _authorization(metadata: Metadata) -> str | None:
    for key, value in metadata:
        if key == "authorization":
            return value if isinstance(value, str) else None
    return None


def _too_large(what: str, size: int, most: int) -> LimitReached:
    return LimitReached(
        Reason.MESSAGE_TOO_LARGE,
        f"the {what} has {size} bytes; at most {most} are taken",
        "Send less in one call.",
        metadata={"bytes": str(size), "maximum_bytes": str(most)},
    )
