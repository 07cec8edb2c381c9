"""Quotas hold to the byte, with any number of writers and replicas, whatever becomes of uploads."""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from sqlalchemy import select, update

from archive_gateway.domain.names import ArchiveId
from archive_gateway.domain.rules import MIB, Upload
from archive_gateway.domain.standing import Limit, Standing
from archive_gateway.operations import uploads
from archive_gateway.store import archives as store
from archive_gateway.store.archives import Account
from archive_gateway.store.blobs import Blob
from archive_gateway.store.tables import archives, reservations
from service_kit.clock import now
from service_kit.database.engine import Database, Transaction
from service_kit.errors import LimitReached
from tests.support import databases
from tests.support.archive_ledger import DATA, INDEX, new_name
from tests.support.archives import ArchiveServer, archive_server
from tests.support.archives import Company as AnyCompany
from tests.support.at_rest import look, settled
from tests.support.databases import Ledgers, PostgresqlLedgers
from tests.support.repository import Answer, Repository, content, id_of, repository
from tests.support.waiting import eventually

WRITERS = 64
SLACK = 256 * MIB


@dataclass
class Company(AnyCompany):
    """A company whose limits are only of some devices' users."""

    limited: list[str] = field(default_factory=list)

    def standing(self, tx: Transaction, archive: ArchiveId) -> Standing | None:
        found = super().standing(tx, archive)
        free = found is not None and archive.device_guid not in self.limited
        return replace(found, limits=()) if found is not None and free else found


@dataclass
class Replicas:
    """Two servers of one company, with one ledger and one folder."""

    company: Company
    both: tuple[ArchiveServer, ArchiveServer]

    async def account(self) -> Account:
        database = self.both[0].server.ground.database
        return await database.read(store.get_account, self.company.account_id)

    @asynccontextmanager
    async def watched(self, quota: int) -> AsyncIterator[None]:
        """Meanwhile neither what is used nor what is kept is ever above the quota."""

        async def watch() -> None:
            while True:
                found = await self.account()
                assert found.used_bytes <= quota, found
                assert found.kept_bytes <= quota, found
                await asyncio.sleep(0.005)

        watching = asyncio.ensure_future(watch())
        yield
        assert not watching.done(), watching.result()
        watching.cancel()


@pytest.fixture
async def replicas(
    postgresql_ledgers: PostgresqlLedgers, tmp_path: Path
) -> AsyncIterator[Replicas]:
    url = postgresql_ledgers.empty()
    company = Company()
    async with (
        archive_server(tmp_path, company, database=url) as first,
        archive_server(tmp_path, company, database=url) as second,
    ):
        yield Replicas(company, (first, second))
        await settled(first)
    postgresql_ledgers.drop(url)


@asynccontextmanager
async def clients(replicas: Replicas, devices: list[str]) -> AsyncIterator[list[Repository]]:
    """Each device at each replica."""
    opened = [each.client(device) for device in devices for each in replicas.both]
    try:
        yield [Repository(each) for each in opened]
    finally:
        for each in opened:
            await each.close()


def stored(answer: Answer) -> bool:
    """Whether a blob was taken; nothing but the quota may be the reason if not."""
    assert answer.status in (200, 507), answer
    assert answer.status == 200 or answer.headers["X-Offsite-Reason"] == "DISK_QUOTA_EXCEEDED"
    return answer.status == 200


