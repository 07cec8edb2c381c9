"""A thief with a device's credential destroys its repository, and an operator undoes it."""

import asyncio
import random
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import pytest

from archive_gateway.domain.rules import MIB
from archive_gateway.operations import undelete
from archive_gateway.operations.undelete import Undeleted
from service_kit.clock import now
from tests.support.archives import ArchiveServer, Company, archive_server
from tests.support.at_rest import settled
from tests.support.repository import Repository, content, repository
from tests.support.restic import Restic, restic_program

QUOTA = 12 * MIB
KEPT = ("snapshots", "index", "data", "keys")


@dataclass
class Victim:
    """A device with two backups of a tree."""

    server: ArchiveServer
    repo: Repository
    restic: Restic
    tree: Path

    async def undelete(self, to: datetime) -> Undeleted:
        """As the operator does, to before the thief came."""
        run = self.server.server.ground.database.run
        company, account = self.server.company, self.server.account_id
        return await run(undelete.undelete, company, account, "", to, now())

    async def delete_all(self) -> None:
        for type in KEPT:
            for name in await self.repo.list(type):
                assert (await self.repo.delete(f"{type}/{name}")).status == 200
        assert (await self.repo.delete("config")).status == 200

    async def fill(self) -> None:
        """Until the quota has no room for another blob of a MiB."""
        for number in range(2 * QUOTA // MIB):
            if (await self.repo.post("data", content(number, MIB))).status == 507:
                return
        pytest.fail("the quota has no end")

    async def opens(self, restic: Restic) -> bool:
        done = await asyncio.to_thread(restic.run, "cat", "config", status=None)
        return done.returncode == 0

    async def check(self) -> None:
        """All of it is there, whole, and opened by the old password alone."""
        await asyncio.to_thread(self.restic.run, "check", "--read-data")
        assert len(await self.repo.list("snapshots")) == 2
        assert len(await self.repo.list("keys")) == 1

    async def check_restore(self, target: Path) -> None:
        """What is restored is what was saved."""
        await asyncio.to_thread(self.restic.run, "restore", "latest", "--target", target)
        assert _contents(target / self.tree.relative_to("/")) == _contents(self.tree)


def _contents(tree: Path) -> dict[str, bytes]:
    files = (each for each in tree.rglob("*") if each.is_file())
    return {str(each.relative_to(tree)): each.read_bytes() for each in files}


def _grow(tree: Path, seed: int) -> None:
    """Some files that can't be packed."""
    chance = random.Random(seed)
    for number in range(20):
        file = tree / str(seed) / f"{number % 4}" / f"{number}.bin"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(chance.randbytes(chance.randrange(100_000)))


@asynccontextmanager
async def _victim(folder: Path, tree: Path, company: Company) -> AsyncIterator[Victim]:
    async with archive_server(folder / "server", company) as server, repository(server) as repo:
        access = (server.device_guid, server.credential)
        program, cache = restic_program("newest"), folder / "cache"
        restic = Restic(program, f"rest:{server.url}", server.ca_file, cache, *access)
        yield Victim(server, repo, restic, tree)
        await settled(server)


@dataclass(frozen=True)
class Saved:
    """A server's folder after the backups, to be copied for each test."""

    folder: Path
    tree: Path
    company: Company
    time: datetime


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    folder, company = tmp_path_factory.mktemp("saved"), Company()
    tree = folder / "tree"
    company.rules(quota_bytes=QUOTA)

    async def save() -> None:
        async with _victim(folder, tree, company) as victim:
            await asyncio.to_thread(victim.restic.run, "init")
            for seed in (1, 2):
                _grow(tree, seed)
                await asyncio.to_thread(victim.restic.run, "backup", tree)

    asyncio.run(save())
    return Saved(folder, tree, company, now())


@pytest.fixture
async def victim(saved: Saved, tmp_path: Path) -> AsyncIterator[Victim]:
    folder = tmp_path / "copy"
    await asyncio.to_thread(shutil.copytree, saved.folder, folder)
    async with _victim(folder, saved.tree, saved.company) as victim:
        yield victim


async def test_all_that_a_thief_deleted_comes_back(
    victim: Victim, saved: Saved, tmp_path: Path
) -> None:
    await victim.delete_all()
    assert not await victim.opens(victim.restic)
    done = await victim.undelete(saved.time)
    assert done.lost_blobs == done.deleted_blobs == 0
    await victim.check()
    await victim.check_restore(tmp_path / "restored")


async def test_whatever_the_thief_put_in_its_place(
    victim: Victim, saved: Saved, tmp_path: Path
) -> None:
    """Another config and key, a snapshot that looks good, and a full quota; then backups go on."""
    await victim.delete_all()
    thief = replace(victim.restic, cache=tmp_path / "thief", repository_password="the thief's")
    await asyncio.to_thread(thief.run, "init")
    await asyncio.to_thread(thief.run, "backup", victim.tree)
    await victim.fill()
    done = await victim.undelete(saved.time)
    assert done.lost_blobs == 0
    assert done.deleted_blobs > 0
    await victim.check()
    assert not await victim.opens(thief)
    (tmp_path / "more").write_bytes(content(1))
    await asyncio.to_thread(victim.restic.run, "backup", tmp_path / "more")


async def test_a_key_that_was_added_is_gone(victim: Victim, saved: Saved, tmp_path: Path) -> None:
    """Whoever learned the password once keeps no way in, and the owner keeps theirs."""
    words = tmp_path / "words"
    words.write_text("the thief's")
    await asyncio.to_thread(victim.restic.run, "key", "add", "--new-password-file", words)
    assert len(await victim.repo.list("keys")) == 2
    await victim.undelete(saved.time)
    await victim.check()


async def test_what_is_kept_is_not_pushed_out_while_the_thief_goes_on(
    victim: Victim, saved: Saved
) -> None:
    """Filling and deleting again and again ends, and what was deleted first is still there."""
    await victim.delete_all()
    for number in range(2 * QUOTA // MIB):
        path = await victim.repo.save("data", content(number, MIB))
        if (await victim.repo.delete(path)).status == 507:
            break
    else:
        pytest.fail("deletes without end")
    used = await victim.repo.usage()
    assert used["stored_bytes"] + used["kept_bytes"] <= 2 * QUOTA
    assert (await victim.undelete(saved.time)).lost_blobs == 0
    assert len(await victim.repo.list("snapshots")) == 2
