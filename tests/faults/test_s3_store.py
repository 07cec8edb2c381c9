"""An S3 bucket that fails: nothing is lost, nothing is told twice, and no secret is told."""

import asyncio
import os
import traceback
from collections import deque
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import web

from archive_gateway.blob_stores.bucket import Patience
from archive_gateway.blob_stores.s3 import S3Store
from service_kit.errors import LimitReached, Unavailable
from service_kit.reasons import Reason
from tests.support.blob_files import MIB, hash_of, large_file, location, put, spooled
from tests.support.ports import free_port
from tests.support.s3 import SECRET, S3Endpoint
from tests.support.s3_proxy import Fault, S3Proxy, s3_proxy

IMPATIENT = Patience(request=timedelta(seconds=1), operation=timedelta(seconds=20))
UNDER_ANY_FAULT = [Fault.REFUSE, Fault.LOSE_ANSWER, Fault.CUT, Fault.CUT_BODY, Fault.STALL]
AT_ITS_END = [Fault.REFUSE, Fault.LOSE_ANSWER, Fault.CUT, Fault.STALL, Fault.ONCE]


@pytest.fixture
async def proxy(s3_endpoint: S3Endpoint) -> AsyncIterator[S3Proxy]:
    async with s3_proxy(s3_endpoint) as listening:
        yield listening


@pytest.fixture
def store(proxy: S3Proxy, tmp_path: Path) -> S3Store:
    """A store behind the proxy, at a prefix of the test's own."""
    where = proxy.endpoint.where(tmp_path.name)
    return S3Store(where, tmp_path / "spool", proxy.endpoint.environment, IMPATIENT)


@pytest.mark.parametrize("fault", UNDER_ANY_FAULT)
async def test_a_put_goes_on_after_two_faults(store: S3Store, proxy: S3Proxy, fault: Fault) -> None:
    proxy.faults = deque([fault, fault])
    content, where = os.urandom(100_000), location()
    file = spooled(store, content)
    await store.put(file, where)
    assert not file.exists()
    assert await store.read(where, 0, 200_000) == content
    assert len(proxy.seen) >= 3


@pytest.mark.parametrize("fault", UNDER_ANY_FAULT)
async def test_a_read_goes_on_after_two_faults(
    store: S3Store, proxy: S3Proxy, fault: Fault
) -> None:
    content = os.urandom(100_000)
    where = await put(store, content)
    proxy.faults = deque([fault, fault])
    assert await store.read(where, 0, 200_000) == content
    proxy.faults = deque([fault, fault])
    assert await store.size(where) == 100_000


@pytest.mark.parametrize("fault", AT_ITS_END)
async def test_an_upload_in_parts_goes_on_after_a_fault_at_its_end(
    store: S3Store, proxy: S3Proxy, fault: Fault
) -> None:
    proxy.of = _completes
    proxy.faults = deque([fault])
    file, digest = large_file(store, 32 * MIB)
    where = location()
    await store.put(file, where)
    assert await hash_of(store.stream(where, 0, 40 * MIB)) == digest
    assert f"POST {fault}" in proxy.seen


@pytest.mark.parametrize("fault", [Fault.LOSE_ANSWER, Fault.CUT])
async def test_a_put_whose_answer_is_always_lost_is_unavailable_and_a_repeat_ends_well(
    store: S3Store, proxy: S3Proxy, fault: Fault
) -> None:
    proxy.lasting = fault
    file, where = spooled(store, b"content"), location()
    with pytest.raises(Unavailable) as refused:
        await store.put(file, where)
    assert refused.value.reason is Reason.ARCHIVE_UNAVAILABLE
    assert file.exists()
    assert len(proxy.seen) <= 9
    proxy.lasting = Fault.NONE
    await store.put(file, where)
    assert await store.read(where, 0, 10) == b"content"


