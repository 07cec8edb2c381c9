"""What a command prints: for people, for programs (`--json`), or the one thing (`--quiet`)."""

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from service_kit.cli.options import printing


def show(response: Message, people: Callable[[], None], quiet: str | None = None) -> None:
    """Print a response as was asked for."""
    _show(lambda: _json_of(response), people, quiet)


def show_document(document: Any, people: Callable[[], None], quiet: str | None = None) -> None:
    """As `show`, for what is no message: it must be made of what JSON knows."""
    _show(lambda: json.dumps(document, indent=2, ensure_ascii=False), people, quiet)


def _show(programs: Callable[[], str], people: Callable[[], None], quiet: str | None) -> None:
    if printing().json:
        line(programs())
    elif printing().quiet and quiet is not None:
        line(quiet)
    else:
        people()


def _json_of(response: Message) -> str:
    return MessageToJson(
        response, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


def document_of(message: Message) -> Any:
    """A message as `--json` prints it, for a document that has more."""
    return json.loads(_json_of(message))


def line(text: str = "") -> None:
    """A line on stdout."""
    print(text, flush=True)  # a follower's reader waits for each


def warn(text: str) -> None:
    """A warning, on stderr."""
    sys.stderr.write(f"Warning: {text}\n")


def fail(what: str, next_: str) -> None:
    """What happened, and what to do next: two lines on stderr."""
    sys.stderr.write(f"{what}\n{next_}\n" if next_ else f"{what}\n")


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table for people; as wide as its content where nobody's terminal limits it."""
    from rich.console import Console
    from rich.table import Table

    grid = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        grid.add_row(*(str(each) for each in row))
    width = None if sys.stdout.isatty() else 400
    console = Console(highlight=False, markup=False, width=width)
    with console.capture() as drawn:
        console.print(grid)
    for each in drawn.get().splitlines():
        line(each.rstrip())


def facts(pairs: Iterable[tuple[str, object]]) -> None:
    """Names and values, a line each; what is empty is left out."""
    shown = [(name, str(value)) for name, value in pairs if value not in (None, "")]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        line(f"{name:<{width}}  {value}")


def moment(message: Message, field: str) -> str:
    """A time of a message in UTC, or nothing if it is not set."""
    if not message.HasField(field):
        return ""
    stamp: Timestamp = getattr(message, field)
    return f"{stamp.ToDatetime():%Y-%m-%d %H:%M} UTC"


def word(enum: Any, value: int) -> str:
    """An enum's value as a word: ORGANIZATION_STATE_ACTIVE is `active`."""
    names = enum.keys()
    prefix = names[0].removesuffix("UNSPECIFIED")
    return str(enum.Name(value)).removeprefix(prefix).lower().replace("_", " ")
