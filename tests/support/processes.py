"""Real servers as processes, started as a user starts them, and killed as only tests do."""

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import grpc
from offsite.common.v1.server_service_pb2 import GetServerIdentityRequest
from offsite.common.v1.server_service_pb2_grpc import ServerServiceStub

from service_kit.identity.guid import peer_name
from service_kit.identity.identity import Identity
from tests.support.ports import free_port


class ServerProcess:
    """A server with its data in a folder, at the same ports however often it is started."""

    def __init__(self, program: str, data: Path, *options: str) -> None:
        self.program = program
        self.data = data
        self.options = options
        self.address = f"127.0.0.1:{free_port()}"
        self.https = f"127.0.0.1:{free_port()}"
        self.child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self.data.mkdir(parents=True, exist_ok=True)
        listen = ["--data", str(self.data), "--grpc", self.address, "--https", self.https]
        with (self.data / "server.log").open("ab") as log:
            command = [*self.command("serve"), *listen, *self.options]
            self.child = subprocess.Popen(command, stdout=log, stderr=log)
        self._wait_until_ready(self.child)

    def kill(self) -> None:
        """kill -9: nothing is drained, nothing is flushed."""
        if self.child is not None:
            self.child.kill()
            self.child.wait()

    def stop(self) -> int:
        """Drain it; answers the exit status."""
        if self.child is None:
            return 0
        self.child.send_signal(signal.SIGTERM)
        return self.child.wait(30)

    def command(self, *words: str) -> list[str]:
        """A command line of its program."""
        package = self.program.removeprefix("offsite-") + "_service.cli"
        return [sys.executable, "-m", package, *words]

    def run(self, *words: str) -> str:
        """Run a command of its program on this machine; answers what it printed."""
        options = ["--data", str(self.data), "--endpoint", self.address]
        done = subprocess.run(
            self.command(*options, *words), check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    @property
    def guid(self) -> str:
        """Its GUID."""
        return Identity.load(self.data / "identity.pem").guid

    def channel(self) -> grpc.Channel:
        """A channel of its operator."""
        credentials = grpc.ssl_channel_credentials((self.data / "ca.pem").read_bytes())
        token = (self.data / "operator.token").read_text().strip()
        calls = grpc.access_token_call_credentials(token)
        options = [("grpc.ssl_target_name_override", peer_name(self.guid))]
        both = grpc.composite_channel_credentials(credentials, calls)
        return grpc.secure_channel(self.address, both, options)

    def _wait_until_ready(self, child: subprocess.Popen[bytes]) -> None:
        end = time.monotonic() + 30
        made = [self.data / "operator.token", self.data / "ca.pem"]
        while not all(each.exists() for each in made):
            if child.poll() is not None or time.monotonic() > end:
                raise RuntimeError((self.data / "server.log").read_text())
            time.sleep(0.02)
        with self.channel() as channel:
            request = GetServerIdentityRequest()
            ask: Any = ServerServiceStub(channel).GetServerIdentity
            ask(request, wait_for_ready=True, timeout=30)
