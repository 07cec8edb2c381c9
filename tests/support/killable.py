"""Servers as processes of their own that an event loop starts and kills."""

import asyncio
import sys
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import grpc.aio

from service_kit.identity.identity import Identity
from tests.support.ports import free_port

READY_SECONDS = 30.0
RECONNECT = [("grpc.initial_reconnect_backoff_ms", 50), ("grpc.max_reconnect_backoff_ms", 100)]


@dataclass
class KillableServer:
    """A server started by its own command, always at the same address."""

    package: str
    data: Path
    grpc_address: str = field(default_factory=lambda: f"127.0.0.1:{free_port()}")
    https_address: str = field(default_factory=lambda: f"127.0.0.1:{free_port()}")
    process: asyncio.subprocess.Process | None = None

    @property
    def guid(self) -> str:
        return self._identity().guid

    @property
    def database_url(self) -> str:
        return f"sqlite:///{self.data}/ledger.db"

    async def start(self) -> None:
        """Start it, and wait until it says that it is ready."""
        command = [
            *(sys.executable, "-m", f"{self.package}.cli", "serve", "--data", str(self.data)),
            *("--grpc", self.grpc_address, "--https", self.https_address, "--log-level", "error"),
        ]
        self.process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        assert self.process.stdout
        assert self.process.stderr
        async with asyncio.timeout(READY_SECONDS):
            while b"token" not in (line := await self.process.stdout.readline()):
                if not line:
                    told = (await self.process.stderr.read()).decode()
                    raise AssertionError(f"{self.package} did not start: {told}")

    async def kill(self) -> None:
        """End it as a power failure would: kill -9."""
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()

    def channel(self) -> grpc.aio.Channel:
        """A channel of its operator; it stays good over restarts."""
        token = (self.data / "operator.token").read_text().strip()
        credentials = grpc.composite_channel_credentials(
            grpc.ssl_channel_credentials(self._identity().ca_pem),
            grpc.access_token_call_credentials(token),
        )
        return grpc.aio.secure_channel(self.grpc_address, credentials, options=RECONNECT)

    def _identity(self) -> Identity:
        return Identity.load(self.data / "identity.pem")
