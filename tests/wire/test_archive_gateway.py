"""What an archive takes and gives back in each of its states, as a client is told it."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from archive_gateway.domain import rules
from archive_gateway.operations import undelete
from service_kit.clock import now
from tests.support.archives import ArchiveServer, archive_server
from tests.support.at_rest import settled
from tests.support.repository import TYPES, Answer, Repository, content, id_of, repository

MOST_LOCKS = 20  # for short
KEPT = ("data", "keys", "snapshots", "index", "config")


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ArchiveServer]:
    async with archive_server(tmp_path) as started:
        yield started
        await settled(started)


@pytest.fixture
async def repo(server: ArchiveServer) -> AsyncIterator[Repository]:
    async with repository(server) as opened:
        yield opened


def told(answer: Answer) -> tuple[int, str, str]:
    """Status, reason for programs, and the phrase for people."""
    return answer.status, answer.headers["X-Offsite-Reason"], answer.reason


async def test_a_deleted_blob_is_gone_for_the_client_and_kept(
    server: ArchiveServer, repo: Repository
) -> None:
    for type in KEPT:
        path = await repo.save(type, content(1))
        assert (await repo.delete(path)).status == 200
        assert (await repo.head(path)).status == (await repo.get(path)).status == 404
        assert (await repo.delete(path)).status == 200
    assert [await repo.list(type) for type in TYPES] == [{}] * len(TYPES)
    found = await repo.usage()
    assert (found["stored_bytes"], found["kept_bytes"]) == (0, 500)
    assert len((await settled(server)).files) == 5


async def test_without_a_delay_its_file_goes_at_once(
    server: ArchiveServer, repo: Repository
) -> None:
    server.company.rules(delete_delay=timedelta(0))
    path = await repo.save("data", content(1))
    assert (await repo.delete(path)).status == 200
    assert (await settled(server)).files == {}
    assert (await repo.usage())["kept_bytes"] == 0


async def test_a_lock_is_never_kept(server: ArchiveServer, repo: Repository) -> None:
    path = await repo.save("locks", content(1))
    assert (await repo.usage())["stored_bytes"] == 0
    assert (await repo.delete(path)).status == 200
    assert (await settled(server)).files == {}


async def test_a_full_archive_lists_restores_forgets_and_goes_on(
    server: ArchiveServer, repo: Repository
) -> None:
    server.company.rules(quota_bytes=1000)
    path = await repo.save("data", content(1, 800))
    await repo.save("data", content(1, 200))
    phrase = "Organization disk quota exceeded (1 kB of 1 kB)"
    assert told(await repo.post("data", content(2))) == (507, "DISK_QUOTA_EXCEEDED", phrase)
    assert (await repo.usage())["state"] == "full"
    assert (await repo.get(path)).body == content(1, 800)
    lock = await repo.save("locks", content(3))
    snapshot = await repo.save("snapshots", content(4))
    await repo.save("index", content(5))
    assert (await repo.post("data", content(1, 800))).status == 200  # it is there already
    for gone in (snapshot, path, lock):
        assert (await repo.delete(gone)).status == 200
    await repo.save("data", content(2))


async def test_an_append_only_archive_deletes_locks_alone(
    server: ArchiveServer, repo: Repository
) -> None:
    paths = [await repo.save(type, content(1)) for type in KEPT]
    lock = await repo.save("locks", content(2))
    server.company.rules(append_only=True)
    phrase = "Acme: append-only, nothing is deleted"
    for path in paths:
        assert told(await repo.delete(path)) == (403, "ARCHIVE_APPEND_ONLY", phrase)
    assert (await repo.delete(lock)).status == 200
    await repo.save("data", content(3))
    assert (await repo.usage())["append_only"] is True


async def test_what_is_kept_is_capped(server: ArchiveServer, repo: Repository) -> None:
    server.company.rules(quota_bytes=1000)
    for number in range(10):
        assert (await repo.delete(await repo.save("data", content(number)))).status == 200
    path = await repo.save("data", content(10))
    refused = await repo.delete(path)
    assert told(refused)[:2] == (507, "KEPT_QUOTA_EXCEEDED")
    assert refused.reason == "Acme: deleted and kept already 1 kB of 1 kB, nothing more is deleted"
    assert (await repo.get(path)).status == 200


async def test_config_is_written_once_and_again_after_a_delete(
    server: ArchiveServer, repo: Repository
) -> None:
    await repo.save("config", content(1))
    for body in (content(1), content(2)):
        assert told(await repo.post("config", body)) == (403, "ALREADY_EXISTS", "config exists")
    assert (await repo.get("config")).body == content(1)
    await repo.delete("config")
    await repo.save("config", content(2))
    assert (await repo.get("config")).body == content(2)


async def test_escrow_is_written_listed_and_never_deleted(
    server: ArchiveServer, repo: Repository
) -> None:
    server.company.rules(quota_bytes=0, delete_delay=timedelta(0))
    path = await repo.save("escrow", content(1))
    assert told(await repo.delete(path))[:2] == (403, "ARCHIVE_APPEND_ONLY")
    await repo.save("escrow", content(2))
    assert set(await repo.list("escrow")) == {id_of(content(1)), id_of(content(2))}
    assert (await repo.get(path)).body == content(1)
    assert (await repo.usage())["stored_bytes"] == 0


async def test_locks_are_bounded_in_number(
    server: ArchiveServer, repo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where nothing else may be written; else a disk could be filled with them."""
    monkeypatch.setattr(rules, "MOST_LOCKS", MOST_LOCKS)
    server.company.read_only_ = "suspended"
    batch = [repo.post("locks", content(each)) for each in range(2 * MOST_LOCKS)]
    found = sorted(each.status for each in await asyncio.gather(*batch))
    assert found == [200] * MOST_LOCKS + [507] * MOST_LOCKS
    names = set(await repo.list("locks"))
    there = next(each for each in range(100) if id_of(content(each)) in names)
    refused = await repo.post("locks", content(100))
    assert told(refused) == (507, "BLOB_REFUSED", "Too many locks, at most 20 are kept")
    assert (await repo.post("locks", content(there))).status == 200
    async with repository(server, server.company.device()) as other:
        await other.save("locks", content(1))
    assert (await repo.delete(f"locks/{id_of(content(there))}")).status == 200
    await repo.save("locks", content(100))


