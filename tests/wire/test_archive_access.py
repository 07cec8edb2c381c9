"""What a credential opens, and how soon it opens nothing any more."""

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path

import pytest

from archive_gateway.credentials import grant_credential
from archive_gateway.domain.names import ArchiveId
from archive_gateway.operations import grants
from archive_gateway.store.grants import Grant
from service_kit.clock import now
from tests.support.archives import ArchiveServer, archive_server
from tests.support.repository import Answer, Repository, content, id_of, repository
from tests.support.waiting import eventually

SOON = 1.0  # seconds


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ArchiveServer]:
    async with archive_server(tmp_path) as started:
        yield started


@pytest.fixture
async def own(server: ArchiveServer) -> AsyncIterator[Repository]:
    """The device's own archive, with a blob of a few types."""
    async with repository(server) as repo:
        for type in ("config", "data", "locks", "snapshots", "escrow"):
            await repo.save(type, content(1))
        yield repo


async def give(server: ArchiveServer, life: timedelta = timedelta(hours=1)) -> tuple[Grant, str]:
    """A grant and its credential."""
    archive, ground = ArchiveId(server.account_id, server.device_guid), server.server.ground
    grant = await ground.database.run(grants.create, server.company, archive, life, now())
    return grant, grant_credential(ground.identity, archive, grant.id)


async def ends_soon(ask: Callable[[], object]) -> None:
    """What was answered is refused within a second."""
    begin = time.monotonic()

    async def status() -> int:
        answer = await ask()  # type: ignore[misc]
        assert isinstance(answer, Answer)
        return answer.status

    await eventually(status, lambda found: found == 401, within=SOON)
    assert time.monotonic() - begin < SOON


@pytest.mark.parametrize("generation", [None, 2])
async def test_a_seat_that_ends_or_is_renewed_ends_its_credential(
    server: ArchiveServer, own: Repository, generation: int | None
) -> None:
    path = f"data/{id_of(content(1))}"
    assert (await own.get(path)).status == 200
    server.company.generations[server.device_guid] = generation
    for refused in (
        await own.post("data", content(2)),
        await own.post("locks", content(2)),
        await own.delete(path),
        await own.delete(f"locks/{id_of(content(1))}"),
        await own.ask("POST", "?create=true"),
    ):
        assert refused.status == 401  # at once
    await ends_soon(lambda: own.get(path))
    await ends_soon(lambda: own.get("data/"))
    await ends_soon(lambda: own.get("usage"))


async def test_a_renewed_seat_has_a_new_credential(server: ArchiveServer, own: Repository) -> None:
    server.company.generations[server.device_guid] = 2
    async with repository(server) as renewed:
        assert set(await renewed.list("data")) == {id_of(content(1))}
        await renewed.save("data", content(2))


async def test_a_suspended_account_reads_and_locks(server: ArchiveServer, own: Repository) -> None:
    server.company.read_only_ = "suspended: unpaid"
    path = f"data/{id_of(content(1))}"
    for type in ("data", "index", "snapshots", "keys", "escrow", "config"):
        refused = await own.post(type, content(2))
        assert (refused.status, refused.reason) == (403, "Read-only: suspended: unpaid")
    assert (await own.delete(path)).status == 403
    assert (await own.get(path)).body == content(1)
    assert await own.list("snapshots")
    lock = await own.save("locks", content(3))
    assert (await own.delete(lock)).status == 200
    assert (await own.usage())["reason"] == "suspended: unpaid"
    server.company.read_only_ = ""
    await own.save("data", content(2))


@pytest.mark.parametrize("seated", [True, False])
async def test_a_grant_reads_and_locks(
    server: ArchiveServer, own: Repository, seated: bool
) -> None:
    _, password = await give(server)
    if not seated:
        server.company.generations[server.device_guid] = None
    async with repository(server, password=password) as granted:
        path = f"data/{id_of(content(1))}"
        assert (await granted.get(path)).body == content(1)
        assert (await granted.head("config")).status == 200
        assert set(await granted.list("escrow")) == {id_of(content(1))}
        assert (await granted.usage())["stored_bytes"] == 300
        lock = await granted.save("locks", content(2))
        assert (await granted.get(lock)).status == 200
        assert (await granted.delete(lock)).status == 200
        for type in ("data", "index", "snapshots", "keys", "escrow", "config"):
            refused = await granted.post(type, content(3))
            assert (refused.status, refused.reason) == (403, "Read-only: this is a grant")
        for refused in (
            await granted.delete(path),
            await granted.delete("config"),
            await granted.ask("POST", "?create=true"),
        ):
            assert refused.status == 403


async def test_a_grant_opens_one_archive(server: ArchiveServer, own: Repository) -> None:
    _, password = await give(server)
    other = server.company.device()
    async with repository(server, other, password) as stranger:
        assert (await stranger.get("config")).status == 401
        assert (await stranger.post("locks", content(2))).status == 401


async def test_a_grant_ends_when_it_is_revoked(server: ArchiveServer, own: Repository) -> None:
    grant, password = await give(server)
    async with repository(server, password=password) as granted:
        assert (await granted.get("config")).status == 200
        await server.server.ground.database.run(grants.revoke, grant.id, now())
        await ends_soon(lambda: granted.get("config"))
        assert (await granted.post("locks", content(2))).status == 401


async def test_a_grant_ends_when_its_time_is_over(server: ArchiveServer, own: Repository) -> None:
    _, password = await give(server, timedelta(seconds=0.3))
    async with repository(server, password=password) as granted:
        assert (await granted.get("config")).status == 200
        await asyncio.sleep(0.3)
        await ends_soon(lambda: granted.get("config"))


async def test_grants_cannot_be_made_up(server: ArchiveServer, own: Repository) -> None:
    grant, password = await give(server)
    secret = password.rsplit(".", 1)[1]
    for wrong in (
        *(f"grant.{grant.id}.", f"grant.{grant.id}.{'A' * 43}", f"grant..{secret}"),
        *(f"grant.{server.device_guid}.{secret}", secret, f"{password}.", f"x.{grant.id}.{secret}"),
        *(f"grant.{grant.id.upper()}.{secret}", password[:-1], "grant.." + "x" * 300),
    ):
        async with repository(server, password=wrong) as granted:
            assert (await granted.get("config")).status == 401, wrong


async def test_the_user_is_the_device(server: ArchiveServer, own: Repository) -> None:
    for user in ("", "admin", server.account_id, server.device_guid + "0"):
        both = base64.b64encode(f"{user}:{server.credential}".encode()).decode()
        own.session.headers["Authorization"] = f"Basic {both}"
        refused = await own.get("config")
        assert refused.status == 401
        assert refused.headers["WWW-Authenticate"].startswith("Basic ")
