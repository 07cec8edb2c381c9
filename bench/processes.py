"""Real servers as processes, as a user starts them."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from offsite.common.v1.server_service_pb2 import GetServerIdentityRequest
from offsite.common.v1.server_service_pb2_grpc import ServerServiceStub

from service_kit.client.dial import open_channel
from service_kit.identity.identity import Identity
from tests.support.ports import free_port


class Process:
    """A running server."""

    def __init__(self, program: str, data: Path, *options: str) -> None:
        self.data = data
        self.address = f"127.0.0.1:{free_port()}"
        data.mkdir(parents=True, exist_ok=True)
        self.log = data / "server.log"
        package = program.removeprefix("offsite-") + "_service.cli"
        command = [sys.executable, "-m", package, "serve", "--data", str(data)]
        command += ["--grpc", self.address, "--https", f"127.0.0.1:{free_port()}"]
        command += ["--log-format", "json", *options]
        self.begin = time.perf_counter()
        with self.log.open("wb") as log:
            self.child = subprocess.Popen(command, stdout=log, stderr=log)

    async def ready(self) -> float:
        """Wait until it answers; seconds since its start."""
        async with asyncio.timeout(60):
            while not (self.data / "operator.token").exists():
                self._check()
                await asyncio.sleep(0.005)
            async with open_channel(self.address, self.guid, self.identity.ca_pem) as channel:
                request = GetServerIdentityRequest()
                await ServerServiceStub(channel).GetServerIdentity(request, wait_for_ready=True)
        return time.perf_counter() - self.begin

    @property
    def identity(self) -> Identity:
        """Its identity."""
        return Identity.load(self.data / "identity.pem")

    @property
    def guid(self) -> str:
        """Its GUID."""
        return self.identity.guid

    @property
    def token(self) -> str:
        """The operator's token."""
        return (self.data / "operator.token").read_text().strip()

    def resident_bytes(self) -> int:
        """Memory in use, by the kernel's account."""
        pages = int(Path(f"/proc/{self.child.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def stop(self) -> None:
        """Drain and end it."""
        self.child.send_signal(signal.SIGTERM)
        self.child.wait(30)

    def _check(self) -> None:
        if self.child.poll() is not None:
            raise RuntimeError(self.log.read_text())


@contextlib.asynccontextmanager
async def running(program: str, data: Path, *options: str) -> AsyncIterator[Process]:
    """A server that is ready; it ends at the end."""
    process = Process(program, data, *options)
    try:
        await process.ready()
        yield process
    finally:
        process.stop()


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """A temporary folder."""
    with tempfile.TemporaryDirectory(prefix="offsite-bench-") as name:
        yield Path(name)