async def test_a_device_sees_what_it_and_its_account_use(
    server: ArchiveServer, repo: Repository
) -> None:
    server.company.rules(quota_bytes=1000)
    assert (await repo.usage())["last_backup_time"] is None
    before = now()
    await repo.save("snapshots", content(1))
    async with repository(server, server.company.device()) as other:
        await other.save("data", content(2, 200))
    found = await repo.usage()
    assert before <= datetime.fromisoformat(found.pop("last_backup_time")) <= now()
    assert found == {
        "state": "active",
        "reason": "",
        "stored_bytes": 100,
        "kept_bytes": 0,
        "organization_stored_bytes": 300,
        "quota_bytes": 1000,
        "quota_left_bytes": 700,
        "append_only": False,
    }


async def test_what_was_undeleted_is_there_again_at_once(
    server: ArchiveServer, repo: Repository
) -> None:
    path = await repo.save("data", content(1))
    then = now()
    await repo.delete(path)
    assert (await repo.get(path)).status == 404
    database = server.server.ground.database
    await database.run(undelete.undelete, server.company, server.account_id, "", then, now())
    assert (await repo.get(path)).body == content(1)


async def test_all_that_was_downloaded_is_counted(server: ArchiveServer, repo: Repository) -> None:
    path = await repo.save("data", content(1))
    await repo.get(path)
    await repo.get(path, headers={"Range": "bytes=10-19"})
    await server.archive._meter.flush()
    metrics = (await _metrics(server)).splitlines()
    (line,) = [
        each for each in metrics if each.startswith("offsite_organization_downloaded_bytes{")
    ]
    assert line.endswith(" 110.0")


async def _metrics(server: ArchiveServer) -> str:
    token = server.server.ground.settings.operator_token_file.read_text().strip()
    async with server.client() as session:
        url = f"https://{server.https_address}/metrics"
        async with session.get(url, headers={"Authorization": f"Bearer {token}"}) as answer:
            return await answer.text()
