"""Commands that end an access or release seats show what they take along, and ask for --confirm."""

from offsite.common.v1.impact_pb2 import Impact

from service_kit.errors import Conflict
from service_kit.reasons import Reason


def counted(impact: Impact) -> str:
    """What a change takes along, in words."""
    counts = {
        "organizations": impact.organizations,
        "users": impact.users,
        "devices": impact.devices,
        "seats here": impact.seats,
        "seats at providers": impact.provider_seats,
    }
    listed = [f"{count} {noun}" for noun, count in counts.items() if count]
    return ", ".join(listed) or "no users, devices or seats"


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
