"""What is a folder's alone: durability, full disks, and what lies about in it."""

import asyncio
import errno
import os
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from archive_gateway.blob_stores.disk import DiskStore
from archive_gateway.blob_stores.faults import refusal
from service_kit.errors import LimitReached, OffsiteError, Unavailable
from service_kit.reasons import Reason
from tests.support.blob_files import ARCHIVE, MIB, location, put, spooled

DAY = 24 * 3600


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[DiskStore]:
    opened = DiskStore(tmp_path / "archive")
    yield opened
    await opened.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB and 20 files and folders."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m,nr_inodes=20", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a file system takes root's privileges")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


async def test_a_file_that_is_there_is_never_replaced(store: DiskStore) -> None:
    where = await put(store, b"first")
    second = spooled(store, b"second")
    with pytest.raises(Unavailable, match="File exists"):
        await store.put(second, where)
    assert await store.read(where, 0, 10) == b"first"
    assert second.exists()


async def test_of_two_puts_to_one_location_one_wins(store: DiskStore) -> None:
    where, contents = location(), [bytes([n]) * 10 for n in range(8)]
    outcomes = await asyncio.gather(
        *(store.put(spooled(store, content), where) for content in contents),
        return_exceptions=True,
    )
    assert outcomes.count(None) == 1
    assert await store.read(where, 0, 10) == contents[outcomes.index(None)]


async def test_a_put_that_a_crash_cut_off_can_be_repeated(store: DiskStore, tmp_path: Path) -> None:
    file, where = spooled(store, b"content"), location()
    path = tmp_path / "archive" / where
    path.parent.mkdir(parents=True)
    path.hardlink_to(file)  # as far as the first attempt got
    await store.put(file, where)
    assert not file.exists()
    assert await store.read(where, 0, 7) == b"content"


