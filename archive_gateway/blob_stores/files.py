"""Files and folders as the operating system knows them; every call blocks."""

import contextlib
import os
from pathlib import Path

from archive_gateway.blob_stores.open_files import OpenFile


def entries(folder: Path) -> list[os.DirEntry[str]]:
    """What is in a folder; nothing where there is none."""
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError:
        return []


def open_to_read(path: Path) -> OpenFile | None:
    """A file, open; None where there is none."""
    try:
        return OpenFile(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
    except FileNotFoundError:
        return None


def size_of(path: Path) -> int | None:
    """A file's size in bytes, None where there is no file."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def text_of(path: Path) -> str | None:
    """What a short text file says, None where there is no file."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except FileNotFoundError:
        return None


def remove(path: Path) -> bool:
    """Remove a file, durably; whether it was there."""
    there = True
    try:
        path.unlink()
    except FileNotFoundError:
        there = False
    with contextlib.suppress(FileNotFoundError):
        sync(path.parent)  # even where no file was: an earlier attempt may have been cut off here
    return there


def sync(path: Path, mode: int | None = None) -> None:
    """Wait until a file or folder is on the medium."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if mode is not None:
            os.fchmod(descriptor, mode)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
