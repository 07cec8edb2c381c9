"""Find a snapshot at a destination, and restore it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from device_agent import refused
from device_agent.archive import Archive
from device_agent.destinations import Device, Opened
from device_agent.offers import Offer
from device_agent.restic import Restic
from device_agent.restic_failures import error_of
from device_agent.restic_run import Outcome, Repository, Watch, run
from service_kit.errors import Conflict, NotFound, OffsiteError
from service_kit.reasons import Reason
from service_kit.validation import plain

LATEST = "latest"
_UNFOUND = ("no matching ID found", "no snapshot found", "no snapshots found")


@dataclass(frozen=True)
class Wanted:
    """What to restore, and whereto."""

    snapshot: str
    target: str
    include: tuple[str, ...] = ()

    @property
    def words(self) -> list[str]:
        """For restic."""
        includes = [word for each in self.include for word in ("--include", each)]
        return ["restore", "--target", self.target, *includes, "--", self.snapshot]


def snapshots(restic: Restic, repository: Repository, archive: Archive) -> list[dict[str, Any]]:
    """All snapshots, oldest first: id, time, hostname, paths and tags.

    Raises:
        OffsiteError: the repository can't be read.
    """
    outcome = run(restic, repository, ["snapshots"], lambda _: None)
    if outcome.status:
        raise error_of(outcome, archive)
    listed = json.loads(outcome.printed[-1] if outcome.printed else "[]")
    return sorted(map(_document, listed or []), key=lambda each: str(each["time"]))


def _document(snapshot: Mapping[str, Any]) -> dict[str, Any]:
    """What others than this computer may have written, as it may be shown."""
    texts = {each: plain(str(snapshot.get(each, "")), 200) for each in ("id", "time", "hostname")}
    lists = {each: [str(one) for one in snapshot.get(each) or ()] for each in ("paths", "tags")}
    return {**texts, **lists}


def first_with(device: Device, restic: Restic, offers: Sequence[Offer], snapshot: str) -> Opened:
    """The first of these destinations, one or more, that answers and has the snapshot.

    Raises:
        OffsiteError: the first one's refusal, if none has it.
    """
    refusals: list[OffsiteError] = []
    for offer in offers:
        try:
            opened = device.open_held(offer)
            if len(offers) > 1:  # the only one's refusal comes from restoring itself
                check_there(restic, opened, snapshot)
            return opened
        except OffsiteError as error:
            refusals.append(refused.reading(device, offer, error))
    raise refusals[0]


def check_there(restic: Restic, opened: Opened, snapshot: str) -> None:
    """Check that a destination has a snapshot.

    Raises:
        NotFound: it has not.
        OffsiteError: its repository can't be read.
    """
    found = snapshots(restic, opened.repository, opened.archive)
    wanted = snapshot.partition(":")[0]  # restic takes ID:FOLDER, too
    if not any(wanted == LATEST or str(each["id"]).startswith(wanted) for each in found):
        raise unfound(opened.name, snapshot)


def restored(
    restic: Restic, repository: Repository, archive: Archive, wanted: Wanted, watch: Watch
) -> Outcome:
    """Restore.

    Raises:
        NotFound: there is no such snapshot.
        Conflict: something could not be restored; what could be, was.
        OffsiteError: the repository can't be read.
    """
    outcome = run(restic, repository, wanted.words, watch)
    if outcome.status and any(each in line for line in outcome.errors for each in _UNFOUND):
        raise unfound(archive.name, wanted.snapshot)
    if outcome.status and outcome.unread:
        raise Conflict(
            Reason.RESTIC_FAILED,
            f"{archive.name}: {outcome.unread_count} files or folders could not be restored: "
            f"{_some(outcome.unread)}.",
            "Look whether this user may write there; all else was restored.",
        )
    if outcome.status:
        raise error_of(outcome, archive)
    return outcome


def unfound(name: str, snapshot: str) -> NotFound:
    """There is no such snapshot."""
    what = "no snapshot" if snapshot == LATEST else f"no snapshot {snapshot}"
    return NotFound(Reason.NOT_FOUND, f"{name} has {what}.", "See: snapshots.")


def _some(items: Sequence[str]) -> str:
    return ", ".join(items[:3]) + (", …" if len(items) > 3 else "")
