"""The gauges of an archive, read at each scrape."""

from collections.abc import Callable, Mapping
from functools import partial

from archive_gateway.blob_stores.room import Room
from archive_gateway.domain.warnings import DISK_QUOTA, SEATS
from archive_gateway.operations import usage
from archive_gateway.operations.usage import AccountUsage
from archive_gateway.tenancy import Tenancy
from service_kit.database.engine import Transaction
from service_kit.database.paging import PageRequest
from service_kit.server.first_start import Ground

_GAUGES: tuple[tuple[str, str, Callable[[AccountUsage], float | None]], ...] = (
    (
        "stored_bytes",
        "Bytes stored, which count against the quota.",
        lambda x: x.archive.stored_bytes,
    ),
    ("kept_bytes", "Bytes deleted and still kept.", lambda x: x.archive.kept_bytes),
    ("uploaded_bytes", "Bytes taken since the beginning.", lambda x: x.archive.uploaded_bytes),
    ("downloaded_bytes", "Bytes given since the beginning.", lambda x: x.archive.downloaded_bytes),
    (
        "quota_bytes",
        "Disk quota; not there where it is without limit.",
        lambda x: x.policy.quota_bytes,
    ),
    (
        "quota_warning_percent",
        "The threshold of the quota that was passed; 0 where none was.",
        lambda x: _warned(x, DISK_QUOTA),
    ),
    (
        "seats_warning_percent",
        "The threshold of the seats that was passed; 0 where none was.",
        lambda x: _warned(x, SEATS),
    ),
    ("last_backup_timestamp_seconds", "When a snapshot was last saved.", lambda x: _last(x)),
)


def measure(ground: Ground, tenancy: Tenancy, room: Room, stray_files: Callable[[], float]) -> None:
    """Register an archive's gauges."""
    for name, help, value in _GAUGES:
        ground.metrics.sampled_of_organizations(
            f"offsite_organization_{name}",
            f"Of an organization: {help[0].lower()}{help[1:]}",
            partial(ground.database.read, _figures, tenancy, value),
        )

    async def left() -> float:
        found = await room.left()
        return float("inf") if found is None else float(found)

    async def strays() -> float:
        return stray_files()

    ground.metrics.sampled("offsite_archive_free_bytes", "Room for new data.", left)
    ground.metrics.sampled(
        "offsite_archive_stray_files", "Files that the ledger does not know.", strays
    )


def _figures(
    tx: Transaction, tenancy: Tenancy, value: Callable[[AccountUsage], float | None]
) -> Mapping[tuple[str, ...], float]:
    figures = {(each.account_id,): value(each) for each in _all(tx, tenancy)}
    return {key: each for key, each in figures.items() if each is not None}


def _all(tx: Transaction, tenancy: Tenancy) -> list[AccountUsage]:
    found: list[AccountUsage] = []
    token = ""
    while True:
        page = usage.list_page(tx, tenancy, PageRequest(1000, token))
        found += page.items
        token = page.next_page_token
        if not token:
            return found


def _warned(each: AccountUsage, resource: str) -> float:
    return max((found.percent for found in each.warnings if found.resource == resource), default=0)


def _last(each: AccountUsage) -> float | None:
    last = each.archive.last_backup_time
    return last.timestamp() if last else None
