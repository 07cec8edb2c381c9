"""Bodies that are wrong, long, slow or cut: only whole ones are taken, and nothing is left."""

import asyncio
import gzip
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from archive_gateway.domain.rules import MIB
from archive_gateway.http import gateway, spooling
from tests.support.archives import ArchiveServer, archive_server
from tests.support.at_rest import AtRest, settled
from tests.support.raw_http import RawAnswer, RawClient
from tests.support.repository import Repository, content, id_of, repository

LARGE = content(7, 3 * MIB)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ArchiveServer]:
    async with archive_server(tmp_path) as started:
        yield started


@pytest.fixture
async def repo(server: ArchiveServer) -> AsyncIterator[Repository]:
    async with repository(server) as opened:
        yield opened


def path_of(server: ArchiveServer, path: str) -> str:
    return f"/archives/{server.account_id}/{server.device_guid}/{path}"


def begin(client: RawClient, server: ArchiveServer, path: str, length: int | str) -> None:
    """Send the head of an upload."""
    headers = {**server.headers_of(server.device_guid), "Content-Length": str(length)}
    client.begin("POST", path_of(server, path), headers)


async def empty(server: ArchiveServer) -> AtRest:
    """Nothing is there, and nothing is counted."""
    found = await settled(server)
    assert (found.files, found.used_bytes) == ({}, 0)
    return found


@pytest.mark.parametrize("type", ["data", "locks", "escrow"])
async def test_a_body_that_is_not_what_its_name_says_is_refused(
    server: ArchiveServer, repo: Repository, type: str
) -> None:
    for body in (b"", content(2), content(1)[:-1], content(1) + b"x"):
        refused = await repo.ask("POST", f"{type}/{id_of(content(1))}", data=body)
        assert refused.status == 400
        assert "another SHA-256" in refused.reason
    assert await repo.list(type) == {}
    await empty(server)


async def test_a_wrong_body_for_what_is_there_changes_nothing(
    server: ArchiveServer, repo: Repository
) -> None:
    path = await repo.save("data", content(1))
    assert (await repo.ask("POST", path, data=content(2))).status == 400
    assert (await repo.get(path)).body == content(1)
    assert len((await settled(server)).files) == 1


async def test_a_length_has_to_be_told(server: ArchiveServer) -> None:
    def play() -> list[int]:
        path, found = path_of(server, f"data/{id_of(content(1))}"), []
        headers = server.headers_of(server.device_guid)
        with RawClient(server) as client:
            client.begin("POST", path, headers)
            found.append(client.answer().status)
        with RawClient(server) as client:
            client.begin("POST", path, {**headers, "Transfer-Encoding": "chunked"})
            client.send(b"64\r\n" + content(1) + b"\r\n0\r\n\r\n")
            found.append(client.answer().status)
        return found

    assert await asyncio.to_thread(play) == [411, 411]
    await empty(server)


@pytest.mark.parametrize("length", ["-1", "x", "1e3", "0x10", "1_0", "", "100, 100", "9" * 30])
async def test_a_length_that_is_no_number_is_refused(server: ArchiveServer, length: str) -> None:
    def play() -> int:
        with RawClient(server) as client:
            begin(client, server, f"data/{id_of(content(1))}", length)
            return client.answer().status

    assert await asyncio.to_thread(play) in (400, 507)
    await empty(server)


async def test_two_lengths_are_no_length(server: ArchiveServer) -> None:
    """Else a proxy and this server could see two requests where the other sees one."""

    def play() -> list[int]:
        path, found = path_of(server, f"data/{id_of(content(1))}"), []
        headers = server.headers_of(server.device_guid)
        for second in (("Content-Length", "5"), ("Transfer-Encoding", "chunked")):
            with RawClient(server) as client:
                client.putrequest("POST", path)
                for name, value in (*headers.items(), ("Content-Length", "100"), second):
                    client.putheader(name, value)
                client.endheaders(content(1))
                found.append(client.answer().status)
        return found

    assert await asyncio.to_thread(play) == [400, 400]
    await empty(server)


