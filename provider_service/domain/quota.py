"""How much an archive may hold."""

from dataclasses import dataclass

from service_kit.validation import Checks

DEFAULT_WEB_RESTORE_LIMIT_BYTES = 250_000_000


@dataclass(frozen=True)
class DiskQuota:
    """A limit in bytes; None means without a limit.

    Raises:
        InvalidArgument: it is negative.
    """

    limit_bytes: int | None

    def __post_init__(self) -> None:
        """Bound the limit."""
        checks = Checks("organization.disk_quota.")
        if self.limit_bytes is not None:
            checks.between("bytes", self.limit_bytes, 0)
        checks.done()
