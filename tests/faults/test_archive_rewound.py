"""The ledger was restored from a backup, and the files are newer: nothing is removed unseen."""

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from archive_gateway.inspection.rebuild import Rebuilt, rebuild
from archive_gateway.operations import holding
from archive_gateway.store.tables import reservations
from service_kit.clock import now
from service_kit.database.engine import Database
from service_kit.database.paging import PageRequest
from service_kit.ledger import audit
from service_kit.ledger.audit import AuditFilter
from tests.support.archives import ArchiveServer, Company, archive_server
from tests.support.at_rest import AtRest, look, settled
from tests.support.repository import Repository, content, id_of, repository
from tests.support.waiting import eventually


@dataclass
class Site:
    """A server that is started and stopped, and whose ledger goes back in time."""

    folder: Path
    company: Company

    @asynccontextmanager
    async def running(self) -> AsyncIterator[tuple[ArchiveServer, Repository]]:
        async with (
            archive_server(self.folder / "data", self.company) as server,
            repository(server) as repo,
        ):
            yield server, repo

    def back_up(self) -> None:
        """A copy of the ledger, as a backup makes it."""
        shutil.copyfile(self.folder / "data" / "ledger.db", self.folder / "copy.db")

    def restore(self) -> None:
        """As the restore of a server does it: purges are held from here on."""
        for file in (self.folder / "data").glob("ledger.db*"):
            file.unlink()
        shutil.copyfile(self.folder / "copy.db", self.folder / "data" / "ledger.db")
        database = Database(f"sqlite:///{self.folder / 'data' / 'ledger.db'}")
        database.run_sync(holding.hold)
        database.dispose()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    company = Company()
    company.device()
    company.rules(delete_delay=timedelta(0))
    return Site(tmp_path, company)


async def agree(server: ArchiveServer, *, validate_only: bool = False) -> Rebuilt:
    """Make ledger and files agree again."""
    progress = rebuild(
        server.server.ground.database, server.archive.store, validate_only=validate_only
    )
    return [Rebuilt(), *[each async for each in progress]][-1]


async def at_rest(server: ArchiveServer) -> AtRest:
    return await look(server.server.ground.database, server.archive.store)


async def test_blobs_of_after_the_backup_are_told_of_and_brought_back(site: Site) -> None:
    async with site.running() as (_, repo):
        before = await repo.save("data", content(1))
    site.back_up()
    async with site.running() as (server, repo):
        after = [await repo.save(type, content(2)) for type in ("data", "snapshots", "config")]
        files = (await settled(server)).files
    site.restore()
    async with site.running() as (server, repo):
        await server.archive._upkeep.step()
        assert (await at_rest(server)).files == files
        assert [(await repo.get(path)).status for path in after] == [404] * 3
        await server.archive._upkeep.look_for_strays()
        assert server.archive._upkeep.stray_files == 3
        assert "3 files" in (await events(server))["archive.stray_files"]
        assert (await agree(server, validate_only=True)).adopted_blobs == 3
        assert [(await repo.get(path)).status for path in after] == [404] * 3
        done = await agree(server)
        assert (done.adopted_blobs, done.adopted_bytes, done.missing_blobs) == (3, 300, 0)
        for path in (before, *after):
            assert (await repo.get(path)).status == 200
        assert (await settled(server)).files == files
        assert await agree(server) == Rebuilt(compared=8)
        await server.archive._upkeep.look_for_strays()
        assert server.archive._upkeep.stray_files == 0


async def events(server: ArchiveServer) -> dict[str, str]:
    """What is in the audit trail, by kind."""
    database = server.server.ground.database
    page = await database.read(audit.list_events, AuditFilter(), PageRequest(1000))
    return {each.kind: each.detail for each in page.items}


async def test_blobs_purged_after_the_backup_are_forgotten_and_can_be_sent_again(
    site: Site,
) -> None:
    async with site.running() as (_, repo):
        path, stays = await repo.save("data", content(1)), await repo.save("data", content(2))
    site.back_up()
    async with site.running() as (server, repo):
        await repo.delete(path)
        await settled(server)
    site.restore()
    async with site.running() as (server, repo):
        assert (await repo.get(path)).status == 503
        done = await agree(server)
        assert (done.missing_blobs, done.missing_bytes, done.adopted_blobs) == (1, 100, 0)
        assert (await repo.get(path)).status == 404
        assert (await repo.get(stays)).status == 200
        await repo.save("data", content(1))
        await settled(server)


