"""Back up to destinations, one after the other; none stops another."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from device_agent import escrow, repositories
from device_agent.destinations import Device, Opened
from device_agent.offers import Offer
from device_agent.restic import Restic
from device_agent.restic_failures import error_of
from device_agent.restic_run import Outcome, Watch, run
from service_kit.clock import now
from service_kit.errors import OffsiteError, PermissionDenied, Unauthenticated, Unavailable
from service_kit.reasons import Reason
from service_kit.validation import plain

INCOMPLETE = 3  # restic's exit status: a snapshot was made, and something could not be read
MOST_UNREAD = 20  # that are named


class Verdict(StrEnum):
    """How a backup to one destination ended."""

    SAVED = "saved"
    INCOMPLETE = "incomplete"  # a snapshot was made, and something could not be read
    REFUSED = "refused"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True)
class Wanted:
    """What to back up."""

    paths: tuple[str, ...]
    exclude: tuple[str, ...] = ()
    exclude_file: tuple[str, ...] = ()
    tag: tuple[str, ...] = ()
    begin_anew: bool = False

    def words(self, host: str, state_folder: Path) -> list[str]:
        """For restic. The agent's own secrets are no part of any backup."""
        words = ["backup", "--host", host]
        for folder in dict.fromkeys((state_folder.absolute(), state_folder.resolve())):
            words += ["--exclude", _literal(str(folder))]
        for name in ("exclude", "exclude_file", "tag"):
            for value in getattr(self, name):
                words += [f"--{name.replace('_', '-')}", value]
        return [*words, "--", *self.paths]


@dataclass(frozen=True)
class Result:
    """How a backup to one destination ended, as it is shown and kept."""

    destination: str
    verdict: Verdict
    time: str
    message: str = ""
    advice: str = ""
    reason: str = ""
    snapshot_id: str = ""
    files: int = 0
    new_files: int = 0
    changed_files: int = 0
    processed_bytes: int = 0
    added_bytes: int = 0
    seconds: float = 0
    unread: tuple[str, ...] = field(default=())
    in_escrow: bool = False

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def to(device: Device, restic: Restic, offer: Offer, wanted: Wanted, watch: Watch) -> Result:
    """Back up to one destination; a refusal is a result."""
    try:
        result = _made(device, restic, offer, wanted, watch)
    except OffsiteError as error:
        verdict = Verdict.UNREACHABLE if isinstance(error, Unavailable) else Verdict.REFUSED
        result = Result(
            offer.name, verdict, _time(), error.message, error.advice, str(error.reason)
        )
    except Exception as error:  # it stops no other destination
        result = _failed(offer, error)
    return _noted(device, offer, result)


def _failed(offer: Offer, error: Exception) -> Result:
    """A fault of this computer, or of this program."""
    said = plain(f"{offer.name}: {type(error).__name__}: {error}", 500)
    advice = "Look whether this computer's disk is full; if it is not, report this fault."
    return Result(offer.name, Verdict.REFUSED, _time(), said, advice, str(Reason.INTERNAL))


def _noted(device: Device, offer: Offer, result: Result) -> Result:
    """The result, kept for `status`; a good one that can't be kept says so."""
    try:
        kept = device.state.destination(offer.storage_id, offer.name)
        device.state.save_destination(replace(kept, last=result.document()))
    except Exception as error:  # a full disk, or a damaged file
        if result.verdict is not Verdict.SAVED:
            return result
        why = _failed(offer, error)
        message = plain(f"{offer.name}: saved, but that can't be noted: {error}", 500)
        advice = getattr(error, "advice", why.advice)
        return replace(result, verdict=why.verdict, message=message, advice=advice)
    return result


def _made(device: Device, restic: Restic, offer: Offer, wanted: Wanted, watch: Watch) -> Result:
    """Back up; once more by a new access if the one that was known has ended meanwhile."""
    opened = device.open(offer)
    try:
        return _through(device, restic, opened, wanted, watch)
    except Unauthenticated:
        return _through(device, restic, device.open_anew(offer), wanted, watch)