async def test_at_the_edge_all_that_fits_is_taken_and_not_a_byte_more(replicas: Replicas) -> None:
    chance = random.Random(5)
    quota = 400_000
    replicas.company.rules(quota_bytes=quota)
    devices = [replicas.company.device() for _ in range(8)]
    sizes = [chance.randrange(1, 20_000) for _ in range(3 * WRITERS)]
    bodies = [content(number, size) for number, size in enumerate(sizes)]
    work = iter(bodies)

    async def write(repo: Repository) -> tuple[int, list[int]]:
        taken, refused = 0, []
        for body in work:
            if stored(await repo.post("data", body)):
                taken += len(body)
            else:
                refused.append(len(body))
        return taken, refused

    async with clients(replicas, devices) as repos, replicas.watched(quota):
        writers = [write(repo) for _ in range(WRITERS // len(repos)) for repo in repos]
        found = await asyncio.gather(*writers)
    taken = sum(each for each, _ in found)
    refused = [size for _, sizes in found for size in sizes]
    assert taken <= quota
    assert refused
    assert min(refused) > quota - taken
    account = await replicas.account()
    assert (account.stored_bytes, account.reserved_bytes) == (taken, 0)


async def test_the_same_blob_from_all_writers_is_counted_once(replicas: Replicas) -> None:
    replicas.company.rules(quota_bytes=WRITERS * 1000)
    device = replicas.company.device()
    async with clients(replicas, [device]) as repos:
        posts = [repo.post("data", content(1, 1000)) for _ in range(32) for repo in repos]
        assert all(stored(each) for each in await asyncio.gather(*posts))
        assert await repos[0].list("data") == {id_of(content(1, 1000)): 1000}
    assert (await replicas.account()).stored_bytes == 1000


async def test_uploads_and_deletes_in_turns_never_exceed_anything(replicas: Replicas) -> None:
    quota = 10_000
    replicas.company.rules(quota_bytes=quota)
    devices = [replicas.company.device() for _ in range(4)]
    numbers = itertools.count()

    async def cycle(repo: Repository) -> None:
        for _ in range(6):
            body = content(next(numbers), 900)
            if stored(await repo.post("data", body)):
                gone = await repo.delete(f"data/{id_of(body)}")
                assert gone.status in (200, 507)

    async with clients(replicas, devices) as repos, replicas.watched(quota):
        await asyncio.gather(*(cycle(repo) for repo in repos for _ in range(2)))
    account = await replicas.account()
    assert account.kept_bytes == quota // 900 * 900  # as full as it may be
    assert account.stored_bytes == quota // 900 * 900


async def test_a_limit_of_some_devices_is_theirs_to_the_byte(replicas: Replicas) -> None:
    inside = replicas.company.limited = [replicas.company.device() for _ in range(3)]
    outside = replicas.company.device()
    chosen = select(archives.c.device_guid).where(archives.c.device_guid.in_(inside))
    replicas.company.limits = (Limit("User ada@acme.test", 10_000, chosen),)
    numbers = itertools.count()
    async with clients(replicas, [*inside, outside]) as repos:
        posts = [repo.post("data", content(next(numbers), 700)) for repo in repos * 8]
        answers = await asyncio.gather(*posts)
        taken = dict.fromkeys(repos, 0)
        for repo, answer in zip(repos * 8, answers, strict=True):
            taken[repo] += stored(answer)
            if answer.status == 507:
                assert answer.reason.startswith("User ada@acme.test disk quota exceeded")
    assert sum(list(taken.values())[:6]) == 10_000 // 700
    assert list(taken.values())[6:] == [8, 8]


# --- index alone, without the bytes


@pytest.fixture
def ledgers_of_two(ledgers: Ledgers) -> Iterator[list[Database]]:
    """A ledger as two replicas have it; SQLite has one."""
    url = ledgers.migrated(databases.ARCHIVE)
    found = [Database(url) for _ in range(1 if url.startswith("sqlite") else 2)]
    yield found
    for each in found:
        each.dispose()
    ledgers.drop(url)


async def test_index_alone_stops_at_quota_and_slack(ledgers_of_two: list[Database]) -> None:
    quota, size = 100 * MIB, 16 * MIB
    company = Company()
    company.rules(quota_bytes=quota)
    device = company.device()

    def write(tx: Transaction) -> bool:
        upload = Upload(ArchiveId(company.account_id, device), INDEX, new_name(), size)
        outcome = uploads.reserve(tx, company, upload, 1, now())
        assert not isinstance(outcome, Blob)
        return uploads.commit(tx, company, upload, outcome, 1, now())

    async def try_write(database: Database) -> bool:
        try:
            return await database.run(write)
        except LimitReached:
            return False

    tries = [try_write(each) for each in ledgers_of_two for _ in range(WRITERS)]
    taken = sum(await asyncio.gather(*tries))
    assert taken == (quota + SLACK) // size
    account = await ledgers_of_two[0].read(store.get_account, company.account_id)
    assert account.used_bytes == taken * size


# --- uploads that something happens to in the middle


@dataclass
class Halfway:
    """An upload whose second half is sent when it is asked to go on."""

    server: ArchiveServer
    body: bytes
    going_on: asyncio.Event
    answer: asyncio.Task[Answer]

    async def go_on(self) -> Answer:
        self.going_on.set()
        return await self.answer


@pytest.fixture
async def halfway(tmp_path: Path) -> AsyncIterator[Halfway]:
    body, going_on = content(1, 2 * MIB), asyncio.Event()

    async def halves() -> AsyncIterator[bytes]:
        yield body[:MIB]
        await going_on.wait()
        yield body[MIB:]

    async with archive_server(tmp_path) as server, repository(server) as repo:
        headers = {"Content-Length": str(len(body))}
        ask = repo.ask("POST", f"data/{id_of(body)}", data=halves(), headers=headers)
        answer = asyncio.ensure_future(ask)
        await eventually(lambda: promised(server))
        yield Halfway(server, body, going_on, answer)
        found = await settled(server)
        assert found.files == {}
        assert found.used_bytes == 0
        if server.company.generations[server.device_guid] == 1:
            await repo.save("data", body)


async def promised(server: ArchiveServer) -> list[str]:
    return (await look(server.server.ground.database, server.archive.store)).spool


async def expire(server: ArchiveServer) -> None:
    """The time of every promise is over."""
    begin = now().replace(year=2000)
    await server.server.ground.database.run(
        lambda tx: tx.execute(update(reservations).values(expire_time=begin))
    )
    await server.archive._upkeep.step()


async def test_an_upload_that_outlives_its_promise_is_refused(halfway: Halfway) -> None:
    await expire(halfway.server)
    assert await promised(halfway.server) == []
    assert (await halfway.go_on()).status == 503


@pytest.mark.parametrize("generation", [None, 2])
async def test_an_upload_whose_seat_ends_is_refused(
    halfway: Halfway, generation: int | None
) -> None:
    halfway.server.company.generations[halfway.server.device_guid] = generation
    answer = await halfway.go_on()
    assert (answer.status, answer.reason) == (401, "The seat of this credential has ended")


async def test_an_upload_whose_account_is_suspended_is_refused(halfway: Halfway) -> None:
    halfway.server.company.read_only_ = "suspended"
    assert (await halfway.go_on()).status == 403
    halfway.server.company.read_only_ = ""


async def test_a_quota_lowered_meanwhile_keeps_its_promise(tmp_path: Path) -> None:
    """What was promised fits, though nothing new does."""
    async with archive_server(tmp_path) as server, repository(server) as repo:
        server.company.rules(quota_bytes=1000)
        await repo.save("data", content(1, 1000))
        server.company.rules(quota_bytes=500)
        assert (await repo.post("data", content(2))).status == 507
        assert (await repo.post("data", content(1, 1000))).status == 200
        await settled(server)


async def test_a_blob_sent_twice_at_once_is_stored_once(tmp_path: Path) -> None:
    async with archive_server(tmp_path) as server, repository(server) as repo:
        posts = [repo.post("data", content(1, MIB)) for _ in range(8)]
        assert {each.status for each in await asyncio.gather(*posts)} == {200}
        found = await settled(server)
        assert (len(found.files), found.used_bytes) == (1, MIB)
        assert DATA in next(iter(found.files))
