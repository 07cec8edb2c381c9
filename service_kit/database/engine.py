"""Transactions from asynchronous code: synchronous operations, each run on a database thread."""

import asyncio
import contextvars
import os
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from service_kit.database import postgresql, sqlite
from service_kit.database.failures import as_unavailable
from service_kit.errors import FieldViolation, InvalidArgument

P = ParamSpec("P")
T = TypeVar("T")

Transaction = Connection
_ATTEMPTS = 3
_READERS = 4  # connections to PostgreSQL that only read


class Database:
    """One ledger.

    An operation is a synchronous function whose first parameter is the transaction. It may be run
    again where PostgreSQL ended it in favour of another, so it must do nothing outside of it.

    Every method that runs one raises what the operation raises, after a rollback, and Unavailable
    if the database can't be reached, is locked or full.
    """

    def __init__(self, url: str, *, pool_size: int = 8, read_only: bool = False) -> None:
        """Open `sqlite:////absolute/path` or `postgresql://user@host/name`.

        `pool_size` is the number of connections to PostgreSQL that write; a few more read. With
        `read_only` a SQLite file may be in use by another process.

        Raises:
            InvalidArgument: it is neither.
            Conflict: DATA_IN_USE, another process has this SQLite file.
        """
        self.url = _parsed(url)
        # Another object after each transaction of this process that may have changed something:
        # who remembers what he read also remembers this, and sees whether it still holds.
        self.version = object()
        self._lock: int | None = None
        if self.url.drivername == "sqlite":
            self._open_sqlite(Path(str(self.url.database)), read_only)
        else:
            self._open_postgresql(pool_size, read_only)

    @property
    def dialect(self) -> str:
        """Which engine it is: `sqlite` or `postgresql`."""
        return self._writer.dialect.name

    async def run(
        self, operation: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run an operation in a transaction that is durable when this returns."""
        return await self._hop(
            self._write_threads, lambda: self._write(lambda tx: operation(tx, *args, **kwargs))
        )

    async def read(
        self, operation: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run an operation that only reads, on one snapshot."""
        return await self._hop(
            self._read_threads, lambda: self._read(lambda tx: operation(tx, *args, **kwargs))
        )

    async def preview(
        self, operation: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run an operation, take its answer, and roll back: what would happen."""
        return await self._hop(
            self._write_threads,
            lambda: self._write(lambda tx: operation(tx, *args, **kwargs), keep=False),
        )

    def run_sync(
        self, operation: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """`run` for code without an event loop."""
        work = self._write_threads.submit(
            contextvars.copy_context().run,
            lambda: self._write(lambda tx: operation(tx, *args, **kwargs)),
        )
        return work.result()

    def read_sync(
        self, operation: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """`read` for code without an event loop."""
        return self._read(lambda tx: operation(tx, *args, **kwargs))

    def preview_sync(
        self, operation: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """`preview` for code without an event loop."""
        work = self._write_threads.submit(
            contextvars.copy_context().run,
            lambda: self._write(lambda tx: operation(tx, *args, **kwargs), keep=False),
        )
        return work.result()

    def use_wal(self) -> None:
        """Prepare a SQLite file for readers beside the writer; nothing to do on PostgreSQL."""
        if self.dialect == "sqlite":
            self._write_threads.submit(sqlite.use_wal, self._writer).result()

    def dispose(self) -> None:
        """Finish what was begun, close every connection, and let go of the file."""
        self._write_threads.shutdown()
        self._read_threads.shutdown()
        self._reader.dispose()
        self._writer.dispose()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _open_sqlite(self, path: Path, read_only: bool) -> None:
        if not read_only:
            self._lock = sqlite.lock_file(path)
            sqlite.create_file(path)
        self._reader = sqlite.reader(path)
        self._writer = self._reader if read_only else sqlite.writer(path)
        # SQLite has one writer at a time: on one thread they queue here, in order, without polling.
        self._write_threads = ThreadPoolExecutor(1, "ledger-writer")
        self._read_threads = ThreadPoolExecutor(sqlite.READERS, "ledger-reader")

    def _open_postgresql(self, pool_size: int, read_only: bool) -> None:
        engine = postgresql.writer(self.url, pool_size + _READERS)
        self._reader = postgresql.reader(engine)
        self._writer = self._reader if read_only else engine
        # As many threads as connections: calls queue for a thread, never for a connection. Reads
        # have their own: writes may wait for a row that a long change holds.
        self._write_threads = ThreadPoolExecutor(pool_size, "ledger")
        self._read_threads = ThreadPoolExecutor(_READERS, "ledger-reader")

    async def _hop(self, threads: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        context = contextvars.copy_context()
        return await asyncio.get_running_loop().run_in_executor(threads, context.run, work)

    def _write(self, operation: Callable[[Transaction], T], *, keep: bool = True) -> T:
        try:
            with as_unavailable():
                return self._attempt(operation, keep=keep)
        finally:
            self.version = object()

    def _attempt(self, operation: Callable[[Transaction], T], *, keep: bool) -> T:
        for attempt in range(1, _ATTEMPTS):
            try:
                return _transact(self._writer, operation, keep=keep)
            except DBAPIError as error:
                if not postgresql.overtaken(error):
                    raise
            # The other transaction needs a moment; not the same one for all that wait.
            time.sleep(random.uniform(0, 0.01 * attempt))  # noqa: S311
        return _transact(self._writer, operation, keep=keep)

    def _read(self, operation: Callable[[Transaction], T]) -> T:
        with as_unavailable():
            return _transact(self._reader, operation, keep=False)


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        parsed = None
    if parsed is None or parsed.drivername not in ("sqlite", "postgresql") or not parsed.database:
        wanted = "must be like sqlite:////folder/ledger.db or postgresql://user@host/name"
        raise InvalidArgument([FieldViolation("database", wanted)])
    return parsed


def _transact(engine: Engine, operation: Callable[[Transaction], T], *, keep: bool) -> T:
    with engine.connect() as tx, tx.begin() as transaction:
        outcome = operation(tx)
        if not keep:
            transaction.rollback()
        return outcome