async def test_a_blob_that_is_too_large_is_refused_before_it_is_sent(
    server: ArchiveServer,
) -> None:
    def play(type: str, size: int) -> RawAnswer:
        with RawClient(server) as client:
            begin(client, server, f"{type}/{id_of(b'')}", size)
            return client.answer()

    data = await asyncio.to_thread(play, "data", 140 * MIB + 1)
    assert (data.status, data.headers["X-Offsite-Reason"]) == (507, "BLOB_REFUSED")
    assert data.reason.startswith("Blob of 146.8 MB refused, of data at most")
    await empty(server)


@pytest.mark.parametrize(("type", "most"), [("locks", 64 << 10), ("escrow", 16 << 10)])
async def test_locks_and_escrow_are_small(
    server: ArchiveServer, repo: Repository, type: str, most: int
) -> None:
    await repo.save(type, content(1, most))
    refused = await repo.post(type, content(1, most + 1))
    assert (refused.status, refused.headers["X-Offsite-Reason"]) == (507, "BLOB_REFUSED")
    assert set(await repo.list(type)) == {id_of(content(1, most))}


async def test_an_empty_blob_is_a_blob(server: ArchiveServer, repo: Repository) -> None:
    path = await repo.save("data", b"")
    assert await repo.list("data") == {id_of(b""): 0}
    assert (await repo.head(path)).headers["Content-Length"] == "0"
    assert (await repo.get(path)).body == b""
    await settled(server)


async def test_a_packed_body_is_kept_as_it_came(server: ArchiveServer, repo: Repository) -> None:
    """Unpacked, a small one could fill the disk; and its name is that of what was sent."""
    bomb = gzip.compress(bytes(50 * MIB))
    refused = await repo.ask(
        "POST",
        f"data/{id_of(bytes(50 * MIB))}",
        data=bomb,
        headers={"Content-Encoding": "gzip"},
    )
    assert refused.status == 400
    taken = await repo.post("data", bomb, headers={"Content-Encoding": "gzip"})
    assert taken.status == 200
    assert await repo.list("data") == {id_of(bomb): len(bomb)}
    assert (await repo.get(f"data/{id_of(bomb)}")).body == bomb
    await settled(server)


@pytest.mark.parametrize("sent", [0, 50, MIB])
async def test_a_connection_cut_in_the_body_leaves_nothing(
    server: ArchiveServer, sent: int, caplog: pytest.LogCaptureFixture
) -> None:
    def play() -> None:
        with RawClient(server) as client:
            begin(client, server, f"data/{id_of(LARGE)}", len(LARGE))
            client.send(LARGE[:sent])

    with caplog.at_level(logging.ERROR):
        await asyncio.to_thread(play)
        await empty(server)
    assert not caplog.records


async def test_a_body_shorter_than_its_length_leaves_nothing(server: ArchiveServer) -> None:
    def play() -> None:
        with RawClient(server) as client:
            begin(client, server, f"data/{id_of(content(1))}", 101)
            client.send(content(1))

    await asyncio.to_thread(play)
    await empty(server)


async def test_a_client_that_stalls_is_given_up(
    server: ArchiveServer, repo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spooling, "STALLED_SECONDS", 0.2)
    monkeypatch.setattr(gateway, "_DRAIN_SECONDS", 0.2)

    def play() -> RawAnswer:
        with RawClient(server) as client:
            begin(client, server, f"data/{id_of(LARGE)}", len(LARGE))
            client.send(LARGE[: 2 * MIB])
            return client.answer()

    found = asyncio.ensure_future(asyncio.to_thread(play))
    await repo.save("data", content(1))  # others are served meanwhile
    refused = await found
    assert (refused.status, refused.reason) == (503, "The upload stalled and was given up")
    assert (await settled(server)).used_bytes == 100


