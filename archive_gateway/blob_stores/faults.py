"""What a medium's failures mean to those who asked; no path and no secret is told."""

import errno
import os
from datetime import timedelta

from service_kit.errors import LimitReached, OffsiteError, Unavailable
from service_kit.reasons import Reason

_FULL = {errno.ENOSPC, errno.EDQUOT}
_RETRY = timedelta(seconds=30)


def storage_full() -> LimitReached:
    """The medium has no room left, whatever anybody's quota says."""
    return LimitReached(
        Reason.STORAGE_FULL,
        "Provider storage full",
        "Ask the server's operator to add storage, or to purge deleted backups.",
    )


def storage_failed(what: str) -> Unavailable:
    """The medium failed; `what` is a few words on how, for people."""
    return Unavailable(
        Reason.ARCHIVE_UNAVAILABLE,
        f"The archive's storage failed: {what}.",
        "Try again later; the server's operator should look at the archive's disk or bucket.",
        retry_after=_RETRY,
    )


def refusal(error: OSError) -> OffsiteError:
    """The refusal for what the operating system said; also for writes to the spool."""
    if error.errno in _FULL:
        return storage_full()
    return storage_failed(os.strerror(error.errno) if error.errno else "no reason was given")
