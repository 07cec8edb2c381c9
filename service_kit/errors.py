"""What can go wrong, told without any transport.

Each error has a machine-readable reason (`service_kit.reasons`), a sentence that says what
happened, and one that tells the reader what to do next.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from service_kit.reasons import Reason

T = TypeVar("T")


@dataclass(frozen=True)
class FieldViolation:
    """One field out of bounds: its proto path (`contact.email`) and what it must be."""

    field: str
    description: str


class OffsiteError(Exception):
    """The base of every refusal.

    `metadata` holds short facts for programs; never a secret. `retry_after` is set where
    waiting helps.
    """

    def __init__(
        self,
        reason: Reason,
        message: str,
        advice: str = "",
        *,
        metadata: Mapping[str, str] | None = None,
        retry_after: timedelta | None = None,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.advice = advice
        self.metadata = dict(metadata or {})
        self.retry_after = retry_after


class InvalidArgument(OffsiteError):
    """The request is out of bounds; `violations` names every field."""

    def __init__(
        self, violations: Sequence[FieldViolation], reason: Reason = Reason.INVALID_FIELD
    ) -> None:
        listed = "; ".join(f"{each.field}: {each.description}" for each in violations)
        super().__init__(reason, f"{listed}.", "Correct the named fields.")
        self.violations = tuple(violations)


class NotFound(OffsiteError):
    """What was named does not exist."""


class AlreadyExists(OffsiteError):
    """Another resource already has this id or name."""


class Unauthenticated(OffsiteError):
    """The caller did not prove who it is."""


class PermissionDenied(OffsiteError):
    """The caller is known and may not do this."""


class LimitReached(OffsiteError):
    """A seat limit, a license or a quota is used up."""


class Conflict(OffsiteError):
    """The resource's state does not allow this now."""


class Stale(OffsiteError):
    """The request was overtaken: an older etag, generation or epoch."""


class Unavailable(OffsiteError):
    """A server can't be reached or is not ready; the outcome may be unknown."""


class Unimplemented(OffsiteError):
    """The other side does not know this call: it has to be upgraded."""


class DeadlineExceeded(OffsiteError):
    """The call took too long; the outcome may be unknown."""


class Internal(OffsiteError):
    """A fault of the server's own program; its log holds the details."""


def settled(outcome: T | OffsiteError) -> T:
    """The outcome, or raise the refusal that it is.

    A refusal that must itself be recorded is returned by its transaction, so that it commits, and
    raised afterwards.
    """
    if isinstance(outcome, OffsiteError):
        raise outcome
    return outcome
