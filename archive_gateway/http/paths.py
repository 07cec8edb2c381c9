"""What a URL's path names: an archive, and what in it."""

from dataclasses import dataclass
from enum import Enum, auto

from archive_gateway.domain.names import CONFIG, ArchiveId, BlobType, is_blob_name

PREFIX = "/archives/"
LONGEST = 300  # characters; the longest path that names anything has 162


class Kind(Enum):
    """What in an archive is named."""

    REPOSITORY = auto()
    LIST = auto()
    BLOB = auto()
    USAGE = auto()


@dataclass(frozen=True, slots=True)
class Target:
    """What a request is about; `type` and `name` of lists and blobs."""

    archive: ArchiveId
    kind: Kind
    type: BlobType = BlobType.CONFIG
    name: str = ""


def parse(raw_path: str) -> Target | None:
    """What a path names, as it came over the wire; None: nothing that can be here.

    Nothing in a good path needs an escape, so none is decoded: there is one way to name a blob.
    """
    if not raw_path.startswith(PREFIX) or len(raw_path) > LONGEST:
        return None
    account_id, _, rest = raw_path[len(PREFIX) :].partition("/")
    device_guid, _, rest = rest.partition("/")
    archive = ArchiveId.parse(account_id, device_guid)
    return None if archive is None else _within(archive, rest)


def _within(archive: ArchiveId, rest: str) -> Target | None:
    if not rest:
        return Target(archive, Kind.REPOSITORY)
    if rest == "usage":
        return Target(archive, Kind.USAGE)
    if rest == CONFIG:
        return Target(archive, Kind.BLOB, BlobType.CONFIG, CONFIG)
    type_text, slash, name = rest.partition("/")
    if not slash or type_text == CONFIG or type_text not in _TYPES:
        return None
    type = _TYPES[type_text]
    if not name:
        return Target(archive, Kind.LIST, type)
    return Target(archive, Kind.BLOB, type, name) if is_blob_name(type, name) else None


_TYPES = {str(each): each for each in BlobType}
