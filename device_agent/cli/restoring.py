"""`offsite-device restore`."""

from typing import Annotated

from cyclopts import Parameter

from device_agent.cli.backups import Repeated
from device_agent.cli.parameters import GivenPath
from device_agent.cli.program import options, state
from device_agent.cli.progress import bar
from service_kit.cli import output

From = Annotated[str | None, Parameter(name="--from")]


def restore(
    snapshot: str, /, *, target: GivenPath, from_: From = None, include: Repeated = ()
) -> None:
    """Restore a snapshot, of the first destination that has it unless one is named.

    Parameters
    ----------
    snapshot
        Its id, or latest.
    target
        The folder to restore into; what is there of the same name is replaced.
    from_
        The destination.
    include
        Only what matches this pattern of restic's; repeatable.
    """
    from device_agent import restic, selection
    from device_agent import restore as restoring
    from device_agent.destinations import Device

    program = restic.find(options().restic)
    opened = selection.with_snapshot(Device(state()), program, from_, snapshot)
    wanted = restoring.Wanted(snapshot, str(target.absolute()), include)
    with bar(opened.name) as watch:
        restoring.restored(program, opened.repository, opened.archive, wanted, watch)
    document = {"destination": opened.name, "snapshot": snapshot, "target": wanted.target}
    output.show_document(
        document, lambda: output.line(f"{opened.name}: {snapshot} is restored in {wanted.target}.")
    )