async def test_an_early_refusal_reads_the_body_and_says_why(
    server: ArchiveServer, repo: Repository
) -> None:
    """A client whose connection is cut while it sends would try for a quarter of an hour."""
    server.company.rules(quota_bytes=1000)
    await repo.save("data", content(1, 1000))
    body = LARGE * 3

    def play() -> tuple[RawAnswer, RawAnswer]:
        with RawClient(server) as client:
            headers = server.headers_of(server.device_guid)
            refused = client.ask("POST", path_of(server, f"data/{id_of(body)}"), headers, body)
            socket = client.sock
            after = client.ask("GET", path_of(server, f"data/{id_of(content(1, 1000))}"), headers)
            assert client.sock is socket  # the same connection goes on
            return refused, after

    refused, after = await asyncio.to_thread(play)
    assert refused.status == 507
    assert refused.reason == "Organization disk quota exceeded (1 kB of 1 kB)"
    assert refused.body == (
        b"Organization disk quota exceeded (1 kB of 1 kB). "
        b"Forget and prune snapshots, or ask for a larger quota.\n"
    )
    assert refused.headers["X-Offsite-Reason"] == "DISK_QUOTA_EXCEEDED"
    assert (after.status, after.body) == (200, content(1, 1000))


async def test_a_strangers_body_is_not_read(server: ArchiveServer) -> None:
    def play() -> int:
        with RawClient(server) as client:
            headers = {"Content-Length": str(100 * MIB), "Authorization": "Basic dTpw"}
            client.begin("POST", path_of(server, f"data/{id_of(LARGE)}"), headers)
            return client.answer().status

    async with asyncio.timeout(5):
        assert await asyncio.to_thread(play) == 401


# --- downloads


@pytest.mark.parametrize("size", [100, 3 * MIB])
@pytest.mark.parametrize("left", [None, 0, 50])
async def test_what_the_disk_lost_is_not_sent_as_if_it_were_whole(
    server: ArchiveServer, repo: Repository, size: int, left: int | None
) -> None:
    path = await repo.save("data", content(1, size))
    other = await repo.save("data", content(2))
    _damage(server, path, left)
    if left and size > MIB:
        with pytest.raises(aiohttp.ClientError):
            await repo.get(path)
    else:
        refused = await repo.get(path)
        assert (refused.status, refused.reason) == (503, "The file of this blob is missing")
    assert (await repo.get(other)).body == content(2)


@pytest.mark.parametrize("left", [None, 50])
async def test_what_the_disk_lost_heals_when_it_is_sent_again(
    server: ArchiveServer, repo: Repository, left: int | None
) -> None:
    path = await repo.save("data", content(1))
    _damage(server, path, left)
    assert (await repo.post("data", content(1))).status == 503  # the next try stores it anew
    assert (await repo.post("data", content(1))).status == 200
    assert (await repo.get(path)).body == content(1)
    assert (await repo.usage())["stored_bytes"] == 100


async def test_a_client_that_leaves_in_the_middle_of_a_download_is_no_error(
    server: ArchiveServer, repo: Repository, caplog: pytest.LogCaptureFixture
) -> None:
    path = await repo.save("data", content(1, 40 * MIB))

    def play() -> None:
        with RawClient(server) as client:
            client.begin("GET", path_of(server, path), server.headers_of(server.device_guid))
            client.getresponse().read(1000)

    with caplog.at_level(logging.ERROR):
        await asyncio.to_thread(play)
        assert (await repo.get(path, headers={"Range": "bytes=0-7"})).body == content(1, 8)
    assert not caplog.records


def _damage(server: ArchiveServer, path: str, left: int | None) -> None:
    """Take a blob's file away, or leave its first bytes."""
    name = path.split("/")[1]
    (file,) = Path(server.server.ground.settings.archive).rglob(f"{name}.*")
    if left is None:
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:left])
