"""Byte ranges of a GET (RFC 9110, section 14)."""

import re
from dataclasses import dataclass

_ONE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a blob; `length` is never beyond its end."""

    start: int
    length: int

    def content_range(self, size: int) -> str:
        """The header that tells of it."""
        return f"bytes {self.start}-{self.start + self.length - 1}/{size}"


def part(header: str, size: int) -> Part | None:
    """The part that a Range header asks for, None where it can't be satisfied.

    Raises:
        ValueError: it is none, or several, or the blob is empty; the header is to be ignored then.
    """
    match = _ONE.fullmatch(header.strip())
    if match is None or not (match[1] or match[2]) or not size:
        raise ValueError(header)
    if not match[1]:
        length = min(int(match[2]), size)
        return Part(size - length, length) if length else None
    start = int(match[1])
    last = min(int(match[2]), size - 1) if match[2] else size - 1
    if match[2] and int(match[2]) < start:
        raise ValueError(header)
    return Part(start, last - start + 1) if start < size else None
