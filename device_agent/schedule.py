"""Backups by themselves: a systemd timer of this user, or cron where there is no such thing."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from device_agent.schedule_units import MARK, NAME, When, cron_line, service_unit, timer_unit
from service_kit.errors import Conflict
from service_kit.reasons import Reason

TIMEOUT = 60  # seconds of systemctl or crontab


class Scheduler(Protocol):
    """What starts programs by the clock on this computer."""

    @property
    def kind(self) -> str:
        """What it is called."""

    def install(self, when: When, command: Sequence[str]) -> None:
        """Schedule a command, in place of what was scheduled."""

    def remove(self) -> bool:
        """Schedule it no longer; whether it was."""

    def show(self) -> str:
        """What is scheduled, as it is written; empty if nothing is."""


def scheduler() -> Scheduler:
    """The one of this computer.

    Raises:
        Conflict: there is neither.
    """
    found = _present()
    if found is not None:
        return found
    raise Conflict(
        Reason.WRONG_STATE,
        "There is neither a systemd of this user nor cron on this computer.",
        "Start `backup --quiet PATH…` by what there is; `schedule install --print` shows the line.",
    )


def scheduling() -> Scheduler | None:
    """What has scheduled something, or could have; None where nothing can be scheduled.

    Units that were written stay found where this user's systemd does not answer just now.
    """
    written = Systemd(units_folder())
    return _present() or (written if written.show() else None)


def _present() -> Scheduler | None:
    if _has_user_systemd():
        return Systemd(units_folder())
    return Cron() if shutil.which("crontab") else None


@dataclass(frozen=True)
class Systemd:
    """A timer among this user's units."""

    folder: Path
    kind: str = "systemd"

    @property
    def _files(self) -> dict[str, Path]:
        return {each: self.folder / f"{NAME}.{each}" for each in ("service", "timer")}

    def texts(self, when: When, command: Sequence[str]) -> dict[Path, str]:
        """What each unit's file is to hold."""
        return {
            self._files["service"]: service_unit(command),
            self._files["timer"]: timer_unit(when),
        }

    def install(self, when: When, command: Sequence[str]) -> None:
        """Write both units and start the timer."""
        self.write(when, command)
        self._systemctl("daemon-reload")
        self._systemctl("enable", f"{NAME}.timer")
        self._systemctl("restart", f"{NAME}.timer")

    def write(self, when: When, command: Sequence[str]) -> None:
        """Write both units."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for path, text in self.texts(when, command).items():
            path.write_text(text)

    def remove(self) -> bool:
        """Stop the timer and remove both units."""
        there = [each for each in self._files.values() if each.exists()]
        if there:
            self._systemctl("disable", "--now", f"{NAME}.timer")
            for each in there:
                each.unlink()
            self._systemctl("daemon-reload")
        return bool(there)

    def show(self) -> str:
        """Both units."""
        return "\n".join(each.read_text() for each in self._files.values() if each.exists())

    def _systemctl(self, *words: str) -> None:
        _run(["systemctl", "--user", *words])


@dataclass(frozen=True)
class Cron:
    """A marked line of this user's crontab."""

    kind: str = "cron"

    def install(self, when: When, command: Sequence[str]) -> None:
        """Put the line in place of an earlier one."""
        self._write([*self._others(), cron_line(when, command)])

    def remove(self) -> bool:
        """Take the line away."""
        there = bool(self.show())
        if there:
            self._write(self._others())
        return there

    def show(self) -> str:
        """The line."""
        return "\n".join(each for each in self._lines() if each.endswith(MARK))

    def _others(self) -> list[str]:
        return [each for each in self._lines() if not each.endswith(MARK)]

    def _lines(self) -> list[str]:
        # Without a crontab it ends with 1; what is there is then nothing.
        listed = subprocess.run(["crontab", "-l"], capture_output=True, text=True, timeout=TIMEOUT)
        return listed.stdout.splitlines() if listed.returncode == 0 else []

    def _write(self, lines: Sequence[str]) -> None:
        _run(["crontab", "-"], "".join(f"{each}\n" for each in lines))


def _has_user_systemd() -> bool:
    """Whether this user's systemd answers."""
    if not shutil.which("systemctl") or not os.environ.get("XDG_RUNTIME_DIR"):
        return False
    asked = subprocess.run(
        ["systemctl", "--user", "show-environment"], capture_output=True, timeout=TIMEOUT
    )
    return asked.returncode == 0


def units_folder() -> Path:
    """Where this user's units are."""
    config = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(config) / "systemd" / "user"


def _run(command: Sequence[str], given: str = "") -> None:
    try:
        done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=TIMEOUT)
    except OSError as error:
        raise _failed(f"{command[0]} does not run: {error.strerror}") from error
    if done.returncode:
        told = (done.stderr.strip() or "it said nothing").splitlines()[-1]
        raise _failed(f"{command[0]} ended with status {done.returncode}: {told}")


def _failed(what: str) -> Conflict:
    return Conflict(
        Reason.WRONG_STATE,
        f"{what.rstrip('.')}.",
        "Start `backup --quiet PATH…` by hand or by other means until that is mended.",
    )
