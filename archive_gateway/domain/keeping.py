"""How long an account's archives are kept: the defaults, and what an operator may choose."""

from datetime import timedelta

from service_kit.validation import Checks

DEFAULT_DELETE_DELAY = timedelta(days=30)
DEFAULT_RETENTION = timedelta(days=90)
SHORTEST_RETENTION = timedelta(days=1)
LONGEST = timedelta(days=3650)


def check_keeping(checks: Checks, delete_delay: timedelta, retention: timedelta) -> None:
    """Note what is out of bounds, by the fields' names on the wire."""
    for field, value, least in (
        ("delete_delay_seconds", delete_delay, timedelta()),
        ("retention_seconds", retention, SHORTEST_RETENTION),
    ):
        if not least <= value <= LONGEST:
            checks.fail(field, f"must be {least.days} to {LONGEST.days} days")


def whole_seconds(duration: timedelta) -> int:
    """A duration as it is stored and sent."""
    return duration // timedelta(seconds=1)