async def test_file_and_new_folders_are_on_the_medium_before_a_put_returns(
    store: DiskStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    fsync, link = os.fsync, os.link

    def note_fsync(descriptor: int) -> None:
        done.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        fsync(descriptor)

    def note_link(source: Path, target: Path) -> None:
        done.append("link")
        link(source, target)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(os, "link", note_link)
    file, where = spooled(store, b"content"), "account/device/data/ab/blob"
    await store.put(file, where)
    root = tmp_path / "archive"
    parents = [root, root / "account", root / "account/device", root / "account/device/data"]
    folder = root / "account/device/data/ab"
    assert done == [str(file), *map(str, parents), "link", str(folder)]

    done.clear()
    second = spooled(store, b"content")
    await store.put(second, f"{where}2")
    assert done == [str(second), "link", str(folder)]
    done.clear()
    await store.remove(where)
    assert done == [str(folder)]


async def test_folders_that_vanished_are_made_again(store: DiskStore, tmp_path: Path) -> None:
    await store.remove(await put(store, b"first"))
    shutil.rmtree(tmp_path / "archive" / ARCHIVE.partition("/")[0])
    where = await put(store, b"second")
    assert await store.read(where, 0, 6) == b"second"


async def test_only_the_server_may_look_into_an_archive(store: DiskStore, tmp_path: Path) -> None:
    file = spooled(store, b"content")
    file.chmod(0o644)
    where = location()
    await store.put(file, where)
    path = tmp_path / "archive" / where
    assert path.stat().st_mode & 0o777 == 0o600
    for folder in (path.parent, tmp_path / "archive", store.spool):
        assert folder.stat().st_mode & 0o777 == 0o700


async def test_what_was_opened_is_read_to_its_end(store: DiskStore) -> None:
    content = os.urandom(5 * MIB)
    where = await put(store, content)
    stream = store.stream(where, 0, len(content))
    read = await anext(stream)
    await store.remove(where)
    async for chunk in stream:
        read += chunk
    assert read == content


async def test_a_walk_of_many_leaves_out_what_is_not_the_archives(
    store: DiskStore, tmp_path: Path
) -> None:
    root = tmp_path / "archive"
    folder = (root / location()).parent
    folder.mkdir(parents=True)
    for n in range(2500):
        (folder / f"blob.{n}").touch()
    (root / "lost+found").mkdir()
    (root / "lost+found" / "#17").touch()
    (folder / ".nfs0001").touch()
    (folder / "link").symlink_to("/etc/passwd")
    (folder / "folder-link").symlink_to("/etc")
    found = [each async for each in store.walk()]
    assert len(found) == 2500
    assert {str((root / each.location).parent) for each in found} == {str(folder)}


async def test_a_walk_survives_files_that_are_removed_meanwhile(
    store: DiskStore, tmp_path: Path
) -> None:
    places = [await put(store, b"content") for _ in range(20)]
    walk = store.walk()
    await anext(walk)
    for where in places:
        await store.remove(where)
    assert len([each async for each in walk]) <= 19


async def test_the_spool_is_rid_of_what_a_crash_left_but_not_of_what_arrives(
    tmp_path: Path,
) -> None:
    spool = tmp_path / "archive" / ".spool"
    spool.mkdir(parents=True)
    (spool / "abandoned").touch()
    os.utime(spool / "abandoned", (time.time() - DAY - 60,) * 2)
    (spool / "arriving").touch()
    os.utime(spool / "arriving", (time.time() - DAY + 60,) * 2)
    store = DiskStore(tmp_path / "archive")
    assert [each.name for each in spool.iterdir()] == ["arriving"]
    await store.close()


async def test_a_full_disk_is_told_as_such_and_what_is_there_stays_readable(
    small_disk: Path,
) -> None:
    store = DiskStore(small_disk)
    where = await put(store, b"content")
    file = store.spool / "large"
    with pytest.raises(OSError, match="No space left") as full:
        file.write_bytes(bytes(2 * MIB))
    assert refusal(full.value).reason is Reason.STORAGE_FULL
    space = await store.space()
    assert space.free_bytes < MIB // 100
    assert await store.read(where, 0, 7) == b"content"
    with pytest.raises(LimitReached) as refused:
        await store.claim("9c0c1f0e-0000-4000-8000-000000000000")
    assert refused.value.message == "Provider storage full"
    file.unlink()
    await store.remove(where)
    assert await store.size(where) is None
    await store.close()


async def test_a_put_without_room_for_its_folders_is_refused_and_can_be_repeated(
    small_disk: Path,
) -> None:
    store = DiskStore(small_disk)
    file, fillers = spooled(store, b"content"), [store.spool / str(n) for n in range(20)]
    with pytest.raises(OSError, match="No space left"):
        list(map(Path.touch, fillers))
    where = location()
    with pytest.raises(LimitReached) as refused:
        await store.put(file, where)
    assert refused.value.reason is Reason.STORAGE_FULL
    assert await store.size(where) is None
    for filler in fillers:
        filler.unlink(missing_ok=True)
    await store.put(file, where)
    assert await store.read(where, 0, 7) == b"content"
    await store.close()


async def test_a_failing_disk_is_told_without_its_paths(store: DiskStore, tmp_path: Path) -> None:
    (tmp_path / "archive" / "account").write_text("where a folder should be")
    where = "account/device/data/ab/blob"
    for failing in (store.put(spooled(store, b"content"), where), store.read(where, 0, 1)):
        with pytest.raises(Unavailable) as refused:
            await failing
        assert refused.value.reason is Reason.ARCHIVE_UNAVAILABLE
        told = refused.value.message + refused.value.advice
        assert str(tmp_path) not in told
        assert "account" not in told


async def test_on_a_disk_that_is_not_mounted_nothing_counts_as_missing(
    store: DiskStore, tmp_path: Path
) -> None:
    await store.claim("9c0c1f0e-0000-4000-8000-000000000000")
    where, root, mounted = await put(store, b"content"), tmp_path / "archive", tmp_path / "disk"
    root.rename(mounted)
    root.mkdir()  # what is left when a disk is unmounted
    for asked in (
        store.size(where),
        store.read(where, 0, 1),
        anext(store.stream(where, 0, 1)),
        store.remove(where),
        anext(store.walk()),
    ):
        with pytest.raises(Unavailable, match="No such device"):
            await asked
    assert await store.owner() is None
    root.rmdir()
    mounted.rename(root)
    assert await store.read(where, 0, 7) == b"content"


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable, match="Not a directory"):
        DiskStore(tmp_path / "file" / "archive")


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, LimitReached),
        (errno.EDQUOT, LimitReached),
        (errno.EIO, Unavailable),
        (errno.EROFS, Unavailable),
    ],
)
def test_no_room_and_no_disk_are_different_refusals(number: int, kind: type[OffsiteError]) -> None:
    assert type(refusal(OSError(number, "said"))) is kind
