"""The time."""

from datetime import UTC, datetime


def now() -> datetime:
    """The present time, aware, in UTC, to the microsecond."""
    return datetime.now(UTC)
