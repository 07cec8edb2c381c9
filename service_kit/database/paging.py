"""Lists a page at a time, stable while rows are added and removed (keyset paging).

A page token holds the sort key of the page's last row, so the next page starts right after it,
whatever happened to the rows before. See https://google.aip.dev/158 and
https://use-the-index-luke.com/no-offset.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from sqlalchemy import BindParameter, Column, Row, Select, bindparam, tuple_

from service_kit.database.engine import Transaction
from service_kit.errors import FieldViolation, InvalidArgument
from service_kit.validation import MAX_INT64

T = TypeVar("T")
DEFAULT_SIZE = 50
LARGEST_SIZE = 1000
_LARGEST_TOKEN = 4096  # characters; names of 200 characters fit many times


@dataclass(frozen=True)
class PageRequest:
    """Which page: 0 means the default size; an empty token the first page."""

    size: int = 0
    token: str = ""

    @property
    def limit(self) -> int:
        """How many items the page may have.

        Raises:
            InvalidArgument: the size is negative.
        """
        if self.size < 0:
            raise InvalidArgument([FieldViolation("page_size", "must not be negative")])
        return min(self.size or DEFAULT_SIZE, LARGEST_SIZE)


@dataclass(frozen=True)
class Page(Generic[T]):
    """Some of the items, and the token of the next page; it is empty on the last."""

    items: Sequence[T]
    next_page_token: str


def paginate(
    tx: Transaction,
    statement: Select[Any],
    *,
    keys: Sequence[Column[Any]],
    page: PageRequest,
    build: Callable[[Row[Any]], T],
    filter: object = (),
) -> Page[T]:
    """One page of what a statement without order and limit selects, ordered by `keys`.

    `keys` are selected columns without NULL (text, numbers, times) that together are unique.
    `filter` is anything whose repr tells the list's filter: a token belongs to one filter.

    Raises:
        InvalidArgument: the page size is negative, or the token is not one of this list.
    """
    limit = page.limit
    if page.token:
        last = _decode(page.token, keys, filter)
        statement = statement.where(tuple_(*keys) > tuple_(*_bound(keys, last)))
    rows = tx.execute(statement.order_by(*keys).limit(limit + 1)).all()
    more = len(rows) > limit
    token = _encode([_value(rows[limit - 1], key) for key in keys], filter) if more else ""
    return Page([build(row) for row in rows[:limit]], token)


def _bound(keys: Sequence[Column[Any]], values: Sequence[object]) -> list[BindParameter[Any]]:
    return [
        bindparam(None, value, key.type, unique=True)
        for key, value in zip(keys, values, strict=True)
    ]


def _value(row: Row[Any], key: Column[Any]) -> object:
    # Public in SQLAlchemy; the underscore keeps it clear of column names.
    return row._mapping[key]  # noqa: SLF001


def _encode(values: Sequence[object], filter: object) -> str:
    written = [value.isoformat() if isinstance(value, datetime) else value for value in values]
    text = json.dumps([_digest(filter), *written], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decode(token: str, keys: Sequence[Column[Any]], filter: object) -> list[object]:
    try:
        if len(token) > _LARGEST_TOKEN:
            raise ValueError
        padded = token + "=" * (-len(token) % 4)
        text = base64.b64decode(padded, altchars=b"-_", validate=True)
        digest, *values = json.loads(text)
        if digest != _digest(filter):
            raise ValueError
        return [_read(key, value) for key, value in zip(keys, values, strict=True)]
    except (ValueError, TypeError, RecursionError):
        raise InvalidArgument(
            [FieldViolation("page_token", "must come from the previous page of the same list")]
        ) from None


def _read(key: Column[Any], value: object) -> object:
    """A value of a token, checked: a token may be forged, and a wrong type would fail in SQL."""
    wanted = key.type.python_type
    if wanted is datetime and isinstance(value, str):
        value = datetime.fromisoformat(value)
    if type(value) is not wanted or not _is_storable(value):
        raise ValueError
    return value


def _is_storable(value: object) -> bool:
    if isinstance(value, int):
        return abs(value) <= MAX_INT64
    if isinstance(value, datetime):
        return value.tzinfo is not None
    # PostgreSQL takes neither NUL nor half a surrogate pair.
    return not any(each == "\x00" or "\ud800" <= each <= "\udfff" for each in str(value))


def _digest(filter: object) -> str:
    return hashlib.sha256(repr(filter).encode()).hexdigest()[:16]
