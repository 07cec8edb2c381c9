"""What every blob store keeps to: a folder's, and an S3 bucket's."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from archive_gateway.blob_stores import BlobStore, StoredFile
from archive_gateway.blob_stores.disk import DiskStore
from archive_gateway.blob_stores.opening import open_store
from archive_gateway.blob_stores.s3 import S3Store
from service_kit.errors import InvalidArgument
from tests.support.blob_files import (
    ARCHIVE,
    MIB,
    PeakMemory,
    hash_of,
    large_file,
    location,
    put,
    spooled,
)

LARGEST = 140 * MIB
OUTSIDE = (
    "../out",
    "a/../../out",
    "/etc/passwd",
    "a//b",
    "",
    "a/./b",
    ".spool/x",
    ".offsite-archive",
)


@pytest.fixture
async def disk_store(tmp_path: Path) -> AsyncIterator[DiskStore]:
    store = DiskStore(tmp_path / "archive")
    yield store
    await store.close()


@pytest.fixture(params=["disk", "s3"])
def store(request: pytest.FixtureRequest) -> BlobStore:
    found: BlobStore = request.getfixturevalue(f"{request.param}_store")
    return found


@pytest.fixture
def tmp_cwd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


async def test_what_was_put_is_read_whole_or_in_part(store: BlobStore) -> None:
    where = await put(store, b"0123456789")
    assert await store.size(where) == 10
    assert await store.read(where, 0, 10) == b"0123456789"
    assert await store.read(where, 3, 4) == b"3456"
    assert await store.read(where, 8, 100) == b"89"
    assert await store.read(where, 10, 5) == b""
    assert await store.read(where, 99, 5) == b""
    assert await store.read(where, 4, 0) == b""


async def test_a_file_put_leaves_the_spool(store: BlobStore) -> None:
    file = spooled(store, b"content")
    await store.put(file, location())
    assert not file.exists()
    assert list(store.spool.iterdir()) == []


async def test_a_file_of_no_bytes_is_a_file(store: BlobStore) -> None:
    where = await put(store, b"")
    assert await store.size(where) == 0
    assert await store.read(where, 0, 5) == b""
    assert [chunk async for chunk in store.stream(where, 0, 0)] == []
    assert [each async for each in store.walk()] == [StoredFile(where, 0)]


async def test_a_stream_gives_the_range_in_bounded_chunks(store: BlobStore) -> None:
    content = os.urandom(9 * MIB + 17)
    where = await put(store, content)
    chunks = [chunk async for chunk in store.stream(where, 5, len(content))]
    assert b"".join(chunks) == content[5:]
    assert max(map(len, chunks)) <= 4 * MIB
    assert (
        b"".join([c async for c in store.stream(where, MIB - 1, MIB + 2)])
        == (content[MIB - 1 : 2 * MIB + 1])
    )


async def test_a_stream_can_be_left_early(store: BlobStore) -> None:
    where = await put(store, os.urandom(9 * MIB))
    stream = store.stream(where, 0, 9 * MIB)
    async with aclosing(stream):  # type: ignore[type-var]
        assert await anext(stream)
    await store.remove(where)


async def test_missing_files_are_told_apart_from_failures(store: BlobStore) -> None:
    where = location()
    assert await store.size(where) is None
    for length in (0, 5):
        with pytest.raises(FileNotFoundError):
            await store.read(where, 0, length)
        with pytest.raises(FileNotFoundError):
            await anext(store.stream(where, 0, length))


async def test_removed_is_gone_and_removing_again_is_fine(store: BlobStore) -> None:
    kept, gone = await put(store, b"kept"), await put(store, b"gone")
    await store.remove(gone)
    await store.remove(gone)
    await store.remove(location())
    assert await store.size(gone) is None
    assert await store.read(kept, 0, 4) == b"kept"


async def test_a_walk_finds_every_file_but_spool_and_marker(store: BlobStore) -> None:
    await store.claim("9c0c1f0e-0000-4000-8000-000000000000")
    spooled(store, b"still arriving")
    contents = [os.urandom(n) for n in range(5)]
    put_there = {StoredFile(await put(store, content), len(content)) for content in contents}
    found = [each async for each in store.walk()]
    assert set(found) == put_there
    assert len(found) == 5


async def test_an_empty_store_walks_to_its_end(store: BlobStore) -> None:
    assert [each async for each in store.walk()] == []


async def test_a_store_belongs_to_whom_it_was_claimed_by_last(store: BlobStore) -> None:
    assert await store.owner() is None
    await store.claim("first")
    assert await store.owner() == "first"
    await store.claim("second")
    assert await store.owner() == "second"


async def test_files_are_put_side_by_side(store: BlobStore) -> None:
    contents = {location(): os.urandom(1000 + n) for n in range(40)}
    await asyncio.gather(
        *(store.put(spooled(store, content), where) for where, content in contents.items())
    )
    for where, content in contents.items():
        assert await store.read(where, 0, 2000) == content
    assert len([each async for each in store.walk()]) == 40


async def test_a_put_that_is_cancelled_is_over_when_that_is_told(store: BlobStore) -> None:
    file, where = spooled(store, b"content"), location()
    task = asyncio.create_task(store.put(file, where))
    await asyncio.sleep(0)  # it has begun
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await store.read(where, 0, 7) == b"content"
    assert not file.exists()


@pytest.mark.parametrize("outside", OUTSIDE)
async def test_a_location_outside_the_blobs_is_refused(store: BlobStore, outside: str) -> None:
    file = spooled(store, b"content")
    for refused in (
        store.put(file, outside),
        store.size(outside),
        store.read(outside, 0, 1),
        anext(store.stream(outside, 0, 1)),
        store.remove(outside),
    ):
        with pytest.raises(ValueError, match="must be relative"):
            await refused
    assert file.exists()


async def test_the_largest_blob_goes_in_and_out_in_little_memory(store: BlobStore) -> None:
    file, digest = large_file(store, LARGEST)
    where, memory = location(), PeakMemory()
    await store.put(file, where)
    assert memory.growth() < 72 * MIB
    memory = PeakMemory()
    assert await store.size(where) == LARGEST
    assert await hash_of(store.stream(where, 0, LARGEST)) == digest
    assert memory.growth() < 32 * MIB


async def test_a_folder_has_bounds_and_a_bucket_has_none(
    disk_store: DiskStore, s3_store: S3Store
) -> None:
    space, known = await disk_store.space(), os.statvfs(disk_store.spool)
    assert space.total_bytes == known.f_blocks * known.f_frsize
    assert 0 < space.free_bytes <= space.total_bytes
    bucket: BlobStore = s3_store
    assert await bucket.space() is None


async def test_an_own_prefix_is_a_store_of_its_own(
    s3_store: S3Store, disk_store: DiskStore
) -> None:
    where = f"{ARCHIVE}/config/co/config.000000000000000000000000"
    await s3_store.put(spooled(s3_store, b"s3"), where)
    assert await disk_store.size(where) is None


async def test_the_setting_names_a_folder_or_a_bucket(tmp_cwd: Path) -> None:
    folder, relative = open_store(f"{tmp_cwd}/a/b", tmp_cwd), open_store("c", tmp_cwd)
    assert folder.spool == tmp_cwd / "a" / "b" / ".spool"
    assert relative.spool == tmp_cwd / "c" / ".spool"
    for where in ("s3://bucket", "s3://bucket/", "s3://my.bucket-1/some/pre_fix-1"):
        assert open_store(where, tmp_cwd / "spool").spool == tmp_cwd / "spool"
    await folder.close()
    await relative.close()


@pytest.mark.parametrize(
    "where",
    [
        *("", "gs://bucket/x", "https://bucket", "file:///tmp/x", "a\0b", "s3://", "s3://UPPER"),
        *("s3://bucket/../other", "s3://bucket//x", "s3://key:secret@bucket/x", "s3://b", "s3:/b"),
        *("s3://bucket/x?y", "s3://bucket/.spool", "s3://bucket/a b", "S3://bucket"),
    ],
)
def test_any_other_setting_is_refused_by_its_name(where: str, tmp_cwd: Path) -> None:
    with pytest.raises(InvalidArgument) as refused:
        open_store(where, tmp_cwd / "spool")
    assert [each.field for each in refused.value.violations] == ["archive"]
    assert "secret" not in str(refused.value)
