"""Requests that come late or at once: what was acknowledged last is what there is."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from service_kit.database.engine import Transaction
from tests.support.archives import ArchiveServer, archive_server
from tests.support.at_rest import look, settled
from tests.support.repository import Repository, content, id_of, repository
from tests.support.waiting import eventually

BODY = content(1)
TYPES = ("data", "locks")


@pytest.fixture(params=[timedelta(0), timedelta(days=30)], ids=["purged", "kept"])
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ArchiveServer]:
    async with archive_server(tmp_path) as started:
        started.company.rules(delete_delay=request.param)
        yield started
        await settled(started)


@pytest.fixture
async def repo(server: ArchiveServer) -> AsyncIterator[Repository]:
    async with repository(server) as opened:
        yield opened


class Writer:
    """The ledger's one writer, which waits until it is let go."""

    def __init__(self, server: ArchiveServer) -> None:
        self.database = server.server.ground.database
        self.go_on = threading.Event()

    def _wait(self, tx: Transaction) -> None:
        self.go_on.wait(30)

    async def waiting(self, count: int) -> None:
        """Wait until so many more want to write."""
        queue = self.database._write_threads._work_queue

        async def size() -> int:
            return queue.qsize()

        await eventually(size, lambda found: found >= count)


@asynccontextmanager
async def held_writer(server: ArchiveServer) -> AsyncIterator[Writer]:
    """Nothing is written down meanwhile, and what waits for it is then written in order."""
    writer = Writer(server)
    busy = asyncio.ensure_future(writer.database.run(writer._wait))
    try:
        yield writer
    finally:
        writer.go_on.set()
        await busy


@pytest.mark.parametrize("type", TYPES)
async def test_a_delete_that_comes_before_a_repeat_is_written_down_does_not_take_it(
    server: ArchiveServer, repo: Repository, type: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first try failed, its client's DELETE is late, and the second try is acknowledged."""
    path = f"{type}/{id_of(BODY)}"
    await repo.ask("POST", path, data=BODY)
    half = asyncio.Event()

    async def halves() -> AsyncIterator[bytes]:
        yield BODY[:50]
        await half.wait()
        yield BODY[50:]

    headers = {"Content-Length": str(len(BODY))}
    found, size = asyncio.Event(), server.archive.store.size

    async def find(location: str) -> int | None:
        found.set()
        return await size(location)

    monkeypatch.setattr(server.archive.store, "size", find)
    again = asyncio.ensure_future(repo.ask("POST", path, data=halves(), headers=headers))
    await found.wait()
    async with held_writer(server) as writer:
        half.set()
        await writer.waiting(1)
        late = asyncio.ensure_future(repo.delete(path))
        await writer.waiting(2)
        writer.go_on.set()
        assert (await again).status == (await late).status == 200
    assert (await repo.get(path)).body == BODY
    assert (await repo.delete(path)).status == 200
    assert (await repo.get(path)).status == 404


@pytest.mark.parametrize("type", TYPES)
async def test_nor_a_new_one(server: ArchiveServer, repo: Repository, type: str) -> None:
    path = f"{type}/{id_of(BODY)}"
    half = asyncio.Event()

    async def halves() -> AsyncIterator[bytes]:
        yield BODY[:50]
        await half.wait()
        yield BODY[50:]

    headers = {"Content-Length": str(len(BODY))}
    post = asyncio.ensure_future(repo.ask("POST", path, data=halves(), headers=headers))
    await eventually(lambda: _promises(server))
    async with held_writer(server) as writer:
        half.set()
        await writer.waiting(1)
        late = asyncio.ensure_future(repo.delete(path))
        await writer.waiting(2)
        writer.go_on.set()
        assert (await post).status == (await late).status == 200
    assert (await repo.get(path)).body == BODY


async def _promises(server: ArchiveServer) -> list[str]:
    return (await look(server.server.ground.database, server.archive.store)).promises


async def test_a_purge_does_not_take_what_came_again_meanwhile(
    server: ArchiveServer, repo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row is marked, and its file not removed yet, when the same blob is sent again."""
    reached, go_on = asyncio.Event(), asyncio.Event()
    remove = server.archive.store.remove

    async def wait(location: str) -> None:
        reached.set()
        await go_on.wait()
        await remove(location)

    monkeypatch.setattr(server.archive.store, "remove", wait)
    path = f"locks/{id_of(BODY)}"
    await repo.ask("POST", path, data=BODY)
    await repo.delete(path)
    await reached.wait()
    assert (await repo.ask("POST", path, data=BODY)).status == 200
    go_on.set()
    await settled(server)
    assert (await repo.get(path)).body == BODY


async def test_blobs_that_come_and_go_are_what_was_said_last(
    server: ArchiveServer, repo: Repository
) -> None:
    """With purges running behind."""

    async def come_and_go(path: str, body: bytes) -> None:
        for _ in range(8):
            assert (await repo.ask("POST", path, data=body)).status == 200
            assert (await repo.get(path)).body == body
            assert (await repo.delete(path)).status == 200
            assert (await repo.get(path)).status == 404
        assert (await repo.ask("POST", path, data=body)).status == 200

    bodies = [content(number) for number in range(6)]
    paths = [f"{type}/{id_of(body)}" for body in bodies for type in TYPES]
    pairs = zip(paths, [body for body in bodies for _ in range(2)], strict=True)
    await asyncio.gather(*(come_and_go(*each) for each in pairs))
    await settled(server)
    for path in paths:
        assert (await repo.get(path)).status == 200
