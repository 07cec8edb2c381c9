"""A user's computer: the agent's command as typed, with a state folder of its own."""

import json
import os
import random
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.desk import Desk

LINE = re.compile(r"\S+:\d+/[0-9a-f-]{36}/[0-9A-Z-]{19}")
WITHIN = 120  # seconds of one command


@dataclass
class Said:
    """What a command printed."""

    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed for programs."""
        return json.loads(self.out)


@dataclass
class Laptop:
    """A computer that backs up a folder of files."""

    desk: Desk
    name: str
    restic: Path
    folder: Path = field(init=False)

    def __post_init__(self) -> None:
        self.folder = self.desk.folder / self.name
        self.folder.mkdir()

    @property
    def state(self) -> Path:
        """Where its secrets are."""
        return self.folder / "state"

    @property
    def files(self) -> Path:
        """What it backs up."""
        return self.folder / "files"

    @property
    def environment(self) -> dict[str, str]:
        """Its own, without any of the servers' settings."""
        ours = {each for each in os.environ if each.startswith(("OFFSITE_", "RESTIC_"))}
        kept = {name: value for name, value in os.environ.items() if name not in ours}
        return {
            **kept,
            "PATH": self.desk.environment["PATH"],
            "HOME": str(self.folder / "home"),
            "OFFSITE_DEVICE_STATE": str(self.state),
            "OFFSITE_DEVICE_RESTIC": str(self.restic),
        }

    def run(self, *words: str | Path, status: int = 0, given: str = "") -> Said:
        """Run a command of the agent; its exit status must be this one."""
        done = subprocess.run(
            ["offsite-device", *map(str, words)],
            env=self.environment,
            input=given,
            capture_output=True,
            text=True,
            timeout=WITHIN,
        )
        told = f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
        assert done.returncode == status, told
        assert "Traceback" not in told, told
        return Said(done.stdout, done.stderr)

    def backup(self, *words: str | Path, status: int = 0) -> dict[str, dict[str, Any]]:
        """Back its files up; answers the result of each destination."""
        said = self.run("--json", "backup", self.files, *words, status=status)
        return {each["destination"]: each for each in said.json["destinations"]}

    def restored(self, *words: str | Path, into: str = "restored") -> Path:
        """Restore the latest snapshot; answers where its files are then."""
        target = self.folder / into
        self.run("restore", "latest", "--target", target, *words)
        return target / self.files.relative_to("/")

    def enroll(self, line: str) -> None:
        """Enroll by a line that an administrator was shown."""
        self.run("enroll", given=line)

    def fill(self, files: int = 40, size: int = 20_000, seed: int = 0) -> None:
        """Make files of every awkward kind."""
        chance = random.Random(seed)
        for number in range(files):
            file = self.files / f"folder {number % 5}" / f"{number} ä'\"\n%s.bin"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(chance.randbytes(size))
        (self.files / "empty").touch()
        link = self.files / "link"
        if not link.is_symlink():
            link.symlink_to("folder 0")


def enrollment_line(printed: str) -> str:
    """The line to paste, of what the administrator's command printed."""
    (line,) = LINE.findall(printed)
    return str(line)


def same(one: Path, other: Path) -> bool:
    """Whether two folders hold the same, byte for byte."""
    return _content(one) == _content(other)


def _content(folder: Path) -> dict[str, Any]:
    return {str(each.relative_to(folder)): _value(each) for each in sorted(folder.rglob("*"))} | {
        "": folder.is_dir()
    }


def _value(path: Path) -> Any:
    if path.is_symlink():
        return str(path.readlink())
    return path.read_bytes() if path.is_file() else path.stat().st_mode
