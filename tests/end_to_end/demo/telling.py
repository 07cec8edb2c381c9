"""How the story is told, and how each of its steps is checked."""

import time
from collections.abc import Callable

PATIENCE = 30  # seconds for what two servers settle between them


def say(text: str) -> None:
    """A line of the story."""
    print(text, flush=True)


def chapter(title: str) -> None:
    """A heading of the story."""
    say(f"\n== {title}")


def check(true: object, what: str) -> None:
    """Fail loudly, or say that it is so."""
    if not true:
        raise SystemExit(f"FAILED: {what}")
    say(f"   ok: {what}")


def until(true: Callable[[], object], what: str) -> None:
    """Wait until something is so, and say it."""
    end = time.monotonic() + PATIENCE
    while not true() and time.monotonic() < end:
        time.sleep(0.05)
    check(true(), what)
