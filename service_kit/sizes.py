"""Sizes as people write them: 500GB is 500 * 10^9 bytes, 500GiB is 500 * 2^30."""

import re

from service_kit.errors import FieldViolation, InvalidArgument

UNITS: dict[str, int] = {
    "": 1,
    "b": 1,
    **{f"{letter}b": 1000**power for power, letter in enumerate("kmgtp", 1)},
    **{f"{letter}ib": 1024**power for power, letter in enumerate("kmgtp", 1)},
}
_SIZE = re.compile(r"(\d{1,15})(?:\.(\d{1,3}))?\s*([a-z]*)", re.ASCII)


def parse_size(option: str, text: str) -> int:
    """Bytes.

    Raises:
        InvalidArgument: it is no size, or 2^63 bytes and more.
    """
    match = _SIZE.fullmatch(text.strip().lower())
    if not match or match[3] not in UNITS:
        description = f"must be a size like 500GB, 1.5TiB or a number of bytes, is {text!r}"
        raise InvalidArgument([FieldViolation(option, description)])
    thousandths = int(match[1]) * 1000 + int((match[2] or "").ljust(3, "0") or 0)
    count = thousandths * UNITS[match[3]] // 1000
    if count >= 2**63:
        raise InvalidArgument([FieldViolation(option, "must be less than 2^63 bytes")])
    return count


def format_size(count: int) -> str:
    """Bytes for people, in powers of 1000 and rounded down: 500 GB, 536.87 GB."""
    for power, letter in reversed(list(enumerate("kMGTP", 1))):
        if count >= 1000**power:
            whole, hundredths = divmod(count * 100 // 1000**power, 100)
            return f"{whole}.{hundredths:02}".rstrip("0").rstrip(".") + f" {letter}B"
    return f"{count} B"
