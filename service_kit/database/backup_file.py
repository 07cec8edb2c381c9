"""One file that holds a server: a compressed tar of its identity, its ledger and a manifest."""

import contextlib
import gzip
import hashlib
import json
import os
import re
import secrets
import shutil
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from service_kit.errors import AlreadyExists, Conflict
from service_kit.reasons import Reason

FORMAT = 1
MANIFEST = "manifest.json"
IDENTITY = "identity.pem"
_PART = 1 << 20  # bytes
_NAME = re.compile(r"manifest\.json|identity\.pem|[a-z0-9_]+\.jsonl")


@dataclass(frozen=True)
class Manifest:
    """What a backup holds: whose it is, of which time and schema, and how many rows a table."""

    kind: str
    guid: str
    revision: str
    create_time: str
    version: str
    tables: dict[str, int]
    digests: dict[str, str]
    format: int = FORMAT


def pack(folder: Path, manifest: Manifest, file: Path) -> None:
    """Write a folder's files and the manifest as a backup (0600), durably.

    Raises:
        AlreadyExists: there is a file of this name.
    """
    (folder / MANIFEST).write_text(json.dumps(asdict(manifest), indent=1))
    with _new_file(file) as output, tarfile.open(fileobj=output, mode="w:gz") as tar:
        for name in (MANIFEST, *manifest.digests):
            tar.add(folder / name, name)


def unpack(file: Path, folder: Path) -> Manifest:
    """Extract a backup into a folder, with every check that needs no database.

    Raises:
        Conflict: BACKUP_UNREADABLE, it is not a whole, unchanged backup.
    """
    try:
        names = _extract_all(file, folder)
        manifest = Manifest(**json.loads((folder / MANIFEST).read_text()))
        _check(manifest, names, folder)
    except (OSError, EOFError, zlib.error, tarfile.TarError, ValueError, TypeError) as error:
        raise unreadable(file, error) from error
    return manifest


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of each file."""
    return {path.name: _digest(path) for path in sorted(folder.iterdir())}


def unreadable(file: Path, why: object) -> Conflict:
    """The refusal of a backup."""
    return Conflict(
        Reason.BACKUP_UNREADABLE,
        f"{file} is not a good backup of this server: {why}.",
        "Nothing was changed. Use another backup.",
    )


def _extract_all(file: Path, folder: Path) -> list[str]:
    with gzip.open(file) as content:
        with tarfile.open(fileobj=content, mode="r:") as tar:
            names = [_extract(tar, member, folder) for member in tar]
        while content.read(_PART):  # to the end, where gzip has its checksum
            pass
    return names


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> str:
    content = tar.extractfile(member) if member.isfile() else None
    if content is None or not _NAME.fullmatch(member.name):
        raise ValueError(f"it holds {member.name}")
    with (folder / member.name).open("xb") as output:
        shutil.copyfileobj(content, output)
    return member.name


def _check(manifest: Manifest, names: list[str], folder: Path) -> None:
    if manifest.format != FORMAT:
        raise ValueError(f"its format is {manifest.format}")
    expected = {IDENTITY, *(f"{table}.jsonl" for table in manifest.tables)}
    if set(names) != {MANIFEST, *expected} or set(manifest.digests) != expected:
        raise ValueError("its files are not those of its manifest")
    for name, digest in manifest.digests.items():
        if _digest(folder / name) != digest:
            raise ValueError(f"{name} was changed")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def _new_file(file: Path) -> Iterator[BinaryIO]:
    """A private file that appears under its name when it is whole and durable, or not at all."""
    temporary = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as output:
            yield output
            output.flush()
            os.fsync(descriptor)
        os.link(temporary, file)  # unlike a rename, never replaces
    except FileExistsError:
        raise AlreadyExists(
            Reason.ALREADY_EXISTS, f"{file} exists.", "Choose another name for the backup."
        ) from None
    finally:
        temporary.unlink()
    sync_folder(file.parent)


def sync_folder(folder: Path) -> None:
    """Make names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
