"""Durations as people write them: 90d, 24h, 15m, 30s."""

import re
from datetime import timedelta

from service_kit.errors import FieldViolation, InvalidArgument

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
LONGEST = timedelta(days=36500)
_DURATION = re.compile(r"(\d{1,9})([smhdw])", re.ASCII)


def parse_duration(option: str, text: str) -> timedelta:
    """A duration.

    Raises:
        InvalidArgument: it is none, or longer than a century.
    """
    match = _DURATION.fullmatch(text.strip().lower())
    if not match:
        description = f"must be a duration like 30d, 24h or 15m, is {text!r}"
        raise InvalidArgument([FieldViolation(option, description)])
    length = timedelta(**{UNITS[match[2]]: int(match[1])})
    if length > LONGEST:
        raise InvalidArgument([FieldViolation(option, f"must be at most {LONGEST.days}d")])
    return length


def format_duration(seconds: int) -> str:
    """A duration as it could be typed, in the largest unit that it has a whole number of."""
    for letter, unit in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds % unit == 0:
            return f"{seconds // unit}{letter}"
    return f"{seconds}s"
