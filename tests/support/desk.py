"""The desks of an operator and an administrator: both real servers, and their commands as typed."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from tests.support.processes import ServerProcess

KEY = re.compile(r"(?<![\w-])(?:[0-9A-Z]{4}-){3}[0-9A-Z]{4}(?![\w-])")


class Desk:
    """Both servers as processes, and a shell in which both commands reach them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        logs = ["--log-format", "json", "--log-level", "debug"]
        company = ["--organization", "Acme"]
        self.provider = ServerProcess("offsite-provider", folder / "provider", *logs)
        self.customer = ServerProcess("offsite-customer", folder / "customer", *company, *logs)
        self.printed: list[str] = []

    def start(self) -> None:
        self.provider.start()
        self.customer.start()

    def kill(self) -> None:
        self.provider.kill()
        self.customer.kill()

    @property
    def environment(self) -> dict[str, str]:
        """What both commands need to reach their servers without options."""
        return {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "OFFSITE_PROVIDER_DATA": str(self.provider.data),
            "OFFSITE_PROVIDER_ENDPOINT": self.provider.address,
            "OFFSITE_CUSTOMER_DATA": str(self.customer.data),
            "OFFSITE_CUSTOMER_ENDPOINT": self.customer.address,
        }

    def words(self, line: str) -> list[str]:
        """The words of a line; what stands in capitals is this desk's own."""
        own = {
            "CUSTOMER_GUID": self.customer.guid,
            "PROVIDER_GUID": self.provider.guid,
            "H:P": self.provider.address,
            "F": str(self.folder / "key"),
            "FILE": str(self.folder / "file"),
        }
        return [own.get(word, word) for word in shlex.split(line)]

    def run(self, line: str, status: int = 0, given: str = "") -> str:
        """Run a command line as typed; answers what it printed, on stderr if it was refused.

        An error is two lines on stderr; warnings may precede it.
        """
        done = subprocess.run(
            self.words(line), env=self.environment, input=given, capture_output=True, text=True
        )
        told = f"{line}\n{done.stdout}{done.stderr}"
        assert done.returncode == status, told
        errors = [each for each in done.stderr.splitlines() if not each.startswith("Warning: ")]
        assert len(errors) == (2 if status else 0), told
        assert all(each == each.rstrip() for each in done.stdout.splitlines()), told
        self.printed.append(done.stdout)
        return done.stderr if status else done.stdout

    def grpcurl(self, server: ServerProcess, *words: str, token: str = "") -> str:
        """Call a server as its README says; answers stdout and stderr."""
        bearer = token or (server.data / "operator.token").read_text().strip()
        done = subprocess.run(
            [
                *("grpcurl", "-cacert", str(server.data / "ca.pem"), "-expand-headers"),
                *("-H", "authorization: Bearer ${OFFSITE_TOKEN}", *words),
            ],
            env={**self.environment, "OFFSITE_TOKEN": bearer},
            capture_output=True,
            text=True,
        )
        return done.stdout + done.stderr
