"""Sizes as people write them: 500GB is 500 * 10^9 bytes, 500GiB is 500 * 2^30."""

import re

from service_kit.errors import FieldViolation, InvalidArgument

UNITS: dict[str, int] = {
    "": 1,
    "b": 1,
    **{f"{letter}b": 1000**power for power, letter in enumerate("kmgtp", 1)},
    **{f"{letter}ib": 1024**power for power, letter in enumerate("kmgtp", 1)},
}
_SIZE = re.compile(r"(\d{1,15})(?:\.(\d{1,3}))?\s*([a-z]*)")


def parse_size(option: str, text: str) -> int:
    """Bytes.

    Raises:
        InvalidArgument: it is no size.
    """
    match = _SIZE.fullmatch(text.strip().lower())
    if not match or match[3] not in UNITS:
        description = f"must be a size like 500GB, 1.5TiB or a number of bytes, is {text!r}"
        raise InvalidArgument([FieldViolation(option, description)])
    thousandths = int(match[1]) * 1000 + int((match[2] or "").ljust(3, "0") or 0)
    return thousandths * UNITS[match[3]] // 1000


def format_size(count: int) -> str:
    """Bytes for people, in powers of 1000: 500 GB."""
    for power, letter in reversed(list(enumerate("kMGTP", 1))):
        if count >= 1000**power:
            return f"{count / 1000**power:.3g} {letter}B"
    return f"{count} B"
