"""Small files that nobody else may read and that a crash can't halve."""

import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from service_kit.errors import Conflict, Unavailable
from service_kit.reasons import Reason


def write(path: Path, content: bytes) -> None:
    """Write a file (0600) durably; it is replaced as a whole, or not at all.

    Raises:
        Unavailable: it can't be written.
    """
    try:
        make_folder(path.parent)
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        try:
            _write_new(temporary, content)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        _sync_folder(path.parent)
    except OSError as error:
        raise _unusable(path, error) from error


def create(path: Path, content: bytes) -> None:
    """Write a file as `write` does, unless there is one: then that one stays.

    Raises:
        Unavailable: it can't be written.
    """
    try:
        make_folder(path.parent)
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        try:
            _write_new(temporary, content)
            with contextlib.suppress(FileExistsError):
                os.link(temporary, path)  # unlike a rename, never replaces
        finally:
            temporary.unlink(missing_ok=True)
        _sync_folder(path.parent)
    except OSError as error:
        raise _unusable(path, error) from error


def read(path: Path) -> bytes | None:
    """What a file holds, or None if there is none.

    Raises:
        Unavailable: it can't be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unusable(path, error) from error


def remove(*paths: Path) -> None:
    """Remove files durably; one that is missing is fine.

    Raises:
        Unavailable: one can't be removed.
    """
    for path in paths:
        try:
            path.unlink(missing_ok=True)
            if path.parent.is_dir():
                _sync_folder(path.parent)
        except OSError as error:
            raise _unusable(path, error) from error


def make_folder(folder: Path) -> None:
    """Make a folder that only its owner may enter, durably, and those above it that are missing."""
    for each in reversed([each for each in (folder, *folder.parents) if not each.exists()]):
        each.mkdir(mode=0o700, exist_ok=True)
        with contextlib.suppress(PermissionError):  # one above may be another's, and not readable
            _sync_folder(each.parent)


@contextlib.contextmanager
def held(path: Path, what: str) -> Iterator[None]:
    """Hold a lock file, for one process at a time.

    Raises:
        Conflict: another process holds it; `what` says what it is doing.
    """
    make_folder(path.parent)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise Conflict(
            Reason.DATA_IN_USE, f"{what} is already running here.", "Wait until it has ended."
        ) from None
    finally:
        os.close(descriptor)  # which gives the lock back


def _write_new(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unusable(path: Path, error: OSError) -> Unavailable:
    return Unavailable(
        Reason.UNAVAILABLE,
        f"{path} can't be used: {error.strerror}.",
        "Make the folder yours, or name another with --state.",
    )
