"""`offsite-customer org`: the customer's own tree of organizations."""

import uuid
from typing import Any

from cyclopts import App
from offsite.customer.v1 import organization_service_pb2 as pb
from offsite.customer.v1.organization_service_pb2_grpc import OrganizationServiceStub

from archive_gateway.cli import usage_views
from archive_gateway.cli.keeping_options import KeepingOptions
from archive_gateway.cli.quotas import parse_quota
from archive_gateway.cli.usage import of_quota
from service_kit.cli import output
from service_kit.cli.confirmation import report
from service_kit.cli.connection import call, stub
from service_kit.cli.names import by_name, is_id, pages, the_one
from service_kit.cli.parameters import Confirm, Flag
from service_kit.sizes import format_size

app = App(name="org", help="The customer's own organizations.")


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
    return str(the_one("org", name, found).id)


def names() -> dict[str, str]:
    """The names of all organizations, by id."""
    request = pb.ListOrganizationsRequest(show_deactivated=True)
    found = pages(service().ListOrganizations, request, "organizations").organizations
    return {each.id: each.name for each in found}


@app.command
def add(name: str, /, *, parent: str | None = None, disk_quota: str | None = None) -> None:
    """Add an organization.

    Parameters
    ----------
    parent
        The organization above it; the root if left out.
    disk_quota
        The most that archives of its devices may hold on this server, like 500GB; or unlimited.
    """
    organization = pb.Organization(id=str(uuid.uuid4()), name=name)
    if parent is not None:
        organization.parent_id = id_of(parent)
    if disk_quota is not None:
        organization.disk_quota.CopyFrom(parse_quota("--disk-quota", disk_quota))
    request = pb.CreateOrganizationRequest(organization=organization)
    _show(call(service().CreateOrganization, request))


@app.command
def list_(*, all_: Flag = False) -> None:
    """List organizations.

    Parameters
    ----------
    all_
        Also deactivated ones.
    """
    request = pb.ListOrganizationsRequest(show_deactivated=all_)
    found = pages(service().ListOrganizations, request, "organizations")

    def people() -> None:
        named = names()
        rows = [
            (
                each.name,
                named.get(each.parent_id, ""),
                output.word(pb.OrganizationState, each.state),
                each.active_users,
                each.seats_in_use,
                of_quota(each.archive_usage, each.disk_quota),
                format_size(each.archive_usage.kept_bytes),
                usage_views.last_backup(each.archive_usage),
            )
            for each in by_name(found.organizations)
        ]
        columns = "name,below,state,users,seats,stored here,kept,last backup"
        output.table(columns.split(","), rows)

    output.show(found, people)


@app.command
def show(organization: str, /) -> None:
    """Show an organization."""
    request = pb.GetOrganizationRequest(organization_id=id_of(organization))
    _show(call(service().GetOrganization, request))


@app.command
def update(
    organization: str,
    /,
    *,
    name: str | None = None,
    parent: str | None = None,
    disk_quota: str | None = None,
    keeping: KeepingOptions | None = None,
) -> None:
    """Change what is given; how long archives are kept is changed at the root organization.

    Parameters
    ----------
    name
        The new name.
    parent
        The new organization above it.
    disk_quota
        The most that archives of its devices may hold on this server, like 500GB; or unlimited.
    """
    request = pb.UpdateOrganizationRequest(organization_id=id_of(organization))
    if name is not None:
        request.name = name
    if parent is not None:
        request.parent_id = id_of(parent)
    if disk_quota is not None:
        request.disk_quota.CopyFrom(parse_quota("--disk-quota", disk_quota))
    (keeping or KeepingOptions()).fill(request)
    _show(call(service().UpdateOrganization, request))


@app.command
def deactivate(organization: str, /, *, confirm: Confirm = False) -> None:
    """Deactivate an organization with all below it; their seats are released, archives stay."""
    request = pb.DeactivateOrganizationRequest(
        organization_id=id_of(organization), validate_only=not confirm
    )
    done = call(service().DeactivateOrganization, request)
    report(done, f"Deactivating {done.organization.name}", confirm)


@app.command
def reactivate(organization: str, /) -> None:
    """Bring an organization back; its devices take seats again by using a storage."""
    request = pb.ReactivateOrganizationRequest(organization_id=id_of(organization))
    _show(call(service().ReactivateOrganization, request))


def _show(response: Any) -> None:
    one = response.organization

    def people() -> None:
        output.facts(
            [
                ("name", one.name),
                ("id", one.id),
                ("below", names()[one.parent_id] if one.parent_id else ""),
                ("state", output.word(pb.OrganizationState, one.state)),
                ("users", one.active_users),
                ("seats in use", one.seats_in_use),
                ("created", output.moment(one, "create_time")),
                *usage_views.used(one.archive_usage, one.disk_quota),
                *([] if one.parent_id else usage_views.kept(one)),
            ]
        )

    output.show(response, people, quiet=one.id)
