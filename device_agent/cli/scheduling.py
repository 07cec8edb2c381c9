"""`offsite-device schedule`: backups by themselves."""

import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts import App

from device_agent.cli.backups import Repeated, present
from device_agent.cli.parameters import absolute
from device_agent.cli.program import options, state
from service_kit.cli import output
from service_kit.cli.parameters import Flag
from service_kit.errors import InvalidArgument

if TYPE_CHECKING:
    from device_agent.schedule_units import When

NOTHING = "No backups are scheduled"

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
        Only to this destination; repeatable.
    exclude
        Leave out what matches this pattern of restic's; repeatable.
    exclude_file
        A file of such patterns, a line each; repeatable.
    tag
        A tag for the snapshots; repeatable.
    print_
        Only print what would be installed, each file under its name.
    """
    from device_agent import restic, schedule
    from device_agent.schedule_units import parse_when

    found = present(paths)
    when = parse_when(at, every)
    patterns = absolute("--exclude-file", exclude_file)
    here = state()
    _ = here.enrollment  # a schedule that can do nothing is refused
    command = [
        *_program(),
        *("--state", str(here.folder), "--restic", str(restic.find(options().restic).program)),
        *("backup", "--quiet"),
        *_options(to=to, exclude=exclude, exclude_file=patterns, tag=tag),
        "--",
        *found,
    ]
    if print_:
        _print(when, command)
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

    by = schedule.scheduling()
    was = by is not None and by.remove()
    said = f"{NOTHING} any longer." if was else "No backups were scheduled."
    document = {"by": by.kind if by else "", "removed": was}
    output.show_document(document, lambda: output.line(said))


@app.command
def show() -> None:
    """Show what is scheduled."""
    from device_agent import schedule

    by = schedule.scheduling()
    text = by.show() if by else ""
    output.show_document(
        {"by": by.kind if by else "", "scheduled": bool(text), "text": text},
        lambda: output.line(text or f"{NOTHING}."),
    )


def _print(when: "When", command: list[str]) -> None:
    """What systemd would be given, and cron where it can say that."""
    from device_agent.schedule import Systemd, units_folder
    from device_agent.schedule_units import cron_line

    texts = {str(path): text for path, text in Systemd(units_folder()).texts(when, command).items()}
    with suppress(InvalidArgument):  # systemd knows more intervals than cron
        texts["crontab"] = f"{cron_line(when, command)}\n"
    files = [{"file": name, "text": text} for name, text in texts.items()]

    def people() -> None:
        for name, text in texts.items():
            output.line(f"# {name}")
            output.line(text)

    output.show_document({"when": str(when), "command": command, "files": files}, people)


def _program() -> list[str]:
    """This program, by a path that does not depend on who starts it."""
    beside = Path(sys.executable).parent / "offsite-device"
    return [str(beside)] if beside.exists() else [sys.executable, "-m", "device_agent.cli"]


def _options(**values: tuple[str, ...]) -> list[str]:
    pairs = [(f"--{name.replace('_', '-')}", each) for name, all in values.items() for each in all]
    return [word for pair in pairs for word in pair]
