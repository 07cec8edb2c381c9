"""The real restic where something is refused: it is told why, and everybody can restore."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from archive_gateway.credentials import grant_credential
from archive_gateway.domain.names import ArchiveId
from archive_gateway.operations import grants, usage
from service_kit.clock import now
from tests.support.archives import archive_server
from tests.support.repositories import LARGE, Site, contents, make_files, repository_of
from tests.support.restic import RELEASES, Restic, restic_program, version
from tests.support.waiting import eventually

AT_ONCE = 60  # seconds; who tries again does so for 15 minutes
ENDS_AT_ONCE = (0, 18)  # from this one on, restic takes a refusal for one


@pytest.fixture(params=RELEASES)
async def site(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Site]:
    """An archive with one snapshot, of either restic."""
    program = restic_program(request.param)
    async with archive_server(tmp_path / "server") as server:
        made = Site(server, repository_of(server, program, tmp_path))
        await made.run("init")
        await made.run("backup", make_files(tmp_path / "files"))
        yield made


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """What is backed up, once already."""
    return tmp_path / "files"


async def restores(site: Site, files: Path, folder: Path) -> bool:
    """Whether the last snapshot comes back as the files are."""
    await site.run("restore", "latest", "--target", folder, within=AT_ONCE)
    return contents(folder / files.relative_to("/")) == contents(files)


async def fill(site: Site) -> None:
    """Let the quota be what is stored."""
    site.server.company.rules(quota_bytes=(await site.usage())["stored_bytes"])


async def test_a_full_organization_restores(site: Site, files: Path, tmp_path: Path) -> None:
    await fill(site)
    assert (await site.usage())["state"] == "full"
    assert await restores(site, files, tmp_path / "restored")


async def test_a_full_organization_is_told_who_is_full(site: Site, files: Path) -> None:
    await fill(site)
    (files / "more.bin").write_bytes(os.urandom(LARGE * 4))
    told = await refused(site, "backup", files, wanted="disk quota exceeded")
    assert "Organization disk quota exceeded" in told


async def test_a_full_organization_forgets_and_prunes(
    site: Site, files: Path, tmp_path: Path
) -> None:
    (files / "0.bin").unlink()
    (files / "3.bin").write_bytes(os.urandom(LARGE * 3))
    await site.run("backup", files)
    (files / "3.bin").unlink()
    await site.run("backup", files)
    await fill(site)
    full = (await site.usage())["stored_bytes"]
    forget = ("forget", "--keep-last", "1", "--prune", "--max-repack-size", "0")
    await site.run(*forget, within=AT_ONCE)
    assert (await site.usage())["stored_bytes"] < full - LARGE
    await site.run("check", "--read-data")
    assert await restores(site, files, tmp_path / "restored")


async def test_with_an_allowance_a_full_organization_repacks(site: Site, files: Path) -> None:
    (files / "0.bin").unlink()
    await site.run("backup", files)
    await fill(site)
    full = (await site.usage())["stored_bytes"]
    await site.server.server.ground.database.run(
        usage.allow_prune, site.server.company, site.server.account_id, now() + timedelta(hours=1)
    )
    prune = ("forget", "--keep-last", "1", "--prune", "--max-unused", "0")
    await site.run(*prune, within=AT_ONCE)
    assert (await site.usage())["stored_bytes"] < full - LARGE * 0.9
    await site.run("check", "--read-data")


async def test_a_read_only_archive_restores_and_takes_no_backup(
    site: Site, files: Path, tmp_path: Path
) -> None:
    site.server.company.read_only_ = "the organization is suspended"
    assert await restores(site, files, tmp_path / "restored")
    (files / "more").write_text("more")
    told = await refused(site, "backup", files, wanted="Read-only")
    assert "Read-only: the organization is suspended" in told


async def test_an_append_only_archive_takes_backups_and_forgets_nothing(
    site: Site, files: Path, tmp_path: Path
) -> None:
    site.server.company.rules(append_only=True)
    (files / "more").write_text("more")
    await site.run("backup", files, within=AT_ONCE)
    assert await restores(site, files, tmp_path / "restored")
    await refused(site, "forget", "--keep-last", "1", wanted="append-only")
    assert len(await site.json("snapshots")) == 2


async def test_a_grant_restores_without_a_seat(site: Site, files: Path, tmp_path: Path) -> None:
    server = site.server
    archive = ArchiveId(server.account_id, server.device_guid)
    ground = server.server.ground
    hour = timedelta(hours=1)
    grant = await ground.database.run(grants.create, server.company, archive, hour, now())
    server.company.generations[server.device_guid] = None
    reader = site.with_password(grant_credential(ground.identity, archive, grant.id))
    assert await restores(reader, files, tmp_path / "restored")
    (files / "more").write_text("more")
    await refused(reader, "backup", files, wanted="this is a grant")


async def test_a_seat_that_ended_opens_nothing(site: Site) -> None:
    async with site.server.client() as client:
        site.server.company.generations[site.server.device_guid] = 2

        async def status() -> int:
            async with client.head("config") as answer:
                return answer.status

        await eventually(status, lambda found: found == 401)
    told = await refused(site, "snapshots", wanted="has ended")
    assert "401 The seat or grant of this credential has ended" in told


async def refused(site: Site, *words: str | Path, wanted: str) -> str:
    """What a command prints of a refusal, which ends it; older ones try again, and are ended."""
    return await asyncio.to_thread(_refused, site.restic, words, wanted)


def _refused(restic: Restic, words: tuple[str | Path, ...], wanted: str) -> str:
    process = restic.start(*words)
    assert process.stdout is not None
    told = ""
    while wanted not in told and (line := process.stdout.readline()):
        told += line
    if version(restic.program) < ENDS_AT_ONCE:
        process.send_signal(signal.SIGINT)
    told += process.communicate(timeout=AT_ONCE)[0]
    assert process.returncode
    assert wanted in told
    return told
