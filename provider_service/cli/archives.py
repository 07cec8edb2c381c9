"""`offsite-provider archive` and `usage`: what hosted organizations have stored here."""

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from archive_gateway.cli import archive as actions
from archive_gateway.cli import usage as usage_actions
from archive_gateway.cli.usage import device_guid_of
from provider_service.cli.organizations import id_of
from service_kit.cli.parameters import Confirm, Flag

app = App(name="archive", help="What organizations have stored here, and how it is kept.")
usage = App(name="usage", help="How much of what they may use organizations use.")


@app.command
def show(organization: str, /) -> None:
    """Show an organization's archive, and that of each device."""
    actions.show(id_of(organization))


@app.command
def undelete(
    organization: str, device: str | None = None, /, *, to: str, confirm: Confirm = False
) -> None:
    """Make an organization's archives, or one device's, what they were at a time.

    Parameters
    ----------
    to
        The time, like 2026-11-01T12:00Z.
    """
    actions.undelete(*_named(organization, device), to, confirm=confirm)


@app.command
def purge(
    organization: str,
    device: str | None = None,
    /,
    *,
    include_live: Flag = False,
    confirm: Confirm = False,
) -> None:
    """Remove for good what was deleted, without waiting for the delay.

    Parameters
    ----------
    include_live
        Also what is not deleted, of devices that hold no seat.
    """
    account_id, device_guid = _named(organization, device)
    actions.purge(account_id, device_guid, include_live=include_live, confirm=confirm)


@app.command
def grant(
    organization: str,
    device: str,
    /,
    *,
    for_: Annotated[str, Parameter(name="--for")] = "24h",
    output: Path | None = None,
) -> None:
    """Make a read-only credential for one device's archive, shown this once. It needs no seat.

    Parameters
    ----------
    for_
        How long it lives, at most 30d.
    output
        A new file for it.
    """
    actions.grant(*_named(organization, device), for_, output)


@app.command
def grants(organization: str, /) -> None:
    """List an organization's grants in force."""
    actions.grants(id_of(organization))


@app.command
def revoke_grant(grant_id: str, /) -> None:
    """End a grant."""
    actions.revoke_grant(grant_id)


@app.command
def allow_prune(organization: str, /) -> None:
    """Let a full organization write, for a day, what a prune needs before it frees space."""
    actions.allow_prune(id_of(organization))


@app.command
def scrub(organization: str | None = None, /) -> None:
    """Read every blob again, of one organization or all, and set damaged ones aside."""
    actions.scrub(id_of(organization) if organization else "")


@app.command
def rebuild(*, confirm: Confirm = False) -> None:
    """After a restore of the ledger: adopt files that it does not know, let purges go on."""
    actions.rebuild(confirm=confirm)


@usage.command(name="show")
def show_usage(organization: str, /, *, without_backup: str | None = None) -> None:
    """Show an organization's usage, and that of its devices.

    Parameters
    ----------
    without_backup
        Only devices that hold a seat and have not backed up for a while, like 7d.
    """
    usage_actions.show(id_of(organization), without_backup)


@usage.command(name="list")
def list_usage() -> None:
    """List the usage of all organizations."""
    usage_actions.list_all()


def _named(organization: str, device: str | None) -> tuple[str, str]:
    """The ids of both."""
    account_id = id_of(organization)
    return account_id, device_guid_of(account_id, device) if device else ""
