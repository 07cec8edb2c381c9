"""A disk that is full, nearly full, emptied, or not this server's."""

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from archive_gateway.domain.rules import MIB
from archive_gateway.inspection.rebuild import rebuild
from service_kit.database.paging import PageRequest
from service_kit.errors import Conflict
from service_kit.ledger import audit
from service_kit.ledger.audit import AuditFilter
from service_kit.reasons import Reason
from tests.support.archives import Company, archive_server
from tests.support.at_rest import settled
from tests.support.repository import Answer, content, repository

SMALL_DISK = 8 * MIB


def storage_full(answer: Answer) -> bool:
    """Whether a blob was refused for that; nothing else may be the reason."""
    if answer.status == 200:
        return False
    assert (answer.status, answer.reason) == (507, "Provider storage full"), answer
    assert answer.headers["X-Offsite-Reason"] == "STORAGE_FULL"
    return True


async def test_below_the_reserve_data_is_refused_and_all_else_goes_on(tmp_path: Path) -> None:
    """Whatever a restore, a forget or a delete needs lives on the reserve."""
    async with archive_server(tmp_path) as server, repository(server) as repo:
        old = await repo.save("data", content(1))
    reserve = "1000000TB"
    async with (
        archive_server(tmp_path, server.company, archive_reserve=reserve) as server,
        repository(server) as repo,
    ):
        assert storage_full(await repo.post("data", content(2)))
        for type in ("index", "snapshots", "keys", "locks", "escrow", "config"):
            await repo.save(type, content(3))
        assert (await repo.get(old)).body == content(1)
        assert (await repo.delete(old)).status == 200
        await settled(server)
        await server.archive._upkeep.step()
        page = await server.server.ground.database.read(
            audit.list_events, AuditFilter(kind="archive.storage_full"), PageRequest()
        )
        assert len(page.items) == 1  # once, not with each look


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, which only root can mount."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK}", "none", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"a small disk can't be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


async def test_a_full_disk_loses_nothing_and_serves_again(tmp_path: Path, small_disk: Path) -> None:
    company = Company()
    company.rules(delete_delay=timedelta(0))
    async with (
        archive_server(
            tmp_path / "data", company, archive=str(small_disk / "a"), archive_reserve="1B"
        ) as server,
        repository(server) as repo,
    ):
        bodies = [content(number, MIB) for number in range(20)]
        answers = await asyncio.gather(*(repo.post("data", body) for body in bodies))
        taken = [
            body for body, answer in zip(bodies, answers, strict=True) if not storage_full(answer)
        ]
        assert 0 < len(taken) < 8
        while not storage_full(await repo.post("index", content(100 + len(taken), MIB // 2))):
            taken.append(content(100 + len(taken), MIB // 2))
        await settled(server)
        assert shutil.disk_usage(small_disk).free < MIB
        names = {**await repo.list("data"), **await repo.list("index")}
        assert len(names) == len(taken)
        for type in ("data", "index"):
            for name in await repo.list(type):
                assert (await repo.get(f"{type}/{name}")).body in taken
        for name in list(await repo.list("data"))[:2]:
            assert (await repo.delete(f"data/{name}")).status == 200
        await settled(server)
        await repo.save("index", content(1000, MIB))


async def test_a_disk_that_is_full_to_the_last_byte_still_says_so_and_reads(
    small_disk: Path,
) -> None:
    """The ledger lies there too, and can't even note the refusal."""
    async with (
        archive_server(small_disk / "data", archive_reserve="1B") as server,
        repository(server) as repo,
    ):
        path = await repo.save("data", content(1))
        await settled(server)
        await asyncio.to_thread(use_up, small_disk)
        server.archive._room._until = 0  # a look at the disk is remembered for a second
        assert storage_full(await repo.post("data", content(2)))
        assert (await repo.get(path)).body == content(1)
        assert (await repo.post("index", content(3))).status in (503, 507)
        (small_disk / "rest").unlink()
        await repo.save("index", content(3))
        await settled(server)


def use_up(disk: Path) -> None:
    """Fill a disk with something else."""
    with (disk / "rest").open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))


async def test_an_archive_that_was_emptied_is_not_taken_for_a_new_one(tmp_path: Path) -> None:
    """It may be a disk that is not mounted."""
    async with archive_server(tmp_path) as server, repository(server) as repo:
        path = await repo.save("data", content(1))
    archive = tmp_path / "archive"
    archive.rename(tmp_path / "elsewhere")
    await refused(tmp_path, server.company)
    shutil.rmtree(archive)
    (tmp_path / "elsewhere").rename(archive)
    async with archive_server(tmp_path, server.company) as server, repository(server) as repo:
        assert (await repo.get(path)).body == content(1)


async def test_the_archive_of_another_server_is_not_taken(tmp_path: Path) -> None:
    where = str(tmp_path / "archive")
    async with archive_server(tmp_path / "one", archive=where) as server, repository(server) as r:
        path = await r.save("data", content(1))
    await refused(tmp_path / "other", Company(), archive=where)
    async with (
        archive_server(tmp_path / "one", server.company, archive=where) as server,
        repository(server) as repo,
    ):
        assert (await repo.get(path)).status == 200


async def test_an_archive_whose_ledger_was_lost_is_adopted_when_told_so(tmp_path: Path) -> None:
    async with archive_server(tmp_path) as server, repository(server) as repo:
        paths = [await repo.save(type, content(1)) for type in ("data", "config", "snapshots")]
    lose_ledger(tmp_path)
    await refused(tmp_path, server.company)
    for adopt in (True, False):
        async with (
            archive_server(tmp_path, server.company, adopt_archive=adopt) as server,
            repository(server) as repo,
        ):
            ground, store = server.server.ground, server.archive.store
            progress = [each async for each in rebuild(ground.database, store, validate_only=False)]
            assert progress[-1].adopted_blobs == (3 if adopt else 0)
            for path in paths:
                assert (await repo.get(path)).body == content(1)
            await settled(server)


async def test_a_new_server_takes_an_empty_folder_and_marks_it(tmp_path: Path) -> None:
    (tmp_path / "archive").mkdir()
    async with archive_server(tmp_path) as server:
        assert await server.archive.store.owner()
    async with archive_server(tmp_path, server.company):
        pass


def lose_ledger(folder: Path) -> None:
    for file in folder.glob("ledger.db*"):
        file.unlink()


async def refused(folder: Path, company: Company, **settings: str) -> None:
    """The server does not start, and nothing is left running."""
    with pytest.raises(Conflict) as caught:
        async with archive_server(folder, company, **settings):
            pass
    assert caught.value.reason is Reason.ARCHIVE_MISPLACED
