"""Real servers as processes, as a user starts them."""

import asyncio
import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path

from offsite.common.v1.server_service_pb2 import GetServerIdentityRequest
from offsite.common.v1.server_service_pb2_grpc import ServerServiceStub

from service_kit.client.dial import open_channel
from service_kit.identity.identity import Identity
from tests.support.ports import free_port

READY_SECONDS = 60
STOP_SECONDS = 30
_SHOWN_LINES = 20


class Child:
    """A process of ours with a log, which tells why when it fails."""

    def __init__(self, command: Sequence[str | Path], log: Path) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        self.log = log
        self.begin = time.perf_counter()
        with log.open("wb") as out:
            self.process = subprocess.Popen(command, stdout=out, stderr=out)

    async def until(self, done: Callable[[], bool]) -> None:
        """Wait for something that it does.

        Raises:
            RuntimeError: it has ended instead.
            TimeoutError: it has done neither.
        """
        async with asyncio.timeout(READY_SECONDS):
            while not done():
                if self.process.poll() is not None:
                    raise RuntimeError(f"process {self.process.pid} has ended")
                await asyncio.sleep(0.005)

    @contextlib.contextmanager
    def ending(self) -> Iterator[None]:
        """Drain and end it at the end; an error meanwhile carries what it logged last."""
        try:
            yield
        except BaseException as error:
            lines = self.log.read_text().splitlines()[-_SHOWN_LINES:]
            error.add_note("\n".join([f"{self.log} ends with:", *lines]))
            raise
        finally:
            self._stop()

    def _stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Process:
    """A running server. Replicas share a data folder."""

    def __init__(self, program: str, data: Path, *options: str) -> None:
        self.data = data
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        package = program.removeprefix("offsite-") + "_service.cli"
        command = [sys.executable, "-m", package, "serve", "--data", str(data)]
        command += ["--grpc", self.address, "--https", f"127.0.0.1:{free_port()}"]
        command += ["--log-format", "json", *options]
        self.child = Child(command, data / f"{self.port}.log")

    async def ready(self) -> float:
        """Wait until it answers; seconds since its start."""
        await self.child.until((self.data / "operator.token").exists)
        # A channel that found nobody would try again only after a second.
        await self.child.until(self._listens)
        async with open_channel(self.address, self.guid, self.identity.ca_pem) as channel:
            await ServerServiceStub(channel).GetServerIdentity(
                GetServerIdentityRequest(), wait_for_ready=True, timeout=READY_SECONDS
            )
        return time.perf_counter() - self.child.begin

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

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

    def peak_bytes(self) -> int:
        """The most memory that it has had in use, by the kernel's account."""
        status = Path(f"/proc/{self.child.process.pid}/status").read_text()
        (kilobytes,) = re.findall(r"VmHWM:\s+(\d+) kB", status)
        return int(kilobytes) * 1024

    def resident_bytes(self) -> int:
        """Memory in use, by the kernel's account."""
        pages = int(Path(f"/proc/{self.child.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")


@contextlib.asynccontextmanager
async def running(program: str, data: Path, *options: str) -> AsyncIterator[Process]:
    """A server that is ready; it ends at the end."""
    process = Process(program, data, *options)
    with process.child.ending():
        await process.ready()
        yield process


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """A temporary folder."""
    with tempfile.TemporaryDirectory(prefix="offsite-bench-") as name:
        yield Path(name)
