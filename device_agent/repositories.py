"""The repository at a destination: made at first use, and never made anew in silence."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace

from device_agent.archive import Archive
from device_agent.destinations import Device, Opened
from device_agent.offers import Offer
from device_agent.recovery import opens
from device_agent.restic import Restic
from device_agent.restic_failures import error_of
from device_agent.restic_run import run
from service_kit.errors import Conflict, OffsiteError
from service_kit.reasons import Reason

CONTENT = ("snapshots", "index", "data")


def ensure(device: Device, restic: Restic, opened: Opened, *, anew: bool = False) -> None:
    """Make the repository where there is none; `anew` also where there was one before.

    Raises:
        Conflict: there was one, or what is left of one, and it is gone; or there is one elsewhere
            that another computer began.
        OffsiteError: it can't be made.
    """
    if not opened.archive.has_config():
        if opened.kept.begun and not anew:
            raise _gone(opened.name, "Only if it is gone for good: backup --begin-anew.")
        if not anew:
            _check_password(device, restic, opened)
        _make(restic, opened)
    if not opened.kept.begun:
        device.state.save_destination(replace(opened.kept, begun=True))


def _check_password(device: Device, restic: Restic, opened: Opened) -> None:
    """Refuse a second password: another computer began this device's archive elsewhere.

    It has to be taken over before this one's own opens anything.
    """
    others = [each for each in device.offered if each.storage_id != opened.kept.storage_id]
    found = dict(_opening(device, restic, others))
    if found and not any(found.values()):
        raise Conflict(
            Reason.WRONG_STATE,
            f"{opened.name}: no repository is made with this computer's own password, as it does "
            f"not open the archive at {next(iter(found))}.",
            "If this computer took over from another: password import. If that archive is not to "
            "be used: backup --begin-anew.",
        )


def _opening(device: Device, restic: Restic, offers: Iterable[Offer]) -> Iterator[tuple[str, bool]]:
    """Whether the password opens it, of each destination that answers and has a repository."""
    for offer in offers:
        with suppress(OffsiteError):
            opened = device.open_held(offer)
            if opened.archive.has_config():
                yield opened.name, opens(restic, opened.repository)


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
