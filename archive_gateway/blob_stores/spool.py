"""The folder where uploads are written before they are whole."""

import contextlib
import time
from pathlib import Path

SPOOL_MODE = 0o700
_ABANDONED = 24 * 3600  # seconds without a write; no upload that anybody waits for is this slow


def open_spool(folder: Path) -> Path:
    """Make the folder if need be, and empty it of what a crashed server left a day ago or more.

    Younger files stay: they may be uploads of another server on the same archive.
    """
    folder.mkdir(mode=SPOOL_MODE, parents=True, exist_ok=True)
    abandoned = time.time() - _ABANDONED
    for file in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):
            if file.stat().st_mtime < abandoned:
                file.unlink()
    return folder
