"""The blob store that a server's setting names."""

import re
from pathlib import Path

from archive_gateway.blob_stores import BlobStore
from archive_gateway.blob_stores.disk import DiskStore
from service_kit.errors import FieldViolation, InvalidArgument

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/")
_MUST_BE = "must be a folder, or s3://BUCKET/PREFIX"


def open_store(where: str, spool: Path) -> BlobStore:
    """Open a folder, which is made if need be, or an S3 bucket.

    `spool` is the local folder for uploads to a bucket; a disk has its own.

    Raises:
        InvalidArgument: the setting is neither.
        Unavailable: the folder can't be made or written.
    """
    if where.startswith("s3://"):
        # Loaded only where it is used; commands and servers on a disk start faster without it.
        from archive_gateway.blob_stores.s3 import S3Store

        return S3Store(where, spool)
    if not where or _URL.match(where) or "\0" in where:
        raise InvalidArgument([FieldViolation("archive", _MUST_BE)])
    return DiskStore(Path(where).absolute())
