"""The real rest-server: what restic's own protocol is, and how fast it can be served."""

import base64
import hashlib
import re
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import pytest

from service_kit.clock import now
from service_kit.identity.identity import Identity
from service_kit.identity.leaf import issue_leaf
from tests.support.restic import Missing, debian_program

STARTED = re.compile(r"^start server on (\S+)\n", re.MULTILINE)


def rest_server_program() -> Path:
    """Debian's rest-server; the test is skipped where it can't be had."""
    try:
        return debian_program("testing", "restic-rest-server")
    except Missing as missing:
        pytest.skip(str(missing))


class RestServer:
    """rest-server over TLS on a free loopback port, with its repositories in a folder.

    `users` are names and passwords; without any, nobody is asked for one.
    """

    def __init__(
        self, program: Path, folder: Path, *options: str, users: Mapping[str, str] | None = None
    ) -> None:
        self.program = program
        self.folder = folder
        self.options = options
        self.users = users or {}
        self.ca_file = folder / "ca.pem"
        self.repositories = folder / "repositories"
        self.log = folder / "rest-server.log"
        self.address = ""
        self.child: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where its repositories are: add a path, and `rest:` in front for restic."""
        return f"https://{self.address}/"

    def start(self) -> None:
        """Start it; it listens when this returns."""
        self.repositories.mkdir(parents=True)
        access = self._passwords() if self.users else ["--no-auth"]
        command: list[str | Path] = [
            self.program,
            "--listen",
            "127.0.0.1:0",
            "--path",
            self.repositories,
            *access,
        ]
        with self.log.open("w") as log:
            self.child = subprocess.Popen(
                [*command, *self._certificate(), *self.options], stdout=log, stderr=log
            )
        self.address = self._listening(self.child)

    def stop(self) -> None:
        """End it."""
        if self.child is not None:
            self.child.terminate()
            self.child.wait(30)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _listening(self, child: subprocess.Popen[bytes]) -> str:
        """The address that it says it listens on."""
        end = time.monotonic() + 30
        while not (told := STARTED.search(self.log.read_text())):
            if child.poll() is not None or time.monotonic() > end:
                raise RuntimeError(self.log.read_text())
            time.sleep(0.01)
        return told[1]

    def _certificate(self) -> list[str]:
        identity = Identity.create()
        leaf = issue_leaf(identity, [], now())
        chain, key = self.folder / "leaf.pem", self.folder / "leaf.key"
        self.ca_file.write_bytes(identity.ca_pem)
        chain.write_bytes(leaf.cert_chain_pem)
        key.touch(0o600)
        key.write_bytes(leaf.key_pem)
        return ["--tls", "--tls-cert", str(chain), "--tls-key", str(key)]

    def _passwords(self) -> list[str]:
        """htpasswd's SHA-1 form: the others cost a tenth of a second for each request."""
        file = self.folder / "htpasswd"
        hashes = {
            user: base64.b64encode(hashlib.sha1(password.encode()).digest()).decode()
            for user, password in self.users.items()
        }
        file.write_text("".join(f"{user}:{{SHA}}{each}\n" for user, each in hashes.items()))
        return ["--htpasswd-file", str(file)]
