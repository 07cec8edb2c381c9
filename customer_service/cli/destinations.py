"""`offsite-customer destination`: which storages users are offered by default."""

from dataclasses import dataclass

from cyclopts import App, Parameter
from offsite.customer.v1 import destination_service_pb2 as pb
from offsite.customer.v1.destination_service_pb2_grpc import DestinationServiceStub

from customer_service.cli import organizations, storages
from service_kit.cli import output
from service_kit.cli.confirmation import count_of, require
from service_kit.cli.connection import call, stub
from service_kit.cli.parameters import Confirm, Flag

app = App(name="destination", help="Which storages users are offered by default.")


@Parameter(name="*")
@dataclass(frozen=True)
class Change:
    """How a change of defaults is made."""

    apply_to_existing: Flag = False
    """Offer and withdraw for the users that exist, too; where it withdraws, seats are released."""

    dry_run: Flag = False
    """Only count what would change."""

    confirm: Confirm = False


FUTURE_USERS = Change()


def service() -> DestinationServiceStub:
    """The service of this noun."""
    return stub(DestinationServiceStub)


@app.command
def show(*, org: str | None = None) -> None:
    """Show what new users are offered.

    Parameters
    ----------
    org
        An organization; the server's defaults if left out.
    """
    found = _get(org)
    output.show(found, lambda: _shown(found.destinations))


@app.command
def add(storage: str, /, *, org: str | None = None, change: Change = FUTURE_USERS) -> None:
    """Offer a storage by default.

    Parameters
    ----------
    org
        At an organization, which then no longer inherits; at the server if left out.
    """
    present = list(_get(org).destinations.storage_ids)
    wanted = [*present, *({storages.id_of(storage)} - set(present))]
    _set(org, wanted, change)


@app.command
def remove(storage: str, /, *, org: str | None = None, change: Change = FUTURE_USERS) -> None:
    """Offer a storage by default no longer.

    Parameters
    ----------
    org
        At an organization, which then no longer inherits; at the server if left out.
    """
    unwanted = storages.id_of(storage)
    wanted = [each for each in _get(org).destinations.storage_ids if each != unwanted]
    _set(org, wanted, change)


@app.command
def set_(*storage_names: str, org: str | None = None, change: Change = FUTURE_USERS) -> None:
    """Offer exactly these storages by default.

    Parameters
    ----------
    storage_names
        The storages.
    org
        At an organization, which then no longer inherits; at the server if left out.
    """
    wanted = [storages.id_of(each) for each in storage_names]
    _set(org, wanted, change)


@app.command
def inherit(*, org: str, change: Change = FUTURE_USERS) -> None:
    """Let an organization offer what the level above it offers.

    Parameters
    ----------
    org
        The organization.
    """
    _set(org, [], change, inherit_=True)


def _get(org: str | None) -> pb.GetDefaultDestinationsResponse:
    request = pb.GetDefaultDestinationsRequest(organization_id=_level(org))
    found: pb.GetDefaultDestinationsResponse = call(service().GetDefaultDestinations, request)
    return found


def _set(org: str | None, wanted: list[str], change: Change, *, inherit_: bool = False) -> None:
    """Preview, ask for confirmation where devices release seats, and set."""
    destinations = pb.DefaultDestinations(
        organization_id=_level(org), storage_ids=wanted, inherit=inherit_
    )
    request = pb.PreviewDefaultDestinationsRequest(
        destinations=destinations, apply_to_existing=change.apply_to_existing
    )
    preview = call(service().PreviewDefaultDestinations, request)
    if change.dry_run:
        output.show(preview, lambda: output.line(_counted(preview.changes)))
        return
    if preview.changes.devices_released:
        require(change.confirm, "This change", _counted(preview.changes))
    done = call(
        service().SetDefaultDestinations,
        pb.SetDefaultDestinationsRequest(
            destinations=destinations,
            apply_to_existing=change.apply_to_existing,
            confirm_releases=change.confirm,
        ),
    )

    def people() -> None:
        _shown(done.destinations)
        if change.apply_to_existing:
            output.line(_counted(done.changes))

    output.show(done, people)


def _counted(changes: pb.DestinationChanges) -> str:
    return (
        f"{count_of(changes.users_gaining, 'user')} offered a storage more, "
        f"{count_of(changes.users_losing, 'user')} one less, "
        f"{count_of(changes.devices_released, 'device')} releasing a seat there"
    )


def _shown(found: pb.DefaultDestinations) -> None:
    names = storages.names()
    offered = ", ".join(names.get(each, each) for each in found.storage_ids) or "nothing"
    output.facts([("offered", offered), ("inherited", "yes" if found.inherit else "no")])


def _level(org: str | None) -> str:
    return organizations.id_of(org) if org else ""
