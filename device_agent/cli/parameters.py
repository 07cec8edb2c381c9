"""Paths as they were typed: an empty one would be the current folder."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter, Token

from service_kit.errors import FieldViolation, InvalidArgument

EMPTY = "must not be empty"


def _path(_: type, tokens: Sequence[Token]) -> Path:
    """A path; an empty one is a variable of a script that was not set."""
    if not tokens[0].value:
        raise ValueError(EMPTY)
    return Path(tokens[0].value)


GivenPath = Annotated[Path, Parameter(converter=_path)]
"""A file or a folder; never an empty word."""


def absolute(option: str, paths: Iterable[str]) -> tuple[str, ...]:
    """Paths that do not depend on the current folder.

    Raises:
        InvalidArgument: one is empty.
    """
    if not all(paths := tuple(paths)):
        raise InvalidArgument([FieldViolation(option, EMPTY)])
    return tuple(str(Path(each).absolute()) for each in paths)
