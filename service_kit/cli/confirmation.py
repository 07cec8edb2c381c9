"""Commands that end an access or release seats show what they take along, and ask for --confirm."""

from typing import Any

from offsite.common.v1.impact_pb2 import Impact

from service_kit.cli import output
from service_kit.errors import Conflict
from service_kit.reasons import Reason


def report(response: Any, what: str, confirmed: bool) -> None:
    """Say what a change takes along, or took along if it was confirmed.

    Raises:
        Conflict: it was not confirmed.
    """
    takes = counted(response.impact)
    require(confirmed, what, takes)
    output.show(response, lambda: output.line(f"{what} took along: {takes}."))


def require(confirmed: bool, what: str, takes_along: str) -> None:
    """Refuse to go on without --confirm.

    Raises:
        Conflict: it was not confirmed; it says what would be taken along.
    """
    if not confirmed:
        raise Conflict(
            Reason.CONFIRMATION_REQUIRED,
            f"{what} takes along: {takes_along}.",
            "If that is meant, repeat the command with --confirm.",
        )


def counted(impact: Impact) -> str:
    """What a change takes along, in words."""
    counts = [
        (impact.organizations, "organization", ""),
        (impact.users, "user", ""),
        (impact.devices, "device", ""),
        (impact.seats, "seat", " here"),
        (impact.provider_seats, "seat", " at providers"),
    ]
    listed = [count_of(count, noun) + where for count, noun, where in counts if count]
    return ", ".join(listed) or "no users, devices or seats"


def count_of(count: int, noun: str) -> str:
    """A number of things: 1 device, 2 devices."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