def _through(
    device: Device, restic: Restic, opened: Opened, wanted: Wanted, watch: Watch
) -> Result:
    _check_writable(opened)
    in_escrow = escrow.ensure(device.state, device.enrollment, device.key, opened.archive)
    repositories.ensure(device, restic, opened, anew=wanted.begin_anew)
    summary: dict[str, Any] = {}

    def listen(event: Mapping[str, Any]) -> None:
        if event["message_type"] == "summary":
            summary.update(event)
        watch(event)

    words = wanted.words(device.enrollment.device_name, device.state.folder)
    outcome = run(restic, opened.repository, words, listen)
    if outcome.status not in (0, INCOMPLETE) or not summary:
        raise error_of(outcome, opened.archive)
    return _result(opened.name, outcome, summary, in_escrow)


def _check_writable(opened: Opened) -> None:
    """Say at once why nothing may be written: restic would say it only after reading all files."""
    if opened.usage.get("state") == "read-only":
        reason = plain(str(opened.usage.get("reason") or "it takes no backups"), 500).rstrip(".")
        raise PermissionDenied(
            Reason.ARCHIVE_READ_ONLY,
            f"{opened.name}: {reason}.",
            "Backups made so far can be restored. Ask your administrator.",
        )


def _result(name: str, outcome: Outcome, summary: Mapping[str, Any], in_escrow: bool) -> Result:
    own = outcome.stored_again or outcome.damaged  # errors of the archive, and of no file here
    some_unread = outcome.unread_count > 0 or (outcome.status == INCOMPLETE and not own)
    partly = some_unread or outcome.damaged
    message, advice = _told(name, outcome, some_unread=some_unread)
    return Result(
        destination=name,
        verdict=Verdict.INCOMPLETE if partly else Verdict.SAVED,
        time=_time(),
        message=message,
        advice=advice,
        snapshot_id=str(summary.get("snapshot_id", "")),
        files=int(summary.get("total_files_processed", 0)),
        new_files=int(summary.get("files_new", 0)),
        changed_files=int(summary.get("files_changed", 0)),
        processed_bytes=int(summary.get("total_bytes_processed", 0)),
        added_bytes=int(summary.get("data_added_packed") or summary.get("data_added", 0)),
        seconds=float(summary.get("total_duration", 0)),
        unread=tuple(outcome.unread[:MOST_UNREAD]),
        in_escrow=in_escrow,
    )


def _told(name: str, outcome: Outcome, *, some_unread: bool) -> tuple[str, str]:
    """What was amiss with a backup that made a snapshot, and what to do; nothing if nothing was."""
    said: list[tuple[str, str]] = []
    if some_unread:
        what = f"{outcome.unread_count or 'some'} files or folders could not be read."
        said.append((what, "Make them readable for this user, or leave them out with --exclude."))
    if outcome.damaged:
        what = "the archive is damaged, and this snapshot may lack content."
        repair = f'Repair it (restic "{name}" -- repair index), then back up again.'
        said.append((what, repair))
    if outcome.stored_again:
        what = "the archive had lost content; what is still here was stored again."
        said.append((what, f'See what it lacks besides: restic "{name}" -- check.'))
    message = "; ".join(what.rstrip(".") for what, _ in said)
    return f"{name}: {message}." if said else "", " ".join(advice for _, advice in said)


def _literal(path: str) -> str:
    """A pattern of restic's that matches this path alone."""
    return re.sub(r"([\\*?\[])", r"\\\1", path)


def _time() -> str:
    return now().isoformat(timespec="seconds")


def status_of(results: Sequence[Result], done: int, refused: int, unreachable: int) -> int:
    """The exit status: of the worst, and unreachable only where nothing else went wrong."""
    verdicts = {each.verdict for each in results}
    if verdicts & {Verdict.REFUSED, Verdict.INCOMPLETE}:
        return refused
    return unreachable if Verdict.UNREACHABLE in verdicts else done
