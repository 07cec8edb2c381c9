"""No device reaches another's archive, and no company another's devices."""

import asyncio
import base64
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.archives import ArchiveServer, archive_server
from tests.support.companies import Companies, seen_by
from tests.support.raw_http import RawClient
from tests.support.repository import TYPES, content, id_of, repository

SECRET = content(1)


@dataclass
class Neighbours:
    """A device, and another that has stored something, seen by itself."""

    mine: ArchiveServer
    theirs: ArchiveServer

    @property
    def my_headers(self) -> dict[str, str]:
        return self.mine.headers_of(self.mine.device_guid)

    @property
    def their_base(self) -> str:
        return f"/archives/{self.theirs.account_id}/{self.theirs.device_guid}/"


@pytest.fixture(params=["another device", "another company", "the same device elsewhere"])
async def neighbours(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Neighbours]:
    companies = Companies()
    async with archive_server(tmp_path, companies) as mine:
        if request.param == "another device":
            theirs = seen_by(mine, companies)
        elif request.param == "another company":
            theirs = seen_by(mine, companies.others[0])
        else:
            companies.others[0].generations[mine.device_guid] = 1
            theirs = seen_by(mine, companies.others[0], mine.device_guid)
        async with repository(theirs) as repo:
            for type in (*TYPES, "config"):
                await repo.save(type, SECRET)
        yield Neighbours(mine, theirs)
        async with repository(theirs) as repo:
            for type in TYPES:
                assert set(await repo.list(type)) == {id_of(SECRET)}
            assert (await repo.get("config")).body == SECRET


async def test_a_credential_opens_one_archive(neighbours: Neighbours) -> None:
    mine, theirs = neighbours.mine, neighbours.theirs
    password = mine.credential
    for user in (mine.device_guid, theirs.device_guid):
        both = base64.b64encode(f"{user}:{password}".encode()).decode()
        async with repository(theirs, password=password) as repo:
            repo.session.headers["Authorization"] = f"Basic {both}"
            name = id_of(SECRET)
            for method in ("GET", "HEAD", "POST", "DELETE"):
                for path in (f"data/{name}", f"locks/{name}", f"escrow/{name}", "config"):
                    answer = await repo.ask(method, path)
                    assert answer.status == 401
                    assert SECRET not in answer.body
            for path in ("data/", "snapshots/", "usage"):
                assert (await repo.get(path)).status == 401
            assert (await repo.ask("POST", "?create=true")).status == 401


async def test_the_same_names_are_other_blobs(neighbours: Neighbours) -> None:
    async with repository(neighbours.mine) as repo:
        for type in TYPES:
            path = f"{type}/{id_of(SECRET)}"
            assert await repo.list(type) == {}
            assert (await repo.head(path)).status == (await repo.get(path)).status == 404
            assert (await repo.delete(path)).status == 200
            await repo.save(type, SECRET)
            assert (await repo.delete(path)).status == 200
        assert (await repo.get("config")).status == 404
        await repo.save("config", content(2))


def tricks(base: str, their_base: str, theirs: ArchiveServer) -> list[str]:
    """Paths that may lead from one's own archive to another's."""
    name, device, account = id_of(SECRET), theirs.device_guid, theirs.account_id
    inside = f"data/{name}"
    up = ["..", "%2e%2e", "%2E%2E", "..%2f", "..%5c", "..;", "%252e%252e", "%c0%ae%c0%ae", ". ."]
    return [
        *(f"{base}{each}/{device}/{inside}" for each in up),
        *(f"{base}{each}/{each}/{account}/{device}/{inside}" for each in up),
        *(f"{base}data/{each}/{each}/{device}/{inside}" for each in up),
        *(f"{base}data/../../../{account}/{device}/{inside}", f"{base}/{their_base}{inside}"),
        *(f"{base}{their_base}{inside}", f"/archives//{account}/{device}/{inside}"),
        *(f"//archives/{account}/{device}/{inside}", f"/./archives/{account}/{device}/{inside}"),
        *(f"/archives/{account}%2f{device}/{inside}", f"/ARCHIVES/{account}/{device}/{inside}"),
        *(f"/archives/{account.upper()}/{device.upper()}/{inside}", f"{base}?/../{device}/"),
        *(f"{base}data/{name}%00", f"{base}data/\0", f"{base}data/%00/../../{device}/{inside}"),
        *(f"{base}data/{'a' * 4000}", f"{base}{'../' * 1000}etc/passwd", f"{base}.spool/{name}"),
        *(f"{base}foo/{name}", f"{base}data/{name[:2]}/{name}", f"{base}config/../keys/{name}"),
        *(f"{base}data/{name}.{'0' * 24}", f"{base}.offsite-archive", f"{base}data/{name}/"),
        *(f"{base}{{{device}}}/{inside}", f"{base}data\\..\\..\\{device}\\{inside}"),
    ]


async def test_no_path_leads_out_of_ones_own_archive(neighbours: Neighbours) -> None:
    mine, theirs = neighbours.mine, neighbours.theirs
    base = f"/archives/{mine.account_id}/{mine.device_guid}/"
    if mine.device_guid == theirs.device_guid:
        base = f"/archives/{mine.account_id}/{mine.device_guid}/"

    def play() -> list[str]:
        through = []
        for path in tricks(base, neighbours.their_base, theirs):
            for method in ("GET", "DELETE", "POST"):
                with RawClient(mine) as client:
                    body = SECRET if method == "POST" else None
                    answer = client.ask(method, path, neighbours.my_headers, body)
                if answer.status < 400 or SECRET in answer.body:
                    through.append(f"{method} {path}: {answer.status}")
        return through

    assert await asyncio.to_thread(play) == []


async def test_a_stranger_learns_nothing_of_what_there_is(neighbours: Neighbours) -> None:
    """A device, a company or a blob that there is, is refused like one that there is not."""
    theirs, name = neighbours.theirs, id_of(SECRET)
    unknown = str(uuid.uuid4())
    headers = {"Authorization": "Basic " + base64.b64encode(b"user:password").decode()}

    def play() -> set[tuple[int, str, bytes]]:
        answers = set()
        for account in (theirs.account_id, unknown):
            for device in (theirs.device_guid, unknown):
                for path in (f"data/{name}", f"data/{'0' * 64}", "config", "usage"):
                    with RawClient(theirs) as client:
                        found = client.ask("GET", f"/archives/{account}/{device}/{path}", headers)
                    answers.add((found.status, found.reason, found.body))
        return answers

    assert len(await asyncio.to_thread(play)) == 1
