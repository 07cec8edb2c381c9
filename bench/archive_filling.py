"""Repositories with many blobs, written past the servers: only their names and sizes matter."""

import hashlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from bench.archive_client import Repository


def rest_server(place: Path, repository: Repository, count: int) -> None:
    """Make files in a repository of rest-server."""
    data = place / "repositories" / urlsplit(repository.url).path.strip("/") / "data"
    for name in _names(count):
        (data / name[:2] / name).write_bytes(b"x")


def ledger(data: Path, repository: Repository, count: int) -> None:
    """Write blobs into the ledger of our server, whose archive of this device is there already."""
    connection = sqlite3.connect(data / "ledger.db", timeout=60)
    query = "SELECT id FROM archives WHERE device_guid = ?"
    (archive_id,) = connection.execute(query, (repository.user,)).fetchone()
    moment = time.time_ns()
    rows = (
        (f"{moment + number:016x}{number:08x}", archive_id, name, moment // 1000, moment // 1000)
        for number, name in enumerate(_names(count))
    )
    with connection:
        connection.executemany(
            "INSERT INTO archive_blobs"
            " (nonce, archive_id, type, name, size, state, live_time, confirm_time)"
            " VALUES (?, ?, 'data', ?, 1, 'live', ?, ?)",
            rows,
        )
        for table in ("archives", "archive_accounts"):
            connection.execute(f"UPDATE {table} SET stored_bytes = stored_bytes + ?", (count,))
    # Else the server's next commit would move all of it from the log to the file.
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def _names(count: int) -> Iterator[str]:
    """Names as blobs have them, in no order."""
    for number in range(count):
        yield hashlib.sha256(str(number).encode()).hexdigest()
