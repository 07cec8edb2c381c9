"""A storage as people read it."""

from collections.abc import Iterable

from offsite.customer.v1 import storage_service_pb2 as pb

from archive_gateway.cli import usage_views
from archive_gateway.cli.usage import of_quota
from service_kit.cli import output
from service_kit.sizes import format_size


def listed(storages: Iterable[pb.Storage]) -> None:
    """A table."""
    columns = "name,type,state,devices,waiting,seats there,stored,kept,last backup,last contact"
    output.table(columns.split(","), map(_row, storages))


def shown(one: pb.Storage) -> None:
    """All that is known of one."""
    granted_there = granted(one) if one.type == pb.STORAGE_TYPE_ATTACHED_SERVER else []
    output.facts(
        [
            ("name", one.name),
            ("id", one.id),
            ("type", output.word(pb.StorageType, one.type)),
            ("hostname", one.hostname),
            ("GUID", one.provider_guid),
            ("state", output.word(pb.StorageState, one.state)),
            ("why", one.reason),
            ("what to do", one.advice),
            ("devices holding", one.devices_holding),
            ("devices waiting", one.devices_waiting or ""),
            ("unclaimed seats", one.unclaimed_seats or ""),
            ("last contact", output.moment(one, "last_contact_time")),
            ("ledgers equal at", output.moment(one, "reconcile_time")),
            *granted_there,
            *_used(one),
            *usage_views.warned(one.warnings),
        ]
    )


def granted(one: pb.Storage) -> list[tuple[str, object]]:
    """What the provider grants, as names and values."""
    quota = one.disk_quota
    limited = quota.WhichOneof("limit") == "bytes"
    return [
        ("organization there", one.provider_organization_name),
        ("seats there", _seats(one)),
        ("disk quota", format_size(quota.bytes) if limited else "unlimited"),
        ("web restore, user", _limit(one.web_restore_user_limit_bytes)),
        ("web restore, admin", _limit(one.web_restore_admin_limit_bytes)),
        ("provider's version", one.peer_version),
        ("provider's addresses", ", ".join(one.peer_addresses)),
    ]


def differences(rows: Iterable[pb.SeatDifference]) -> None:
    """Where the two ledgers differ."""
    columns = ("device", "GUID", "here", "at the provider")
    output.table(columns, map(_difference, rows))


def _row(one: pb.Storage) -> tuple[object, ...]:
    attached = one.type == pb.STORAGE_TYPE_ATTACHED_SERVER
    return (
        one.name,
        output.word(pb.StorageType, one.type),
        output.word(pb.StorageState, one.state),
        one.devices_holding,
        one.devices_waiting,
        _seats(one) if attached else "",
        *(_usage_cells(one) if one.HasField("archive_usage") else ("", "", "")),
        output.moment(one, "last_contact_time"),
    )


def _usage_cells(one: pb.Storage) -> tuple[str, str, str]:
    held = one.archive_usage
    stored, kept = of_quota(held, one.disk_quota), format_size(held.kept_bytes)
    return stored, kept, usage_views.last_backup(held)


def _used(one: pb.Storage) -> usage_views.Facts:
    """What the archive there holds, if the provider has said it yet."""
    known = one.HasField("archive_usage")
    return usage_views.used(one.archive_usage, one.disk_quota) if known else []


def _difference(row: pb.SeatDifference) -> tuple[str, ...]:
    here = _side(row.held, row.generation)
    return (
        row.device_name,
        row.device_guid,
        here,
        _side(row.held_at_provider, row.provider_generation),
    )


def _side(held: bool, generation: int) -> str:
    if not generation:
        return "unknown"
    return f"{'held' if held else 'not held'}, change {generation}"


def _seats(one: pb.Storage) -> str:
    return f"{one.provider_seats_in_use} of {one.maximum_seats} in use"


def _limit(count: int) -> str:
    return f"{format_size(count) if count else 'disabled'} (not enforced yet)"
