"""Long lists of ids, a part at a time."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")

CHUNK = 1000  # values in one statement; SQLite takes at most 32,766


def chunks(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """The values, at most CHUNK of them a part."""
    return (values[start : start + CHUNK] for start in range(0, len(values), CHUNK))
