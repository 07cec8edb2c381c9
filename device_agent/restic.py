"""The restic of this computer: found, and new enough."""

import os
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from service_kit.errors import Conflict
from service_kit.reasons import Reason

OLDEST = (0, 14)
TIMEOUT = 30  # seconds of asking for the version
_VERSION = re.compile(r"restic (\d+)\.(\d+)")
# By the word that stands in ID or ID_LIKE of /etc/os-release.
_INSTALL = {
    "debian": "sudo apt install restic",
    "fedora": "sudo dnf install restic",
    "rhel": "sudo dnf install epel-release && sudo dnf install restic",
    "suse": "sudo zypper install restic",
    "arch": "sudo pacman -S restic",
    "alpine": "sudo apk add restic",
}


@dataclass(frozen=True)
class Restic:
    """A restic program."""

    program: Path
    version: tuple[int, int]


def find(named: Path | None) -> Restic:
    """The restic that was named, that of this Python's environment, or that of the PATH.

    Raises:
        Conflict: there is none, or it is too old; it says how to install one.
    """
    program = _named(named) if named else _found()
    version = _version_of(program)
    if version < OLDEST:
        older, least = (".".join(map(str, each)) for each in (version, OLDEST))
        raise _missing(f"{program} is restic {older}, and {least} is the oldest that will do.")
    return Restic(program, version)


def _named(program: Path) -> Path:
    found = shutil.which(program)
    if found is None:
        raise _missing(f"There is no program {program}.")
    return Path(found).absolute()


def _found() -> Path:
    beside = shutil.which("restic", path=str(Path(sys.executable).parent))
    found = beside or shutil.which("restic")
    if found is None:
        raise _missing("restic, which makes the backups, is not installed.")
    return Path(found).absolute()


def _version_of(program: Path) -> tuple[int, int]:
    try:
        told = subprocess.run(
            [program, "version"], capture_output=True, text=True, timeout=TIMEOUT, check=True
        ).stdout
    except subprocess.CalledProcessError as error:
        raise _missing(f"{program} is no restic: it ended with {error.returncode}.") from error
    except subprocess.TimeoutExpired as error:
        raise _missing(f"{program} does not run: it said nothing in {TIMEOUT} s.") from error
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise _missing(f"{program} does not run: {why}.") from error
    match = _VERSION.match(told)
    if match is None:
        raise _missing(f"{program} is no restic.")
    return int(match[1]), int(match[2])


def _missing(what: str) -> Conflict:
    return Conflict(
        Reason.RESTIC_MISSING,
        what,
        f"Install it ({install_line()}), or name one with --restic PATH.",
    )


def install_line() -> str:
    """The command that installs restic on this platform."""
    if platform.system() == "Darwin":
        return "brew install restic"
    try:
        about = platform.freedesktop_os_release()
    except OSError:
        about = {}
    words = [about.get("ID", ""), *about.get("ID_LIKE", "").split()]
    lines = [_INSTALL[word] for word in words if word in _INSTALL]
    return lines[0] if lines else "see https://restic.net"


def clean_environment() -> dict[str, str]:
    """The environment for a restic of ours: no other repository, password or host is meant."""
    ours = ("REPOSITORY", "PASSWORD", "REST_", "CACERT", "TLS_", "KEY_HINT", "FROM_", "HOST")
    prefixes = tuple(f"RESTIC_{each}" for each in ours)
    return {name: value for name, value in os.environ.items() if not name.startswith(prefixes)}
