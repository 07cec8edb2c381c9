"""Names are accepted wherever ids are."""

import re
from collections.abc import Callable, Iterable
from typing import Any

from service_kit.cli.connection import call
from service_kit.errors import Conflict, NotFound
from service_kit.reasons import Reason

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def is_id(text: str) -> bool:
    """Whether a text is an id, not a name."""
    return _UUID.fullmatch(text) is not None


def _id(found: Any) -> str:
    return str(found.id)


def the_one(
    noun: str, text: str, found: Iterable[Any], describe: Callable[[Any], str] = _id
) -> Any:
    """The only one found by a name.

    Raises:
        NotFound: there is none.
        Conflict: there are several; they are listed.
    """
    listed = list(found)
    if not listed:
        raise NotFound(Reason.NOT_FOUND, f"There is no {noun} {text}.", f"See: {noun} list.")
    if len(listed) > 1:
        several = "; ".join(describe(each) for each in listed)
        raise Conflict(
            Reason.WRONG_STATE,
            f"{len(listed)} are called {text}: {several}.",
            "Use the id of the one that you mean.",
        )
    return listed[0]


def pages(method: Callable[..., Any], request: Any, items: str) -> Any:
    """All pages of a list, as one response."""
    request.page_size = 1000
    response = call(method, request)
    answer = response
    while answer.next_page_token:
        request.page_token = answer.next_page_token
        answer = call(method, request)
        getattr(response, items).extend(getattr(answer, items))
    response.next_page_token = ""
    return response


def by_name(found: Iterable[Any]) -> list[Any]:
    """Sorted by name, as people look for them."""
    return sorted(found, key=lambda each: (each.name.casefold(), each.id))
