"""`offsite-device snapshots` and `status`."""

from typing import Any

from device_agent.cli.program import options, state
from device_agent.cli.restoring import From
from device_agent.cli.telling import together
from service_kit.cli import output
from service_kit.cli.program import DONE, UNREACHABLE
from service_kit.errors import OffsiteError, Unavailable
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


def snapshots(*, from_: From = None) -> int:
    """List the snapshots at each destination, oldest first. Ends with 3 if one can't be reached.

    Parameters
    ----------
    from_
        Only at this destination.
    """
    from device_agent import listing, restic
    from device_agent.destinations import Device

    found = listing.snapshots(Device(state()), restic.find(options().restic), from_)
    if found.refusals and not found.snapshots:
        raise _first(found.refusals)

    def people() -> None:
        rows = [(each["destination"], *row(each)) for each in found.snapshots]
        if rows:
            output.table(("destination", *COLUMNS), rows)
        else:
            output.line("There are no snapshots.")
        for error in found.refusals:
            output.warn(together(error.message, error.advice))

    output.show_document({"snapshots": found.snapshots}, people)
    return UNREACHABLE if found.is_unreachable else DONE


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
                output.warn(together(each["message"], each["advice"]))

    output.show_document(found.document(), people)
    return UNREACHABLE if found.is_unreachable else DONE


def _first(refusals: list[OffsiteError]) -> OffsiteError:
    """The one to end with: that of a destination not reached, if any; the others are warned of."""
    first = next((each for each in refusals if isinstance(each, Unavailable)), refusals[0])
    for each in refusals:
        if each is not first:
            output.warn(together(each.message, each.advice))
    return first


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
        ", ".join(filter(None, (each["archive"], "append-only" if each["append_only"] else ""))),
        each["last_backup_time"][:16].replace("T", " "),
        _size(each["stored_bytes"]),
        _size(each["quota_left_bytes"]) or ("no limit" if each["archive"] else ""),
        each["last_run"],
    )


def _size(count: int | None) -> str:
    return "" if count is None else format_size(count)
