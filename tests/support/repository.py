"""A device's archive as its client sees it, over HTTPS."""

import hashlib
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from tests.support.archives import ArchiveServer

TYPES = ("data", "keys", "locks", "snapshots", "index")
V2 = "application/vnd.x.restic.rest.v2"


def id_of(body: bytes) -> str:
    """The name of a blob."""
    return hashlib.sha256(body).hexdigest()


def content(number: int, size: int = 100) -> bytes:
    """A blob's content, another for each number."""
    return number.to_bytes(8) * (size // 8) + bytes(size % 8)


@dataclass(frozen=True)
class Answer:
    """What was answered; `reason` is the phrase of the status line."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Repository:
    """Requests to one archive; each waits for its answer."""

    session: aiohttp.ClientSession

    async def ask(self, method: str, path: str, **options: Any) -> Answer:
        async with self.session.request(method, path, **options) as answer:
            body = await answer.read()
            return Answer(answer.status, answer.reason or "", answer.headers, body)

    async def post(self, type: str, body: bytes, **options: Any) -> Answer:
        """Upload a blob."""
        path = "config" if type == "config" else f"{type}/{id_of(body)}"
        return await self.ask("POST", path, data=body, **options)

    async def save(self, type: str, body: bytes) -> str:
        """Upload a blob that has to be taken; answers its path."""
        answer = await self.post(type, body)
        assert answer.status == 200, answer
        return "config" if type == "config" else f"{type}/{id_of(body)}"

    async def get(self, path: str, **options: Any) -> Answer:
        return await self.ask("GET", path, **options)

    async def head(self, path: str) -> Answer:
        return await self.ask("HEAD", path)

    async def delete(self, path: str) -> Answer:
        return await self.ask("DELETE", path)

    async def list(self, type: str) -> dict[str, int]:
        """Names and sizes of all blobs of a type."""
        answer = await self.get(f"{type}/", headers={"Accept": V2})
        assert answer.status == 200, answer
        return {each["name"]: each["size"] for each in json.loads(answer.body)}

    async def usage(self) -> dict[str, Any]:
        answer = await self.get("usage")
        assert answer.status == 200, answer
        found: dict[str, Any] = json.loads(answer.body)
        return found


@asynccontextmanager
async def repository(
    server: ArchiveServer, device_guid: str = "", password: str = ""
) -> AsyncIterator[Repository]:
    """The archive of a device, by its own or another credential."""
    async with server.client(device_guid, password) as session:
        yield Repository(session)
