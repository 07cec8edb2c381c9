"""`offsite-customer archive` and `usage`: what this company's own server keeps of its devices."""

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from offsite.customer.v1 import organization_service_pb2 as organization_pb
from offsite.customer.v1 import storage_service_pb2 as storage_pb

from archive_gateway.cli import archive as actions
from archive_gateway.cli import usage as usage_actions
from customer_service.cli import devices, organizations, storages
from service_kit.cli.connection import call
from service_kit.cli.names import pages
from service_kit.cli.parameters import Confirm, Flag

app = App(name="archive", help="What this server keeps of its devices, and for how long.")
usage = App(name="usage", help="How much is used of what may be.")


@app.command
def show() -> None:
    """Show this server's archive, and that of each device."""
    actions.show(root())


@app.command
def undelete(device: str | None = None, /, *, to: str, confirm: Confirm = False) -> None:
    """Make this server's archives, or one device's, what they were at a time.

    Parameters
    ----------
    to
        The time, like 2026-11-01T12:00Z.
    """
    actions.undelete(root(), _guid(device), to, confirm=confirm)


@app.command
def purge(
    device: str | None = None, /, *, include_live: Flag = False, confirm: Confirm = False
) -> None:
    """Remove for good what was deleted, without waiting for the delay.

    Parameters
    ----------
    include_live
        Also what is not deleted, of devices that hold no seat.
    """
    actions.purge(root(), _guid(device), include_live=include_live, confirm=confirm)


@app.command
def grant(
    device: str,
    /,
    *,
    from_: Annotated[str | None, Parameter(name="--from")] = None,
    for_: Annotated[str, Parameter(name="--for")] = "24h",
    output: Path | None = None,
) -> None:
    """Make a read-only credential for one device's archive, shown this once. It needs no seat.

    Parameters
    ----------
    from_
        The storage to read from; this server's own if left out.
    for_
        How long it lives, at most 30d.
    output
        A new file for it.
    """
    if from_ is None:
        actions.grant(root(), devices.id_of(device), for_, output)
        return
    request = storage_pb.CreateStorageGrantRequest(
        storage_id=storages.id_of(from_),
        device_id=devices.id_of(device),
        lifetime_seconds=actions.lifetime_seconds(for_),
    )
    done = call(storages.service().CreateStorageGrant, request)
    actions.show_grant(done, done.credential, done.archive_url, output)


@app.command
def grants() -> None:
    """List the grants in force at this server."""
    actions.grants(root())


@app.command
def revoke_grant(grant_id: str, /) -> None:
    """End a grant."""
    actions.revoke_grant(grant_id)


@app.command
def allow_prune() -> None:
    """Where a quota is used up: let a prune write, for a day, what it needs before it frees."""
    actions.allow_prune(root())


@app.command
def scrub() -> None:
    """Read every blob again, and set damaged ones aside."""
    actions.scrub("")


@app.command
def rebuild(*, confirm: Confirm = False) -> None:
    """After a restore of the ledger: adopt files that it does not know, let purges go on."""
    actions.rebuild(confirm=confirm)


@usage.command(name="show")
def show_usage(*, without_backup: str | None = None) -> None:
    """Show this server's usage, and that of its devices.

    Parameters
    ----------
    without_backup
        Only devices that hold a seat and have not backed up for a while, like 7d.
    """
    usage_actions.show(root(), without_backup)


def root() -> str:
    """The id of the root organization, whose archive it is."""
    request = organization_pb.ListOrganizationsRequest(show_deactivated=True)
    found = pages(organizations.service().ListOrganizations, request, "organizations")
    return str(next(each.id for each in found.organizations if not each.parent_id))


def _guid(device: str | None) -> str:
    return devices.id_of(device) if device else ""
