"""What archives hold, as both programs show it."""

from collections.abc import Iterable
from typing import Protocol

from offsite.common.v1.disk_quota_pb2 import DiskQuota
from offsite.common.v1.usage_service_pb2 import ArchiveUsage, UsageWarning

from archive_gateway.cli.usage import of_quota
from service_kit.cli import output
from service_kit.cli.durations import format_duration
from service_kit.sizes import format_size

Facts = list[tuple[str, object]]


class Keeping(Protocol):
    """An organization of either program, with its rules of keeping."""

    @property
    def delete_delay_seconds(self) -> int:
        """How long what was deleted is kept."""

    @property
    def retention_seconds(self) -> int:
        """How long an archive is kept after its seat ended."""

    @property
    def append_only(self) -> bool:
        """Whether deleting is refused."""


def used(usage: ArchiveUsage, quota: DiskQuota) -> Facts:
    """Figures of an archive."""
    return [
        ("stored", of_quota(usage, quota)),
        ("deleted, kept", format_size(usage.kept_bytes) if usage.kept_bytes else ""),
        ("last backup", last_backup(usage)),
    ]


def kept(rules: Keeping) -> Facts:
    """For how long an organization's archives are kept."""
    return [
        ("deleted is kept", format_duration(rules.delete_delay_seconds)),
        ("kept after a seat", format_duration(rules.retention_seconds)),
        ("append-only", "yes" if rules.append_only else "no"),
    ]


def warned(warnings: Iterable[UsageWarning]) -> Facts:
    """What is nearly or wholly used up, a line each."""
    return [("warning", each.message) for each in warnings]


def last_backup(usage: ArchiveUsage) -> str:
    """When a snapshot was last saved."""
    return output.moment(usage, "last_backup_time") or "never"
