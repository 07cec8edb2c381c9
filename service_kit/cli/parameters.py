"""Kinds of parameters that many commands have."""

from typing import Annotated

from cyclopts import Parameter

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