async def test_a_bucket_without_room_is_told_as_such(store: S3Store, proxy: S3Proxy) -> None:
    proxy.lasting = Fault.FULL
    with pytest.raises(LimitReached) as refused:
        await store.put(spooled(store, b"content"), location())
    assert refused.value.reason is Reason.STORAGE_FULL


async def test_uploads_that_wait_too_long_for_their_turn_are_unavailable(
    proxy: S3Proxy, tmp_path: Path
) -> None:
    hasty = Patience(request=timedelta(seconds=1), operation=timedelta(seconds=1))
    store = S3Store(proxy.endpoint.where("x"), tmp_path, proxy.endpoint.environment, hasty)
    proxy.lasting = Fault.STALL
    outcomes = await asyncio.gather(
        *(store.put(spooled(store, b"content"), location()) for _ in range(20)),
        return_exceptions=True,
    )
    assert {type(each) for each in outcomes} == {Unavailable}


async def test_a_walk_that_fails_on_the_way_does_not_end_as_if_it_were_complete(
    store: S3Store, proxy: S3Proxy
) -> None:
    for n in range(1001):  # one more than S3 lists in an answer
        await store.put(spooled(store, b""), f"account/device/data/{n:04}/blob")
    proxy.of = _continues_a_listing
    proxy.lasting = Fault.REFUSE
    walk = store.walk()
    for _ in range(1000):
        await anext(walk)
    with pytest.raises(Unavailable):
        await anext(walk)
    proxy.lasting = Fault.NONE
    assert len([each async for each in store.walk()]) == 1001


async def test_a_dead_endpoint_is_unavailable(tmp_path: Path) -> None:
    endpoint = S3Endpoint(f"http://127.0.0.1:{free_port()}")
    store = S3Store(endpoint.where("x"), tmp_path, endpoint.environment, IMPATIENT)
    for asked in (
        store.put(spooled(store, b"content"), location()),
        store.size(location()),
        store.read(location(), 0, 1),
        anext(store.stream(location(), 0, 1)),
        store.remove(location()),
        anext(store.walk()),
        store.owner(),
        store.claim("guid"),
    ):
        with pytest.raises(Unavailable, match="S3 gave no answer"):
            await asked


async def test_a_bucket_that_is_gone_is_not_an_empty_one(
    s3_endpoint: S3Endpoint, tmp_path: Path
) -> None:
    store = S3Store("s3://no-such-bucket", tmp_path, s3_endpoint.environment)
    for asked in (
        store.size(location()),
        store.read(location(), 0, 1),
        store.owner(),
        anext(store.walk()),
    ):
        with pytest.raises(Unavailable, match="the bucket doesn't exist"):
            await asked


async def test_plain_http_is_spoken_only_to_an_http_url(
    s3_endpoint: S3Endpoint, tmp_path: Path
) -> None:
    secure = S3Endpoint(s3_endpoint.url.replace("http:", "https:"))
    store = S3Store(secure.where("x"), tmp_path, secure.environment, IMPATIENT)
    with pytest.raises(Unavailable):
        await store.owner()


async def test_wrong_credentials_are_refused_without_telling_them(
    s3_endpoint: S3Endpoint, tmp_path: Path
) -> None:
    secrets = {"AWS_SECRET_ACCESS_KEY": f"not-{SECRET}", "AWS_SESSION_TOKEN": "session-5f1e"}
    environment = {**s3_endpoint.environment, **secrets}
    store = S3Store(s3_endpoint.where("x"), tmp_path, environment)
    with pytest.raises(Unavailable, match="refuses the server's credentials") as refused:
        await store.claim("guid")
    told = "".join(traceback.format_exception(refused.value))
    for secret in secrets.values():
        assert secret not in told


def _completes(request: web.BaseRequest) -> bool:
    return request.method == "POST" and "uploadId" in request.query


def _continues_a_listing(request: web.BaseRequest) -> bool:
    return "continuation-token" in request.query
