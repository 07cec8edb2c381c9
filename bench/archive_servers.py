"""Our provider and restic's rest-server, side by side on one disk, and clients of both."""

import asyncio
import contextlib
import os
import re
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from offsite.provider.v1 import seat_service_pb2 as pb

from bench.archive_client import Repository, Request, task
from bench.processes import Process, running
from bench.seats import Customer, customer_of
from tests.support.rest_server import RestServer, rest_server_program

SECONDS = 300  # that a round may take
_USER, _PASSWORD = "bench", "a password of twenty"
_REPOSITORIES = 50  # that may be made of a server
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Server:
    """A server of repositories, a process of its own; `new` makes an empty repository."""

    pid: int
    new: Callable[[], Awaitable[Repository]]

    def cpu_seconds(self) -> float:
        """What it has worked, by the kernel's account."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def peak_bytes(self) -> int:
        """The most memory that it has had in use, by the kernel's account."""
        (kilobytes,) = re.findall(
            r"VmHWM:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text()
        )
        return int(kilobytes) * 1024


@contextlib.asynccontextmanager
async def ours(place: Path) -> AsyncIterator[Server]:
    """A provider with one organization; each repository is of a device of its own."""
    async with running("offsite-provider", place) as process:
        async with customer_of(process) as customer:  # whose token lives five minutes
            made = [await _acquire(process, customer) for _ in range(_REPOSITORIES)]

        async def new() -> Repository:
            return made.pop()

        yield Server(process.child.process.pid, new)


async def _acquire(process: Process, customer: Customer) -> Repository:
    device = str(uuid.uuid4())
    request = pb.AcquireSeatRequest(
        epoch=customer.epoch, device_guid=device, device_name="laptop", generation=1
    )
    seat = await customer.stub.AcquireSeat(request)
    ca_file = process.data / "ca.pem"
    url = seat.archive_url.removeprefix("rest:")
    return Repository(url, device, seat.storage_credential, str(ca_file))


@contextlib.contextmanager
def _rest_server(place: Path) -> Any:
    place.mkdir()
    with RestServer(rest_server_program(), place, users={_USER: _PASSWORD}) as server:
        yield server


@contextlib.asynccontextmanager
async def theirs(place: Path) -> AsyncIterator[Server]:
    """rest-server; each repository is a folder."""
    with _rest_server(place) as server:

        async def new() -> Repository:
            folder = str(uuid.uuid4())
            for each in ("data", "keys", "locks", "snapshots", "index"):
                (server.repositories / folder / each).mkdir(parents=True)
            for prefix in range(256):
                (server.repositories / folder / "data" / f"{prefix:02x}").mkdir()
            return Repository(f"{server.url}{folder}/", _USER, _PASSWORD, str(server.ca_file))

        yield Server(server.child.pid, new)


@contextlib.asynccontextmanager
async def both(place: Path) -> AsyncIterator[tuple[Server, Server]]:
    """Ours and theirs."""
    async with ours(place / "ours") as one, theirs(place / "theirs") as other:
        yield one, other


async def serve(repository: Repository, clients: Sequence[list[Request]]) -> float:
    """Seconds that clients take, each with its own requests, all at once."""
    async with asyncio.timeout(SECONDS):
        started = [await _client(repository, requests) for requests in clients]
        for process in started:
            assert (await process.stdout.readline()) == b"ready\n"
        os.sync()  # what others left to be written is not ours to wait for
        for process in started:
            process.stdin.write(b"\n")
        told = [(await process.communicate())[0].split() for process in started]
    assert all(process.returncode == 0 for process in started), "a client failed"
    return max(float(end) for _, end in told) - min(float(begin) for begin, _ in told)


async def _client(repository: Repository, requests: list[Request]) -> Any:
    process: Any = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bench.archive_client",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 20,
    )
    process.stdin.write(task(repository, requests))
    await process.stdin.drain()
    return process
