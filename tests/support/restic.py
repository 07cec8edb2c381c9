"""The real restic, old and new, as programs that tests run."""

import functools
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

RELEASES = {"0.14": "bookworm", "newest": "testing"}  # Debian's suites, each with its restic
FETCH = Path(__file__).with_name("debian_program.sh")
LONGEST = 300  # seconds of one command
OWN_CREDENTIALS = (0, 17)  # from this one on, restic takes user and password apart from the URL


class Missing(Exception):
    """A program can't be had on this machine."""


@functools.cache
def debian_program(suite: str, package: str) -> Path:
    """A program of a Debian suite, unpacked on first use; it need not be installed.

    Raises:
        Missing: this is no Debian, or its mirror can't be reached.
    """
    done = subprocess.run([FETCH, suite, package], capture_output=True, text=True)
    if done.returncode:
        told = done.stderr.strip() or f"{package} of Debian {suite} can't be had"
        raise Missing(told.splitlines()[-1])
    return Path(done.stdout.strip())


def restic_program(release: str) -> Path:
    """restic of a release named in RELEASES: Debian's, else the machine's own if it is that one.

    The test is skipped without it; in CI it fails instead, for the oldest that is supported.
    """
    try:
        return debian_program(RELEASES[release], "restic")
    except Missing as missing:
        own = shutil.which("restic")
        if own and (version(Path(own))[:2] == (0, 14)) == (release == "0.14"):
            return Path(own)
        if release == "0.14" and os.environ.get("CI"):
            pytest.fail(str(missing))
        pytest.skip(str(missing))


@functools.cache
def version(program: Path) -> tuple[int, ...]:
    """Its version: (0, 14, 0)."""
    told = subprocess.run([program, "version"], check=True, capture_output=True, text=True).stdout
    return tuple(int(part) for part in told.split()[1].split("-")[0].split("."))


@dataclass(frozen=True)
class Restic:
    """restic on one repository. No secret stands in its arguments."""

    program: Path
    url: str  # rest:https://HOST:PORT/PATH/
    ca_file: Path
    cache: Path
    user: str = ""
    password: str = ""
    repository_password: str = "correct horse"

    @property
    def url_with_credentials(self) -> str:
        """The repository with user and password in it, as every version takes them."""
        if not self.user:
            return self.url
        both = f"{quote(self.user, safe='')}:{quote(self.password, safe='')}"
        return self.url.replace("://", f"://{both}@", 1)

    @property
    def environment(self) -> dict[str, str]:
        """Where the repository is and what opens it, as restic of this version takes it."""
        if version(self.program) >= OWN_CREDENTIALS:
            repository = {
                "RESTIC_REPOSITORY": self.url,
                "RESTIC_REST_USERNAME": self.user,
                "RESTIC_REST_PASSWORD": self.password,
            }
        else:
            repository = {"RESTIC_REPOSITORY": self.url_with_credentials}
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.cache),
            "RESTIC_PASSWORD": self.repository_password,
            **repository,
        }

    def command(self, *words: str | Path) -> list[str]:
        """A command line."""
        files = ("--cacert", self.ca_file, "--cache-dir", self.cache)
        return [str(each) for each in (self.program, *files, *words)]

    def start(self, *words: str | Path) -> subprocess.Popen[str]:
        """Start a command, for tests that end it early."""
        return subprocess.Popen(
            self.command(*words),
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(
        self,
        *words: str | Path,
        status: int | None = 0,
        within: float = LONGEST,
        **environment: str,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, within seconds; its exit status must be `status`, if given."""
        done = subprocess.run(
            self.command(*words),
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=within,
        )
        told = f"restic {' '.join(map(str, words))}: {done.returncode}\n{done.stdout}{done.stderr}"
        assert status in (None, done.returncode), told
        return done

    def json(self, *words: str | Path) -> Any:
        """The last line that a command prints with --json: its list, or its summary."""
        return json.loads(self.run("--json", *words).stdout.splitlines()[-1])
