"""`offsite-customer org`: the customer's own tree of organizations."""

import uuid
from typing import Annotated

from cyclopts import App, Parameter
from offsite.customer.v1 import organization_service_pb2 as pb
from offsite.customer.v1.organization_service_pb2_grpc import OrganizationServiceStub

from service_kit.cli import output
from service_kit.cli.common import Flag
from service_kit.cli.confirmation import counted, require
from service_kit.cli.connection import call, stub
from service_kit.cli.names import is_id, pages, the_one

app = App(name="org", help="The customer's own organizations.")

Option = Annotated[str | None, Parameter(negative=())]


def service() -> OrganizationServiceStub:
    """The service of this noun."""
    return stub(OrganizationServiceStub)


def id_of(name: str) -> str:
    """The id of an organization by its name; an id is taken as it is.

    Raises:
        NotFound: there is none of this name.
    """
    if is_id(name):
        return name
    request = pb.ListOrganizationsRequest(name=name, show_deactivated=True)
    found = pages(service().ListOrganizations, request, "organizations").organizations
    return str(the_one("org", name, found, lambda each: each.id).id)


def every() -> dict[str, pb.Organization]:
    """All organizations, by id."""
    request = pb.ListOrganizationsRequest(show_deactivated=True)
    found = pages(service().ListOrganizations, request, "organizations").organizations
    return {each.id: each for each in found}


@app.command
def add(name: str, /, *, parent: Option = None) -> None:
    """Add an organization.

    Parameters
    ----------
    parent
        The organization above it; the root if left out.
    """
    organization = pb.Organization(id=str(uuid.uuid4()), name=name)
    if parent is not None:
        organization.parent_id = id_of(parent)
    request = pb.CreateOrganizationRequest(organization=organization)
    done = call(service().CreateOrganization, request)
    _show(done)


@app.command(name="list")
def list_(*, all_: Annotated[Flag, Parameter(name="--all")] = False) -> None:
    """List organizations.

    Parameters
    ----------
    all_
        Also deactivated ones.
    """
    request = pb.ListOrganizationsRequest(show_deactivated=all_)
    found = pages(service().ListOrganizations, request, "organizations")

    def people() -> None:
        names = {id_: each.name for id_, each in every().items()}
        rows = [
            (
                each.name,
                names.get(each.parent_id, ""),
                output.word(pb.OrganizationState, each.state),
                each.active_users,
                each.seats_in_use,
            )
            for each in found.organizations
        ]
        output.table(("name", "below", "state", "users", "seats"), rows)

    output.show(found, people)


@app.command
def show(organization: str, /) -> None:
    """Show an organization."""
    request = pb.GetOrganizationRequest(organization_id=id_of(organization))
    _show(call(service().GetOrganization, request))


@app.command
def update(organization: str, /, *, name: Option = None, parent: Option = None) -> None:
    """Rename an organization, or move it below another.

    Parameters
    ----------
    name
        The new name.
    parent
        The new organization above it.
    """
    request = pb.UpdateOrganizationRequest(organization_id=id_of(organization))
    if name is not None:
        request.name = name
    if parent is not None:
        request.parent_id = id_of(parent)
    _show(call(service().UpdateOrganization, request))


@app.command
def deactivate(organization: str, /, *, confirm: Flag = False) -> None:
    """Deactivate an organization with all below it; their seats are released, archives stay."""
    request = pb.DeactivateOrganizationRequest(
        organization_id=id_of(organization), validate_only=not confirm
    )
    done = call(service().DeactivateOrganization, request)
    require(confirm, f"Deactivating {done.organization.name}", counted(done.impact))
    output.show(done, lambda: output.line(f"It took along: {counted(done.impact)}."))


@app.command
def reactivate(organization: str, /) -> None:
    """Bring an organization back; its devices take seats again by using a storage."""
    request = pb.ReactivateOrganizationRequest(organization_id=id_of(organization))
    _show(call(service().ReactivateOrganization, request))


def _show(
    response: pb.CreateOrganizationResponse
    | pb.GetOrganizationResponse
    | pb.UpdateOrganizationResponse
    | pb.ReactivateOrganizationResponse,
) -> None:
    one = response.organization

    def people() -> None:
        output.facts(
            [
                ("name", one.name),
                ("id", one.id),
                ("below", one.parent_id),
                ("state", output.word(pb.OrganizationState, one.state)),
                ("users", one.active_users),
                ("seats in use", one.seats_in_use),
                ("created", output.moment(one, "create_time")),
            ]
        )

    output.show(response, people, quiet=one.id)
