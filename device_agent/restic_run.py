"""One run of restic: its secrets in the environment alone, its output followed as it comes."""

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from device_agent import restic_output
from device_agent.access import Access
from device_agent.restic import Restic, clean_environment
from device_agent.restic_output import Refusal

MOST_LINES = 200  # of errors that are kept
PROGRESS_PER_SECOND = "4"

Watch = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class Repository:
    """A repository, and all that opens it."""

    access: Access
    ca_file: Path
    password: str = field(repr=False)

    def environment(self) -> dict[str, str]:
        """For restic; the credential is in the repository's URL, as 0.14 takes it nowhere else."""
        own = {
            "RESTIC_REPOSITORY": self.access.repository,
            "RESTIC_PASSWORD": self.password,
            "RESTIC_PROGRESS_FPS": PROGRESS_PER_SECOND,
        }
        return {**clean_environment(), **own}

    def command(self, restic: Restic, *words: str) -> list[str]:
        """A command line for this repository, without a secret."""
        return [str(restic.program), "--cacert", str(self.ca_file), *words]


@dataclass
class Outcome:
    """How a run ended."""

    status: int = 0
    printed: list[str] = field(default_factory=list)
    """What it printed, progress left out."""

    errors: list[str] = field(default_factory=list)
    """What it said on stderr, without secrets."""

    unread: list[str] = field(default_factory=list)
    """The first of what could not be read or restored, and the last."""

    unread_count: int = 0
    """How much that was."""

    stored_again: bool = False
    """Whether it saved content anew that the repository had lost; it calls that an error."""

    damaged: bool = False
    """Whether it told of content of the repository that can't be read, and took it as saved."""

    refusal: Refusal | None = None
    """The last refusal of the server that it told of."""

    ended: bool = False
    """Whether it was ended, as it would have repeated in vain."""


def run(restic: Restic, repository: Repository, words: Sequence[str], watch: Watch) -> Outcome:
    """Run a command to its end; `watch` gets each event that it prints as JSON.

    Raises:
        KeyboardInterrupt: this program was told to end, and so was restic.
    """
    outcome = Outcome()
    with _noting_signals() as signals:
        child = _start(restic, repository, words)
        signals.pass_on_to(child)
        try:
            _follow(child, repository, outcome, watch)
        finally:
            _interrupt(child)  # where following failed
            outcome.status = child.wait()
    if signals.came:
        raise KeyboardInterrupt
    return outcome


def replace_with(restic: Restic, repository: Repository, words: Sequence[str]) -> None:
    """Become restic: its terminal, its signals and its exit status are this program's own."""
    command = repository.command(restic, *words)
    os.execve(restic.program, command, repository.environment())


def _start(restic: Restic, repository: Repository, words: Sequence[str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        repository.command(restic, "--json", *words),
        env=repository.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,  # Ctrl-C reaches this program alone, which passes it on once
    )


def _follow(
    child: "subprocess.Popen[str]", repository: Repository, outcome: Outcome, watch: Watch
) -> None:
    """Take what it prints until it ends."""
    assert child.stdout
    assert child.stderr
    listener = threading.Thread(
        target=_listen, args=(child, child.stderr, repository, outcome), daemon=True
    )
    listener.start()
    for line in child.stdout:
        event = restic_output.event_of(line)
        if event is None or event["message_type"] == "initialized":
            outcome.printed.append(line.rstrip("\n"))
        else:
            watch(event)
    child.wait()
    listener.join()


def _listen(
    child: "subprocess.Popen[str]", stderr: TextIO, repository: Repository, outcome: Outcome
) -> None:
    """Keep what it says on stderr, and end it where it would repeat in vain."""
    secrets = (repository.access.credential, repository.password)
    for raw in stderr:
        line = restic_output.without_secrets(raw.rstrip("\n"), secrets)
        outcome.stored_again |= restic_output.is_stored_again(line)
        outcome.damaged |= restic_output.is_damaged(line)
        item = restic_output.unread_item(line)
        if item is not None:
            outcome.unread_count += 1
            outcome.unread = [*outcome.unread[: MOST_LINES - 1], item]
        outcome.errors = [*outcome.errors[1 - MOST_LINES :], line]
        outcome.refusal = restic_output.refusal_of(line) or outcome.refusal
        if restic_output.ends_it(line) and not outcome.ended:
            outcome.ended = True
            _interrupt(child)


class _Signals:
    """Those that told this program to end; each is passed on as SIGINT.

    At which every restic takes its locks away.
    """

    def __init__(self) -> None:
        self.came = False
        self._child: subprocess.Popen[str] | None = None

    def pass_on_to(self, child: "subprocess.Popen[str]") -> None:
        """Pass them on to a child, also one that came before."""
        self._child = child
        if self.came:
            _interrupt(child)

    def __call__(self, number: int, frame: object) -> None:
        """The handler."""
        self.came = True
        if self._child is not None:
            _interrupt(self._child)


@contextmanager
def _noting_signals() -> Iterator[_Signals]:
    """Note SIGINT and SIGTERM, instead of ending at once."""
    signals = _Signals()
    if threading.current_thread() is not threading.main_thread():
        yield signals
        return
    before = {each: signal.signal(each, signals) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(child: "subprocess.Popen[str]") -> None:
    if child.poll() is None:
        child.send_signal(signal.SIGINT)
