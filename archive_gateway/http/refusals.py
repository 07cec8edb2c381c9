"""Our errors as HTTP's answers. restic prints the reason phrase, so the sentence stands there."""

from aiohttp import web

from service_kit.errors import (
    AlreadyExists,
    Conflict,
    InvalidArgument,
    LimitReached,
    NotFound,
    OffsiteError,
    PermissionDenied,
    Unauthenticated,
    Unavailable,
)

# 507 ends a client's attempt at once and clearly; 413 or 503 for a limit would be tried for
# minutes. 503 is for what may work a moment later.
_STATUS: tuple[tuple[type[OffsiteError], int], ...] = (
    (Unauthenticated, 401),
    (PermissionDenied, 403),
    (NotFound, 404),
    (AlreadyExists, 403),
    (Conflict, 403),
    (InvalidArgument, 400),
    (LimitReached, 507),
    (Unavailable, 503),
)
_MOST_REASON = 200  # characters


def refusal(error: OffsiteError) -> web.Response:
    """The answer to a refused request: the sentence as reason phrase, with the advice as body."""
    status = next((code for kind, code in _STATUS if isinstance(error, kind)), 500)
    text = f"{error.message.rstrip('.')}. {error.advice}".strip()
    headers: dict[str, str] = {"X-Offsite-Reason": error.reason}
    if status == 401:
        headers["WWW-Authenticate"] = 'Basic realm="archive", charset="UTF-8"'
    if error.retry_after is not None:
        headers["Retry-After"] = str(int(error.retry_after.total_seconds()))
    reason = phrase(error.message)
    return web.Response(status=status, reason=reason, text=f"{text}\n", headers=headers)


def plain(status: int, reason: str) -> web.Response:
    """An answer that only says what is wrong with a request."""
    return web.Response(status=status, reason=reason, text=f"{reason}.\n")


def phrase(text: str) -> str:
    """A sentence as a reason phrase: one line of ASCII (RFC 9112, section 4)."""
    line = text.rstrip(".").encode("ascii", "replace").decode()
    return "".join(each if each.isprintable() else " " for each in line)[:_MOST_REASON]