async def test_a_blob_purged_and_sent_again_since_is_the_one_that_is_there(site: Site) -> None:
    async with site.running() as (_, repo):
        path = await repo.save("data", content(1))
    site.back_up()
    async with site.running() as (server, repo):
        await repo.delete(path)
        await settled(server)
        await repo.save("data", content(1))
    site.restore()
    async with site.running() as (server, repo):
        done = await agree(server)
        assert (done.missing_blobs, done.adopted_blobs) == (1, 1)
        assert (await repo.get(path)).body == content(1)
        await settled(server)


async def test_an_upload_that_was_under_way_during_the_backup_is_not_lost(site: Site) -> None:
    """The restored promise knows nothing of its end, and its time is over."""
    body, half = content(1), asyncio.Event()

    async def halves() -> AsyncIterator[bytes]:
        yield body[:50]
        await half.wait()
        yield body[50:]

    async with site.running() as (server, repo):
        headers = {"Content-Length": "100"}
        path = f"data/{id_of(body)}"
        post = asyncio.ensure_future(repo.ask("POST", path, data=halves(), headers=headers))
        await eventually(lambda: promises(server))
        await asyncio.to_thread(_online_copy, site)
        half.set()
        assert (await post).status == 200
    site.restore()
    async with site.running() as (server, repo):
        begin = now().replace(year=2000)
        database = server.server.ground.database
        await database.run(lambda tx: tx.execute(update(reservations).values(expire_time=begin)))
        await server.archive._upkeep.step()
        assert (await agree(server)).adopted_blobs == 1
        assert (await repo.get(path)).body == body
        await settled(server)


async def promises(server: ArchiveServer) -> list[str]:
    return (await at_rest(server)).promises


def _online_copy(site: Site) -> None:
    source = sqlite3.connect(site.folder / "data" / "ledger.db")
    target = sqlite3.connect(site.folder / "copy.db")
    with source, target:
        source.backup(target)
    source.close()
    target.close()


async def test_nothing_is_purged_until_ledger_and_files_agree(site: Site) -> None:
    site.company.rules(delete_delay=timedelta(seconds=1))
    async with site.running() as (_, repo):
        path = await repo.save("data", content(1))
        await repo.delete(path)
    site.back_up()
    site.restore()
    site.company.rules(delete_delay=timedelta(microseconds=1))
    async with site.running() as (server, repo):
        await server.archive._upkeep.step()
        assert len((await at_rest(server)).files) == 1
        await agree(server)
        await server.archive._upkeep.step()
        assert (await at_rest(server)).files == {}


@pytest.mark.parametrize("damage", [b"", b"other content"])
async def test_strange_files_are_told_of_and_left_alone(site: Site, damage: bytes) -> None:
    async with site.running() as (_, repo):
        await repo.save("data", content(1))
    site.back_up()
    async with site.running() as (server, repo):
        path = await repo.save("data", content(2))
        name = path.split("/")[1]
        (file,) = (site.folder / "data" / "archive").rglob(f"{name}.*")
        file.write_bytes(damage)
        (site.folder / "data" / "archive" / "README").write_text("from somebody else")
    site.restore()
    async with site.running() as (server, repo):
        assert (await agree(server)).strange_files == 2
        assert file.exists()
        assert (await repo.get(path)).status == 404
        await repo.save("data", content(2))
        assert (await repo.get(path)).body == content(2)


async def test_an_organization_that_the_ledger_lost_keeps_nobody_from_upkeep(site: Site) -> None:
    """Its files are adopted, and its rules are unknown."""
    async with site.running() as (_, repo):
        await repo.save("data", content(1))
    site.back_up()
    async with site.running() as (_, repo):
        for number in range(2):
            await repo.save("data", content(2 + number))
    site.restore()
    site.company.account_id = "00000000-0000-0000-0000-000000000000"
    async with site.running() as (server, repo):
        await agree(server)
        await repo.save("locks", content(1))
        await repo.delete(f"locks/{id_of(content(1))}")
        await settled(server)
