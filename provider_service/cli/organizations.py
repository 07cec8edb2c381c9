"""`offsite-provider org`: hosted organizations."""

import uuid
from typing import Any

from cyclopts import App
from offsite.provider.v1 import organization_service_pb2 as pb
from offsite.provider.v1.organization_service_pb2_grpc import OrganizationServiceStub

from archive_gateway.cli.keeping_options import KeepingOptions
from provider_service.cli import organization_views as views
from provider_service.cli.organization_options import OrganizationOptions
from service_kit.cli import output
from service_kit.cli.connection import call, stub
from service_kit.cli.durations import parse_duration
from service_kit.cli.identity import get_identity
from service_kit.cli.names import by_name, is_id, pages, the_one
from service_kit.cli.parameters import Flag

app = App(name="org", help="Hosted organizations: the customers that back up to this server.")


def service() -> OrganizationServiceStub:
    """The service of this noun."""
    return stub(OrganizationServiceStub)


def id_of(name: str) -> str:
    """The id of an organization by its name; an id is taken as it is.

    Raises:
        NotFound: there is none of this name.
        Conflict: there are several.
    """
    if is_id(name):
        return name
    request = pb.ListOrganizationsRequest(name=name, show_deactivated=True)
    found = pages(service().ListOrganizations, request, "organizations").organizations
    in_force = [each for each in found if each.state != pb.ORGANIZATION_STATE_DEACTIVATED]
    return str(the_one("org", name, in_force or found).id)


@app.command
def add(
    name: str,
    /,
    *,
    hosted: Flag = False,
    options: OrganizationOptions | None = None,
    keeping: KeepingOptions | None = None,
    key_expires: str | None = None,
    accept_terms: Flag = False,
) -> None:
    """Add an organization. A hosted one gets its registration key, shown this once.

    Parameters
    ----------
    hosted
        The customer's own server may attach: needs GUID, seats, quota and accepted terms.
    key_expires
        How long the registration key lives, like 30d.
    accept_terms
        The terms and conditions are agreed to; see `terms show`.
    """
    organization = pb.Organization(id=str(uuid.uuid4()), name=name, hosted=hosted)
    (options or OrganizationOptions()).fill(organization)
    (keeping or KeepingOptions()).fill(organization)
    request = pb.CreateOrganizationRequest(
        organization=organization,
        accept_terms=accept_terms,
        registration_key_lifetime_seconds=seconds(key_expires),
    )
    show_with_key(call(service().CreateOrganization, request))


@app.command
def list_(*, problems: Flag = False, all_: Flag = False) -> None:
    """List organizations.

    Parameters
    ----------
    problems
        Only those to look at: over quota or seats, not heard of, key expired, conflict, rewound.
    all_
        Also deactivated ones.
    """
    request = pb.ListOrganizationsRequest(problems=problems, show_deactivated=all_)
    found = pages(service().ListOrganizations, request, "organizations")
    output.show(found, lambda: views.listed(by_name(found.organizations)))


@app.command
def show(organization: str, /) -> None:
    """Show an organization."""
    request = pb.GetOrganizationRequest(organization_id=id_of(organization))
    found = call(service().GetOrganization, request)
    output.show(found, lambda: views.shown(found.organization), quiet=found.organization.id)


@app.command
def update(
    organization: str,
    /,
    *,
    name: str | None = None,
    hosted: bool | None = None,
    options: OrganizationOptions | None = None,
    keeping: KeepingOptions | None = None,
    key_expires: str | None = None,
    accept_terms: Flag = False,
) -> None:
    """Change what is given; making it hosted makes its registration key, shown this once.

    Parameters
    ----------
    name
        A new name.
    hosted
        The customer's own server may attach: needs GUID, seats, quota and accepted terms.
    key_expires
        How long a registration key that this makes lives, like 30d.
    accept_terms
        The terms and conditions are agreed to; see `terms show`.
    """
    changed = pb.Organization(id=id_of(organization))
    paths = (options or OrganizationOptions()).fill(changed)
    paths += (keeping or KeepingOptions()).fill(changed)
    if name is not None:
        changed.name = name
        paths.append("name")
    if hosted is not None:
        changed.hosted = hosted
        paths.append("hosted")
    request = pb.UpdateOrganizationRequest(
        organization=changed,
        accept_terms=accept_terms,
        registration_key_lifetime_seconds=seconds(key_expires),
    )
    request.update_mask.paths.extend(paths)
    show_with_key(call(service().UpdateOrganization, request))


def show_with_key(response: Any) -> None:
    """Show the organization and, once, its key with all that the customer needs."""
    for warning in getattr(response, "warnings", ()):
        output.warn(warning)
    key = response.registration_key

    def people() -> None:
        views.shown(response.organization)
        if key:
            views.hand_over(response.organization, key, get_identity())

    output.show(response, people, quiet=key or response.organization.id)


def seconds(text: str | None) -> int:
    """The value of --key-expires; 0 if it was not given, for the server's own default."""
    return int(parse_duration("--key-expires", text).total_seconds()) if text else 0
