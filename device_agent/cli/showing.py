"""`offsite-device snapshots` and `status`."""

from typing import Any

from device_agent.cli.program import options, state
from device_agent.cli.restoring import From
from service_kit.cli import output
from service_kit.cli.program import DONE, UNREACHABLE
from service_kit.sizes import format_size
from service_kit.validation import plain

COLUMNS = ("snapshot", "time", "tags", "paths")
STANDING = (
    "destination",
    "seat",
    "archive",
    "last backup",
    "size",
    "quota left",
    "last run here",
)


def snapshots(*, from_: From = None) -> None:
    """List the snapshots at each destination, oldest first.

    Parameters
    ----------
    from_
        Only at this destination.
    """
    from device_agent import listing, restic
    from device_agent.destinations import Device

    found = listing.snapshots(Device(state()), restic.find(options().restic), from_)

    def people() -> None:
        rows = [(each["destination"], *row(each)) for each in found.snapshots]
        output.table(("destination", *COLUMNS), rows)
        for error in found.refusals:
            output.warn(error.message)

    output.show_document({"snapshots": found.snapshots}, people)
    if found.refusals and not found.snapshots:
        raise found.refusals[0]


def status() -> int:
    """Show how this computer and each destination stand. Ends with 3 if one can't be reached."""
    from device_agent import standing
    from device_agent.destinations import Device

    device = Device(state())
    found = standing.of(device)

    def people() -> None:
        known = device.enrollment
        facts = [
            ("device", known.device_name),
            ("of", known.user_email),
            ("GUID", known.device_id),
            ("recovery key", "yes" if known.recovery_key else "no: ask your administrator"),
        ]
        output.facts(facts)
        output.table(STANDING, [_row(each) for each in found.destinations])
        for each in found.destinations:
            if each["message"]:
                output.warn(f"{each['message']} {each['advice']}".rstrip())

    output.show_document(found.document(), people)
    return UNREACHABLE if found.is_unreachable else DONE


def row(snapshot: dict[str, Any]) -> tuple[str, ...]:
    """A snapshot, in the order of COLUMNS."""
    return (
        snapshot["id"][:8],
        snapshot["time"][:19].replace("T", " "),
        plain(", ".join(snapshot["tags"]), 100),
        plain(", ".join(snapshot["paths"]), 200),
    )


def _row(each: dict[str, Any]) -> tuple[str, ...]:
    return (
        each["destination"],
        each["seat"],
        each["archive"],
        each["last_backup_time"][:16].replace("T", " "),
        _size(each["stored_bytes"]),
        _size(each["quota_left_bytes"]) or ("no limit" if each["archive"] else ""),
        each["last_run"],
    )


def _size(count: int | None) -> str:
    return "" if count is None else format_size(count)
