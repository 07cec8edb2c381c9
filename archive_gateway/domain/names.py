"""How archives and their blobs are named, in URLs and where they rest."""

import re
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Self

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_HASH = re.compile(r"[0-9a-f]{64}")
_NONCE = re.compile(r"[0-9a-f]{24}")


class BlobType(StrEnum):
    """The types of restic's repository, and the escrow of its password."""

    DATA = "data"
    KEYS = "keys"
    LOCKS = "locks"
    SNAPSHOTS = "snapshots"
    INDEX = "index"
    CONFIG = "config"
    ESCROW = "escrow"


CONFIG = "config"  # the one blob of its type, and the only one that is no hash of its content


@dataclass(frozen=True, slots=True)
class ArchiveId:
    """One device's archive at one account: an organization, of which nothing else is known here."""

    account_id: str
    device_guid: str

    @classmethod
    def parse(cls, account_id: str, device_guid: str) -> Self | None:
        """The archive of a URL's two parts, or None: they must be UUIDs, in lower case."""
        if _UUID.fullmatch(account_id) and _UUID.fullmatch(device_guid):
            return cls(account_id, device_guid)
        return None


def is_uuid(text: str) -> bool:
    """Whether a text is a UUID in lower case."""
    return _UUID.fullmatch(text) is not None


def is_blob_name(type: BlobType, name: str) -> bool:
    """Whether a blob of this type may have this name."""
    return name == CONFIG if type is BlobType.CONFIG else _HASH.fullmatch(name) is not None


def new_nonce() -> str:
    """24 hexadecimal digits that are never given twice, in the order of time.

    In order, so that rows and files of the same time lie side by side.
    """
    return f"{time.time_ns():016x}{secrets.token_hex(4)}"


def time_of(nonce: str) -> datetime:
    """When a nonce was made."""
    seconds, nanoseconds = divmod(int(nonce[:16], 16), 10**9)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=nanoseconds // 1000)


@dataclass(frozen=True, slots=True)
class Location:
    """Where one blob rests: `account/device/type/ab/name.nonce`, written once and never again."""

    archive: ArchiveId
    type: BlobType
    name: str
    nonce: str

    def __str__(self) -> str:
        """The path, relative to the blob store."""
        account, device = self.archive.account_id, self.archive.device_guid
        return f"{account}/{device}/{self.type}/{self.name[:2]}/{self.name}.{self.nonce}"

    @classmethod
    def parse(cls, path: str) -> Self | None:
        """The location of a path, or None: it is no blob's."""
        parts = path.split("/")
        if len(parts) != 5 or parts[2] not in set(BlobType):
            return None
        archive, type = ArchiveId.parse(parts[0], parts[1]), BlobType(parts[2])
        name, _, nonce = parts[4].partition(".")
        if archive is None or not is_blob_name(type, name) or not _NONCE.fullmatch(nonce):
            return None
        location = cls(archive, type, name, nonce)
        return location if str(location) == path else None
