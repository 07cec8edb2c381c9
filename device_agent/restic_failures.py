"""How a run of restic failed, as an error that says who refused and what to do."""

from device_agent import restic_output
from device_agent.archive import Archive
from device_agent.restic_run import Outcome
from service_kit.errors import Conflict, NotFound, OffsiteError, Unavailable
from service_kit.reasons import Reason

NO_REPOSITORY, LOCKED, WRONG_PASSWORD = 10, 11, 12  # exit statuses, from 0.17 on; before, all are 1


def error_of(outcome: Outcome, archive: Archive) -> OffsiteError:
    """The error of a run that did not end well."""
    name, said = archive.name, "\n".join(map(restic_output.sentence_of, outcome.errors))
    if outcome.refusal is not None:
        return archive.refusal(outcome.refusal.status, outcome.refusal.text)
    if is_wrong_password(outcome):
        return wrong_password(name)
    if outcome.status == NO_REPOSITORY or "config/> does not exist" in said:
        return NotFound(
            Reason.NOT_FOUND, f"{name}: there is no repository.", "Back up to it first."
        )
    if outcome.status == LOCKED or "already locked" in said:
        return Conflict(
            Reason.RESTIC_FAILED,
            f"{name}: the repository is locked by another run of restic.",
            f'Wait until it has ended; if none runs: restic "{name}" -- unlock.',
        )
    if any(map(restic_output.is_network, outcome.errors)):
        return Unavailable(
            Reason.PEER_UNREACHABLE,
            f"{name}: the connection was lost: {_last(outcome)}",
            "Try again: what was sent already is not sent again.",
        )
    return Conflict(
        Reason.RESTIC_FAILED,
        f"{name}: restic ended with status {outcome.status}: {_last(outcome)}",
        f'See more with: restic "{name}" -- check.',
    )


def is_wrong_password(outcome: Outcome) -> bool:
    """Whether the password opened no key of the repository."""
    said = "wrong password or no key found"
    return outcome.status == WRONG_PASSWORD or any(said in each for each in outcome.errors)


def wrong_password(name: str) -> Conflict:
    """The repository is another's, or this computer took over from another."""
    return Conflict(
        Reason.RESTIC_FAILED,
        f"{name}: this computer's repository password does not open the archive there.",
        "If this computer took over from another: password import, with that one's password or "
        "the recovery sheet.",
    )


def _last(outcome: Outcome) -> str:
    """The last thing that it said that is worth telling."""
    sentences = [restic_output.sentence_of(each) for each in reversed(outcome.errors)]
    return next(filter(None, sentences), "it said nothing") + "."
