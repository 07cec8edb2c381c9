"""The real restic, the oldest that is supported and the newest, on every kind of archive."""

import asyncio
import shutil
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.archives import archive_server
from tests.support.databases import Ledgers
from tests.support.repositories import Site, contents, make_files, repository_of
from tests.support.restic import restic_program, version
from tests.support.s3 import S3Endpoint

TYPES = ("data", "keys", "snapshots", "index")  # locks and config aside
# Each pair of release, ledger and store is among them.
KINDS = (
    ("0.14", "postgresql", "disk"),
    ("0.14", "sqlite", "s3"),
    ("newest", "sqlite", "disk"),
    ("newest", "postgresql", "s3"),
)


@pytest.fixture(params=KINDS, ids="-".join)
def kind(request: pytest.FixtureRequest) -> tuple[str, str, str]:
    """A release of restic, an engine of the ledger, and where blobs rest."""
    found: tuple[str, str, str] = request.param
    return found


@pytest.fixture
def settings(
    kind: tuple[str, str, str], request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, Any]]:
    """The settings of a server with such a ledger and store."""
    _, engine, store = kind
    ledgers: Ledgers = request.getfixturevalue(f"{engine}_ledgers")
    found: dict[str, Any] = {"database": ledgers.empty()}
    if store == "s3":
        endpoint: S3Endpoint = request.getfixturevalue("s3_endpoint")
        found["archive"] = endpoint.where(uuid.uuid4().hex)
        for name, value in endpoint.environment.items():
            monkeypatch.setenv(name, value)
    yield found
    ledgers.drop(found["database"])


@pytest.fixture
async def site(
    kind: tuple[str, str, str], settings: dict[str, Any], tmp_path: Path
) -> AsyncIterator[Site]:
    """A new archive with an initialized repository."""
    program = restic_program(kind[0])
    async with archive_server(tmp_path / "server", **settings) as server:
        made = Site(server, repository_of(server, program, tmp_path))
        await made.run("init")
        yield made
        assert await made.listed("locks") == []  # whatever was done


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """What is backed up."""
    return make_files(tmp_path / "files")


async def test_a_backup_is_restored_as_it_was(site: Site, files: Path, tmp_path: Path) -> None:
    first = await site.json("backup", files)
    before = contents(files)
    (files / "0.bin").unlink()
    (files / "new.txt").write_text("new")
    second = await site.json("backup", files)
    after = contents(files)
    assert second["data_added"] < first["data_added"] / 50
    for number, expected in enumerate((before, after)):
        snapshots = await site.json("snapshots")
        target = tmp_path / f"restored-{number}"
        await site.run("restore", snapshots[number]["id"], "--target", target)
        assert contents(target / files.relative_to("/")) == expected


async def test_what_is_pruned_is_no_longer_counted(site: Site, files: Path, tmp_path: Path) -> None:
    await site.run("backup", files)
    (files / "0.bin").unlink()
    await site.run("backup", files)
    stored = (await site.usage())["stored_bytes"]
    await site.run("forget", "--keep-last", "1", "--prune", "--max-unused", "0")
    now_stored = (await site.usage())["stored_bytes"]
    assert stored - now_stored > 5 << 20
    listed = [each["size"] for type in TYPES for each in await site.listed(type)]
    async with site.server.client() as client, client.head("config") as config:
        assert now_stored == sum(listed) + int(config.headers["Content-Length"])
    await site.run("check", "--read-data")
    await site.run("restore", "latest", "--target", tmp_path / "restored")
    assert contents(tmp_path / "restored" / files.relative_to("/")) == contents(files)


async def test_a_lost_index_is_built_again(site: Site, files: Path) -> None:
    await site.run("backup", files)
    async with site.server.client() as client:
        for each in await site.listed("index"):
            async with client.delete(f"index/{each['name']}") as answer:
                assert answer.status == 200
    shutil.rmtree(site.restic.cache)
    await site.run("check", status=1)
    repair = ("rebuild-index",) if version(site.restic.program) < (0, 16) else ("repair", "index")
    await site.run(*repair)
    await site.run("check", "--read-data")


async def test_an_archive_is_copied_to_another_server(
    site: Site, files: Path, tmp_path: Path
) -> None:
    await site.run("backup", files)
    async with archive_server(tmp_path / "other-server") as server:
        other = repository_of(server, site.restic.program, tmp_path)
        await asyncio.to_thread(other.run, "init")
        await asyncio.to_thread(
            other.run,
            *("--cacert", site.restic.ca_file, "copy"),
            RESTIC_FROM_REPOSITORY=site.restic.url_with_credentials,
            RESTIC_FROM_PASSWORD=site.restic.repository_password,
        )
        await asyncio.to_thread(other.run, "check", "--read-data")
        await asyncio.to_thread(other.run, "restore", "latest", "--target", tmp_path / "restored")
    assert contents(tmp_path / "restored" / files.relative_to("/")) == contents(files)
