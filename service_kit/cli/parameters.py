"""Kinds of parameters that many commands have."""

from collections.abc import Sequence
from typing import Annotated

from cyclopts import Parameter, Token

MOST = 2**31 - 1  # what an int32 of the protocol carries; the server knows narrower bounds


def _count(_: type, tokens: Sequence[Token]) -> int:
    """A whole number as it was typed: cyclopts itself would round 1.5, and understand 1e3."""
    text = tokens[0].value
    if not (
        text.isascii() and text.isdigit() and len(text) <= len(str(MOST)) and int(text) <= MOST
    ):
        raise ValueError(f"must be a whole number of 0 to {MOST}, is {text!r}")
    return int(text)


Count = Annotated[int, Parameter(converter=_count)]
"""A number of things."""

Flag = Annotated[bool, Parameter(negative=(), show_default=False)]
"""An option without a value, and without a --no- of its own."""

Confirm = Annotated[
    bool,
    Parameter(
        negative=(),
        show_default=False,
        help="Do it; without this, only say what it takes along.",
    ),
]
"""Consent to end access, or to release seats."""
