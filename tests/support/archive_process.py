"""A server with an archive as a process of its own, that tests start and kill.

`python -m tests.support.archive_process FOLDER PORT SECONDS ACCOUNT DEVICE...` serves an account's
devices, and keeps what they delete for so many seconds.
"""

import asyncio
import base64
import ssl
import sys
import uuid
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import aiohttp

from archive_gateway.credentials import storage_credential
from archive_gateway.domain.names import ArchiveId
from service_kit.identity.identity import Identity
from service_kit.server.process import Server, run_server
from service_kit.settings import ServerSettings
from tests.support.archives import Company, build_archive
from tests.support.ports import free_port
from tests.support.servers import local_settings

READY_SECONDS = 30.0


@dataclass
class ArchiveProcess:
    """A server at the same address however often it is started, with a company's devices."""

    folder: Path
    devices: list[str] = field(default_factory=lambda: [str(uuid.uuid4()) for _ in range(3)])
    account_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    port: int = field(default_factory=free_port)
    process: asyncio.subprocess.Process | None = None

    @property
    def database_url(self) -> str:
        return f"sqlite:///{self.folder / 'ledger.db'}"

    @property
    def archive(self) -> Path:
        return self.folder / "archive"

    async def start(self, delete_delay: timedelta = timedelta(0)) -> None:
        """Start it, and wait until it says that it is ready."""
        words = [self.folder, self.port, int(delete_delay.total_seconds()), self.account_id]
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", __name__, *map(str, words), *self.devices),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert self.process.stdout
        assert self.process.stderr
        async with asyncio.timeout(READY_SECONDS):
            while b"token" not in (line := await self.process.stdout.readline()):
                if not line:
                    raise AssertionError((await self.process.stderr.read()).decode())

    async def kill(self) -> None:
        """End it as a power failure would: kill -9."""
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()

    def client(self, device_guid: str) -> aiohttp.ClientSession:
        """An HTTP client of a device; it stays good over restarts."""
        identity = Identity.load(self.folder / "identity.pem")
        password = storage_credential(identity, ArchiveId(self.account_id, device_guid), 1)
        both = base64.b64encode(f"{device_guid}:{password}".encode()).decode()
        trust = ssl.create_default_context(cafile=self.folder / "ca.pem")
        return aiohttp.ClientSession(
            f"https://127.0.0.1:{self.port}/archives/{self.account_id}/{device_guid}/",
            headers={"Authorization": f"Basic {both}"},
            connector=aiohttp.TCPConnector(ssl=trust, limit=0),
        )


def main(folder: str, port: str, seconds: str, account_id: str, *devices: str) -> None:
    """Serve until it is killed."""
    company = Company(account_id, generations=dict.fromkeys(devices, 1))
    company.rules(delete_delay=timedelta(seconds=int(seconds)))
    settings = local_settings(
        "offsite-provider", Path(folder), https=f"127.0.0.1:{port}", log_level="error"
    )

    def build(settings: ServerSettings) -> Server:
        return build_archive(settings, company)[0]

    run_server(settings, build)


if __name__ == "__main__":
    main(*sys.argv[1:])
