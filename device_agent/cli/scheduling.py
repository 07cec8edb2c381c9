"""`offsite-device schedule`: backups by themselves."""

import sys
from pathlib import Path

from cyclopts import App

from device_agent.cli.backups import Repeated
from device_agent.cli.program import options, state
from service_kit.cli import output
from service_kit.cli.parameters import Flag
from service_kit.errors import FieldViolation, InvalidArgument

app = App(name="schedule", help="Backups by themselves, by a systemd timer or cron.")


@app.command
def install(
    *paths: str,
    at: str | None = None,
    every: str | None = None,
    to: Repeated = (),
    exclude: Repeated = (),
    exclude_file: Repeated = (),
    tag: Repeated = (),
    print_: Flag = False,
) -> None:
    """Back up these files and folders by themselves, in place of an earlier schedule.

    Parameters
    ----------
    paths
        Files and folders.
    at
        Daily at this time of this computer's clock, like 02:30; at 12:00 if nothing is said.
    every
        Every so often instead, like 4h.
    to
        As of `backup`; so are the others.
    print_
        Only print what would be installed.
    """
    from device_agent import restic, schedule
    from device_agent.schedule_units import cron_line, parse_when, service_unit, timer_unit

    if not paths:
        raise InvalidArgument([FieldViolation("PATH", "name files or folders")])
    when = parse_when(at, every)
    here = state()
    _ = here.enrollment  # a schedule that can do nothing is refused
    command = [
        *_program(),
        *("--state", str(here.folder), "--restic", str(restic.find(options().restic).program)),
        *("backup", "--quiet"),
        *_options(to=to, exclude=exclude, exclude_file=_absolute(exclude_file), tag=tag),
        "--",
        *_absolute(paths),
    ]
    if print_:
        output.line(service_unit(command))
        output.line(timer_unit(when))
        output.line(cron_line(when, command))
        return
    by = schedule.scheduler()
    by.install(when, command)
    output.show_document(
        {"by": by.kind, "when": str(when), "command": command},
        lambda: output.line(f"Backups run {when}, by {by.kind}."),
    )


@app.command
def remove() -> None:
    """Schedule no backups any longer."""
    from device_agent import schedule

    by = schedule.scheduler()
    was = by.remove()
    said = "No backups are scheduled any longer." if was else "No backups were scheduled."
    output.show_document({"by": by.kind, "removed": was}, lambda: output.line(said))


@app.command
def show() -> None:
    """Show what is scheduled."""
    from device_agent import schedule

    by = schedule.scheduler()
    text = by.show()
    output.show_document(
        {"by": by.kind, "scheduled": bool(text), "text": text},
        lambda: output.line(text or "No backups are scheduled."),
    )


def _program() -> list[str]:
    """This program, by a path that does not depend on who starts it."""
    beside = Path(sys.executable).parent / "offsite-device"
    return [str(beside)] if beside.exists() else [sys.executable, "-m", "device_agent.cli"]


def _options(**values: tuple[str, ...]) -> list[str]:
    pairs = [(f"--{name.replace('_', '-')}", each) for name, all in values.items() for each in all]
    return [word for pair in pairs for word in pair]


def _absolute(paths: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(str(Path(each).absolute()) for each in paths)
