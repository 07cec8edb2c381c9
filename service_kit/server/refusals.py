"""The refusals that the guards make of what no handler raised on purpose."""

from datetime import timedelta

from service_kit.errors import DeadlineExceeded, Internal, Unavailable
from service_kit.reasons import Reason


def fault(trace_id: str) -> Internal:
    """A fault of this program, told in fixed words: an exception's text may hold anything."""
    return Internal(
        Reason.INTERNAL,
        "the server met a fault of its own",
        f"Its log tells more under trace id {trace_id}.",
        metadata={"trace_id": trace_id},
    )


def cut_off() -> DeadlineExceeded:
    """A call without a deadline of its own that took longer than the one imposed on it."""
    return DeadlineExceeded(
        Reason.DEADLINE_EXCEEDED,
        "the call took too long; it may or may not have taken effect",
        "Look before calling again.",
    )


def stopping() -> Unavailable:
    """A stream that ends because the server drains."""
    return Unavailable(
        Reason.UNAVAILABLE,
        "the server is stopping",
        "Call again in a moment.",
        retry_after=timedelta(seconds=1),
    )
