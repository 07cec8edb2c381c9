"""Which failures of a database are a matter of its state, and not a mistake in this program."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, OperationalError

from service_kit.errors import Unavailable
from service_kit.reasons import Reason

# Primary result codes, https://www.sqlite.org/rescode.html
_SQLITE_STATES = (
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
)
_PRIMARY = 0xFF


@contextmanager
def as_unavailable() -> Iterator[None]:
    """Turn the failures of an unreachable, locked or full database into Unavailable."""
    try:
        yield
    except DBAPIError as error:
        if not _is_state(error):
            raise
        raise Unavailable(
            Reason.UNAVAILABLE,
            f"The database can't be used now ({type(error.orig).__name__}).",
            "Look at the database and at the server's log, then try again.",
        ) from error


def _is_state(error: DBAPIError) -> bool:
    if isinstance(error.orig, sqlite3.Error):
        return getattr(error.orig, "sqlite_errorcode", 0) & _PRIMARY in _SQLITE_STATES
    # psycopg: connection lost, server shutting down, out of space or memory, locks that ran out.
    return isinstance(error, OperationalError)
