"""How a SQLite file is opened: one writer, a few readers, durable, one process."""

import fcntl
import os
import sqlite3
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import QueuePool

from service_kit.errors import Conflict
from service_kit.reasons import Reason

READERS = 4  # reads are short and share two to eight cores with everything else

_PRAGMAS = (
    # A commit that was answered survives a power cut; with NORMAL, WAL may lose the last ones.
    "PRAGMA synchronous=FULL",
    # Off by default, and per connection.
    "PRAGMA foreign_keys=ON",
    # Another process may hold the write lock for a moment (a checkpoint, a person with sqlite3).
    "PRAGMA busy_timeout=10000",
)
# A read that writes is a mistake, and would get around the one writer thread.
_READER_PRAGMAS = (*_PRAGMAS, "PRAGMA query_only=ON")


def writer(path: Path) -> Engine:
    """An engine of one connection, whose transactions take the write lock at once."""
    # A transaction that first reads and then wants to write fails at once if another wrote
    # meanwhile, without waiting for busy_timeout; IMMEDIATE asks for the lock while it can wait.
    return _engine(path, _PRAGMAS, "BEGIN IMMEDIATE", 1)


def reader(path: Path) -> Engine:
    """An engine for reading; each transaction sees one snapshot."""
    return _engine(path, _READER_PRAGMAS, "BEGIN", READERS)


def use_wal(engine: Engine) -> None:
    """Switch the file to WAL: readers then don't wait for the writer, nor the writer for them.

    The file remembers it, and it can't be changed inside a transaction; so migrations do it once.
    """
    connection = engine.raw_connection()
    try:
        connection.cursor().execute("PRAGMA journal_mode=WAL")
    finally:
        connection.close()


def create_file(path: Path) -> None:
    """Make the file before SQLite does, so that nobody else may read it."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


def lock_file(path: Path) -> int:
    """Hold the data for this process; answers the descriptor that holds it until it is closed.

    Raises:
        Conflict: DATA_IN_USE, another process has it.
    """
    descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise Conflict(
            Reason.DATA_IN_USE,
            f"Another process uses {path}.",
            "Stop it first, or give this one its own data folder.",
        ) from None
    return descriptor


def _engine(path: Path, pragmas: tuple[str, ...], begin: str, connections: int) -> Engine:
    # mode=rw: a missing file is an error here, not a new empty ledger.
    uri = f"file:{quote(str(path))}?mode=rw"

    def connect() -> sqlite3.Connection:
        # isolation_level None: sqlite3 would otherwise begin on its own, late and not IMMEDIATE.
        connection = sqlite3.connect(
            uri, uri=True, isolation_level=None, check_same_thread=False, cached_statements=512
        )
        for pragma in pragmas:
            connection.execute(pragma)
        return connection

    engine = create_engine(
        "sqlite://", creator=connect, poolclass=QueuePool, pool_size=connections, max_overflow=0
    )

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine
