"""The repository at a destination: made at first use, and never made anew in silence."""

from dataclasses import replace

from device_agent.archive import Archive
from device_agent.destinations import Opened
from device_agent.restic import Restic
from device_agent.restic_failures import error_of
from device_agent.restic_run import run
from device_agent.state import State
from service_kit.errors import Conflict
from service_kit.reasons import Reason

CONTENT = ("snapshots", "index", "data")


def ensure(state: State, restic: Restic, opened: Opened, *, anew: bool = False) -> None:
    """Make the repository where there is none; `anew` also where there was one before.

    Raises:
        Conflict: there was one, or what is left of one, and it is gone.
        OffsiteError: it can't be made.
    """
    if not opened.archive.has_config():
        if opened.kept.begun and not anew:
            raise _gone(opened.name, "Only if it is gone for good: backup --begin-anew.")
        _make(restic, opened)
    if not opened.kept.begun:
        state.save_destination(replace(opened.kept, begun=True))


def _make(restic: Restic, opened: Opened) -> None:
    _clear(opened.archive)
    outcome = run(restic, opened.repository, ["init"], lambda _: None)
    if outcome.status:
        raise error_of(outcome, opened.archive)


def _clear(archive: Archive) -> None:
    """Take away the keys of a making that was cut off: no restic would make a repository there.

    Only where there is nothing that they could open.
    """
    if any(archive.names(kind) for kind in CONTENT):
        raise _gone(archive.name, "What is left can be removed (archive purge).")
    for name in archive.names("keys"):
        archive.delete("keys", name)


def _gone(name: str, otherwise: str) -> Conflict:
    return Conflict(
        Reason.RESTIC_FAILED,
        f"{name}: the repository that was there is gone, or a part of it.",
        "Ask your administrator: what was deleted can be brought back (archive undelete). "
        + otherwise,
    )
