"""Checks that name every field out of bounds at once.

A domain class collects its violations in one `Checks` and ends with `done()`.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from service_kit.errors import FieldViolation, InvalidArgument

MAX_INT64 = 2**63 - 1
_LINE_BREAKS = "\n\r\t"
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_NIL_UUID = "00000000-0000-0000-0000-000000000000"


class Checks:
    """Collects violations; `done()` raises them together."""

    def __init__(self, prefix: str = "") -> None:
        self.prefix = prefix
        self.violations: list[FieldViolation] = []

    def fail(self, field: str, description: str) -> None:
        """Note that a field is out of bounds."""
        self.violations.append(FieldViolation(self.prefix + field, description))

    def done(self) -> None:
        """Raise InvalidArgument if anything was noted."""
        if self.violations:
            raise InvalidArgument(self.violations)

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """Note what another check raises, so that it is told together with the rest."""
        try:
            yield
        except InvalidArgument as error:
            self.violations += error.violations

    def text(
        self, field: str, value: str, *, most: int, least: int = 0, lines: bool = False
    ) -> str:
        """Text without control characters, `least` to `most` characters, stripped at both ends."""
        value = value.strip()
        if not least <= len(value) <= most:
            wanted = f"{least} to {most}" if least else f"at most {most}"
            self.fail(field, f"must have {wanted} characters, has {len(value)}")
        allowed = _LINE_BREAKS if lines else ""
        if not value.isprintable() and _has_control_characters(value, allowed):
            self.fail(field, "must not contain control characters")
        return value

    def email(self, field: str, value: str, *, required: bool = False) -> str:
        """An e-mail address, or nothing where it is not required."""
        value = self.text(field, value, most=254, least=1 if required else 0)
        if value and not _EMAIL.fullmatch(value):
            self.fail(field, "must be an e-mail address")
        return value

    def between(self, field: str, value: int, least: int, most: int = MAX_INT64) -> int:
        """A whole number within bounds."""
        if not least <= value <= most:
            self.fail(field, f"must be {least} to {most}, is {value}")
        return value

    def uuid(self, field: str, value: str) -> str:
        """A UUID, in its canonical lower-case form."""
        parsed = value.lower()
        if not _UUID.fullmatch(parsed) or parsed == _NIL_UUID:
            self.fail(field, "must be a UUID like 0b8f4d52-7d3f-4c3b-9a53-0d1f6a1c2e11")
        return parsed


def _has_control_characters(value: str, allowed: str) -> bool:
    return any(
        unicodedata.category(each) in ("Cc", "Cf", "Cs", "Zl", "Zp") and each not in allowed
        for each in value
    )


def filter_text(field: str, value: str, most: int) -> str:
    """A text that a list is narrowed by, or nothing; InvalidArgument that names its field."""
    checks = Checks()
    text = checks.text(field, value, most=most)
    checks.done()
    return text


def resource_ids(field: str, values: Sequence[str], most: int = 1000) -> list[str]:
    """Ids of a request, or InvalidArgument that names their field."""
    checks = Checks()
    if len(values) > most:
        checks.fail(field, f"must be at most {most}")
    parsed = [checks.uuid(field, each) for each in values[:most]]
    checks.done()
    return parsed


def plain(text: str, most: int) -> str:
    """Another server's text, safe to keep and to print: no control characters, not too long."""
    cut = text[:most]
    return "".join(" " if _has_control_characters(each, "") else each for each in cut)


def resource_id(field: str, value: str) -> str:
    """One id of a request, or InvalidArgument that names its field."""
    checks = Checks()
    parsed = checks.uuid(field, value)
    checks.done()
    return parsed
