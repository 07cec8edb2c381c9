"""Computers with their own program, and the restic that it drives."""

import filecmp
import os
import random
import subprocess
import sys
from pathlib import Path

FOLDERS, FILES = 30, 100


class Computer:
    """A computer of a user; its state and its files lie in a folder."""

    def __init__(self, folder: Path, restic: Path) -> None:
        self.folder = folder
        self.restic = restic
        self.files = folder / "files"
        self.said = ""

    def run(self, *words: str, line: str = "", status: int | None = 0) -> str:
        """Run a command of `offsite-device`; answers what it printed on stdout.

        `said` is then what it printed on stderr.
        """
        environment = {
            **os.environ,
            "OFFSITE_DEVICE_STATE": str(self.folder / "state"),
            "OFFSITE_DEVICE_RESTIC": str(self.restic),
            "RESTIC_CACHE_DIR": str(self.folder / "cache"),
        }
        command = [sys.executable, "-m", "device_agent.cli", *words]
        done = subprocess.run(command, env=environment, input=line, capture_output=True, text=True)
        self.said = done.stderr
        if status is not None and done.returncode != status:
            told = f"{done.stdout}{done.stderr}"
            raise SystemExit(
                f"FAILED: offsite-device {' '.join(words)} ({done.returncode})\n{told}"
            )
        return done.stdout

    def make_files(self) -> int:
        """Make a few thousand files; answers their bytes."""
        chance = random.Random(str(self.folder.name))
        total = 0
        for number in range(FOLDERS * FILES):
            folder = self.files / f"folder-{number % FOLDERS}"
            folder.mkdir(parents=True, exist_ok=True)
            content = chance.randbytes(chance.randrange(6000))
            (folder / f"file-{number}").write_bytes(content)
            total += len(content)
        return total

    def restored_equals(self, target: Path) -> bool:
        """Whether what was restored in a folder is what is here, byte for byte."""
        return same(self.files, Path(f"{target}{self.files}"))


def same(one: Path, other: Path) -> bool:
    """Whether two trees have the same files with the same bytes."""
    compared = filecmp.dircmp(one, other)
    if compared.left_only or compared.right_only or compared.funny_files:
        return False
    _, different, failed = filecmp.cmpfiles(one, other, compared.common_files, shallow=False)
    return (
        not different
        and not failed
        and all(same(one / each, other / each) for each in compared.common_dirs)
    )
