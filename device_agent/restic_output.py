"""What restic says, understood: progress, results and refusals; of 0.14 as of the newest.

Its JSON: https://restic.readthedocs.io/en/stable/075_scripting.html
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from service_kit.validation import plain

LONGEST_LINE = 2000  # characters of a line that are shown
FINAL = (401, 403, 507)  # statuses that a repeat does not change
# The forms of 0.14 and of later ones.
_REFUSED = re.compile(
    r"unexpected HTTP response \((?P<new>\d{3})\): \d{3} ?(?P<new_text>[^\n]*)"
    r"|server response unexpected: (?P<old>\d{3}) ?(?P<old_text>.*?) \(\d{3}\)"
)
_UNREAD = re.compile(r"(?P<gone>.+) does not exist, skipping|ignoring error for (?P<item>.+?): .*")
# Of what a backup compares with, the snapshot before: content that no index knows is stored again;
# content that an index knows and that can't be read is not, as it counts as stored.
_STORED_AGAIN = re.compile(
    r"parts of .+ not found in the repository index; storing the file again"
    r"|tree [0-9a-f]{64} is not known; the repository could be damaged, run `.+` to "
    r"try to repair it|(id|blob) \S+ not found in (the )?repository",
    re.DOTALL,
)
_DAMAGED = re.compile(
    r"tree [0-9a-f]{64} could not be loaded; the repository could be damaged: .*", re.DOTALL
)
_NETWORK = re.compile(
    r"connection refused|no such host|i/o timeout|network is unreachable|no route to host"
    r"|connection reset|context deadline exceeded|EOF$"
)
_USERINFO = re.compile(r"(https?://)[^/@\s]+@")


@dataclass(frozen=True)
class Refusal:
    """A server's refusal, as restic tells of it."""

    status: int
    text: str

    @property
    def is_final(self) -> bool:
        """Whether trying again is of no use."""
        return self.status in FINAL


def refusal_of(line: str) -> Refusal | None:
    """The refusal that a line tells of."""
    match = _REFUSED.search(sentence_of(line) if event_of(line) else line)
    if match is None:
        return None
    status, text = match["new"] or match["old"], match["new_text"] or match["old_text"] or ""
    return Refusal(int(status), text.strip())


def ends_it(line: str) -> Refusal | None:
    """The refusal that makes going on useless: an upload that is refused for good.

    Older ones repeat it for a quarter of an hour.
    """
    refusal = refusal_of(line) if line.startswith("Save(") else None
    return refusal if refusal and refusal.is_final else None


def event_of(line: str) -> Mapping[str, Any] | None:
    """The JSON object of a line that has a `message_type`, or None."""
    if not line.startswith("{"):
        return None
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) and "message_type" in event else None


def unread_item(line: str) -> str | None:
    """The file or folder of which a line says that it could not be read."""
    event = event_of(line)
    if event and event["message_type"] == "error":
        item = str(event.get("item") or "something")
        is_archives = is_stored_again(line) or is_damaged(line)
        return None if is_archives else plain(item, LONGEST_LINE)
    match = _UNREAD.fullmatch(line)
    return plain(match["gone"] or match["item"], LONGEST_LINE) if match else None


def is_stored_again(line: str) -> bool:
    """Whether a line tells of content that the repository had lost, and that is saved anew."""
    return _STORED_AGAIN.fullmatch(_error_in(line)) is not None


def is_damaged(line: str) -> bool:
    """Whether a line tells of content that can't be read there, and so may be lost to a backup."""
    return _DAMAGED.fullmatch(_error_in(line)) is not None


def _error_in(line: str) -> str:
    """What an event tells of an item, without the item's name before it."""
    event = event_of(line) or {}
    error = event.get("error")
    said = str(error.get("message") or "") if isinstance(error, dict) else ""
    return said.removeprefix(f"{event.get('item')}: ")


def sentence_of(line: str) -> str:
    """What a line of its errors says to people."""
    event = event_of(line) or {}
    error = event.get("error")
    inner = error.get("message") if isinstance(error, dict) else None
    said = event.get("message") or inner or (line if not event else "")
    lines = re.sub(r"^((Fatal|Error): )+", "", str(said)).splitlines()
    return plain(lines[0], LONGEST_LINE) if lines else ""  # JSON hides what steers a terminal


def is_network(line: str) -> bool:
    """Whether a line tells of a server that can't be reached."""
    return _NETWORK.search(line) is not None


def without_secrets(text: str, secrets: Sequence[str]) -> str:
    """A line as it may be shown: no credential, no password, nothing that steers a terminal."""
    for secret in filter(None, secrets):
        text = text.replace(secret, "***")
    return plain(_USERINFO.sub(r"\1***@", text), LONGEST_LINE)
