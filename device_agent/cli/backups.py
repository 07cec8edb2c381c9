"""`offsite-device backup`."""

import os
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from device_agent import files
from device_agent.cli.parameters import absolute
from device_agent.cli.program import options, state
from device_agent.cli.progress import bar
from device_agent.cli.telling import together
from service_kit.cli import output
from service_kit.cli.confirmation import count_of
from service_kit.cli.options import printing
from service_kit.cli.parameters import Flag
from service_kit.cli.program import DONE, REFUSED, UNREACHABLE
from service_kit.errors import FieldViolation, InvalidArgument
from service_kit.sizes import format_size

if TYPE_CHECKING:
    from device_agent.backup import Result

Repeated = Annotated[tuple[str, ...], Parameter(negative=(), show_default=False)]


def backup(
    *paths: str,
    to: Repeated = (),
    exclude: Repeated = (),
    exclude_file: Repeated = (),
    tag: Repeated = (),
    begin_anew: Flag = False,
) -> int:
    """Back up files and folders to every destination that this computer is offered.

    One after the other: none stops another. Ends with 0 if all is saved at each; 1 if one refused,
    or if something could not be read; 3 if one could not be reached, and nothing else was wrong.
    With --quiet it prints the snapshots' ids, a line each.

    Parameters
    ----------
    paths
        Files and folders.
    to
        Only to this destination; repeatable.
    exclude
        Leave out what matches this pattern of restic's; repeatable.
    exclude_file
        A file of such patterns, a line each; repeatable.
    tag
        A tag for the snapshot; repeatable.
    begin_anew
        Make a new repository where the one that was there is gone.
    """
    from device_agent import backup as backups
    from device_agent import offers, restic
    from device_agent.destinations import Device

    patterns = absolute("--exclude-file", exclude_file)
    wanted = backups.Wanted(present(paths), exclude, patterns, tag, begin_anew)
    device = Device(state())
    program = restic.find(options().restic)
    with files.held(state().lock_file, "A backup"):
        found = device.offers()
        if found.untold and not printing().json:
            going_on = "Going on with what that server last said."
            output.warn(together(found.untold.message, going_on))
        results = []
        for offer in offers.named(found.destinations, to):
            with bar(offer.name) as watch:
                results.append(backups.to(device, program, offer, wanted, watch))
            if not printing().json:
                _tell(results[-1])
    if printing().json:
        output.show_document({"destinations": [each.document() for each in results]}, _nothing)
    return backups.status_of(results, DONE, REFUSED, UNREACHABLE)


def present(paths: tuple[str, ...]) -> tuple[str, ...]:
    """The paths; one must be there. One that is not is counted as not read.

    Raises:
        InvalidArgument: none is, or one is empty.
    """
    found = absolute("PATH", paths)
    if not any(map(os.path.lexists, found)):
        description = f"{paths[0]} is not there" if paths else "name files or folders"
        raise InvalidArgument([FieldViolation("PATH", description)])
    return found


def _tell(result: "Result") -> None:
    """How it ended at one destination: what is saved on stdout, what is not on stderr."""
    if result.snapshot_id and printing().quiet:
        output.line(result.snapshot_id)
    elif result.snapshot_id:
        output.line(
            f"{result.destination}: saved as {result.snapshot_id[:8]}: "
            f"{count_of(result.files, 'file')}, {format_size(result.processed_bytes)}, "
            f"of which {format_size(result.added_bytes)} new; {result.seconds:.1f} s"
        )
    if result.message:
        output.fail(result.message, result.advice)
    for each in result.unread:
        output.warn(f"{result.destination}: not read: {each}")


def _nothing() -> None:
    """Said already."""
