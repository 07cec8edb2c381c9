"""When to back up, as systemd and cron write it."""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from service_kit.cli.durations import format_duration, parse_duration
from service_kit.errors import FieldViolation, InvalidArgument

NAME = "offsite-device-backup"
MARK = f"# {NAME}"
LEAST, MOST = timedelta(minutes=10), timedelta(days=30)
SPREAD_SECONDS = 900  # so that a company's computers don't all begin at once
_TIME = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class When:
    """Daily at a time of this computer's clock, or every so often."""

    hour: int = 0
    minute: int = 0
    every: timedelta | None = None

    @property
    def systemd(self) -> str:
        """The lines of a timer. One that a computer slept through is made up for."""
        if self.every is None:
            return f"OnCalendar=*-*-* {self.hour:02}:{self.minute:02}:00\nPersistent=true"
        seconds = int(self.every.total_seconds())
        return f"OnActiveSec=60\nOnBootSec=300\nOnUnitActiveSec={seconds}"

    @property
    def cron(self) -> str:
        """The five fields of a crontab's line.

        Raises:
            InvalidArgument: cron can't say it.
        """
        if self.every is None:
            return f"{self.minute} {self.hour} * * *"
        minutes = int(self.every.total_seconds()) // 60
        if minutes < 60 and 60 % minutes == 0:
            return f"*/{minutes} * * * *"
        if minutes % 60 == 0 and 24 % (hours := minutes // 60) == 0:
            return f"0 */{hours} * * *" if hours < 24 else "0 12 * * *"
        raise _invalid("--every", "must divide an hour or a day, as cron has no other")

    def __str__(self) -> str:
        """For people."""
        if self.every is None:
            return f"daily at {self.hour:02}:{self.minute:02}"
        return f"every {format_duration(int(self.every.total_seconds()))}"


def parse_when(at: str | None, every: str | None) -> When:
    """When: daily at noon if nothing is said, for computers that are asleep at night.

    Raises:
        InvalidArgument: it is neither a time nor a duration, or both were given.
    """
    if at and every:
        raise _invalid("--every", "can't be given together with --at")
    if every:
        length = parse_duration("--every", every)
        if not LEAST <= length <= MOST or length % timedelta(minutes=1):
            raise _invalid("--every", "must be whole minutes, 10m to 30d")
        return When(every=length)
    match = _TIME.fullmatch(at or "12:00")
    if match is None:
        raise _invalid("--at", f"must be a time like 02:30, is {at!r}")
    return When(int(match[1]), int(match[2]))


def service_unit(command: Sequence[str]) -> str:
    """The systemd service: one backup, and nothing that hinders who works at the computer."""
    return f"""[Unit]
Description=Offsite backup of this computer
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
ExecStart={" ".join(map(_systemd_word, command))}
Nice=10
IOSchedulingClass=idle
"""


def timer_unit(when: When) -> str:
    """The systemd timer."""
    return f"""[Unit]
Description=Offsite backup of this computer, {when}

[Timer]
{when.systemd}
RandomizedDelaySec={SPREAD_SECONDS}

[Install]
WantedBy=timers.target
"""


def cron_line(when: When, command: Sequence[str]) -> str:
    """A crontab's line; cron reads % as the end of a line, and mails what it prints.

    So only what went wrong is left to be mailed.
    """
    words = " ".join(map(shlex.quote, command)).replace("%", r"\%")
    return f"{when.cron} {words} >/dev/null {MARK}"


def _systemd_word(word: str) -> str:
    """A word of ExecStart: no specifier and no variable of systemd's own is meant."""
    escaped = word.replace("\\", "\\\\").replace('"', r"\"").replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'


def _invalid(option: str, description: str) -> InvalidArgument:
    return InvalidArgument([FieldViolation(option, description)])
