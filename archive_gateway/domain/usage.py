"""How much archives hold and have carried."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class ArchiveUsage:
    """What one archive, or several together, hold and have carried, in bytes.

    `stored` and `reserved` count against quotas, `kept` was deleted and does not; `uploaded` and
    `downloaded` count from the beginning. `last_backup_time` is of the last snapshot saved.
    """

    stored_bytes: int = 0
    reserved_bytes: int = 0
    kept_bytes: int = 0
    uploaded_bytes: int = 0
    downloaded_bytes: int = 0
    last_backup_time: datetime | None = None


NOTHING = ArchiveUsage()
