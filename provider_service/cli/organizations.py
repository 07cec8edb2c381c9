"""`offsite-provider org`: hosted organizations."""

import uuid
from typing import Annotated, Any

from cyclopts import App, Parameter
from offsite.provider.v1 import organization_service_pb2 as pb
from offsite.provider.v1.organization_service_pb2_grpc import OrganizationServiceStub

from provider_service.cli import organization_views as views
from provider_service.cli.organization_options import OrganizationOptions
from service_kit.cli import output
from service_kit.cli.common import Flag, get_identity
from service_kit.cli.confirmation import counted, require
from service_kit.cli.connection import call, stub
from service_kit.cli.durations import parse_duration
from service_kit.cli.names import is_id, pages, the_one

app = App(name="org", help="Hosted organizations: the customers that back up to this server.")

Option = Annotated[str | None, Parameter(negative=())]


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
    return str(the_one("org", name, in_force or found, lambda each: each.id).id)


@app.command
def add(
    name: str,
    /,
    *,
    hosted: Flag = False,
    options: OrganizationOptions | None = None,
    key_expires: Option = None,
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
    request = pb.CreateOrganizationRequest(
        organization=organization,
        accept_terms=accept_terms,
        registration_key_lifetime_seconds=_seconds(key_expires),
    )
    _show_with_key(call(service().CreateOrganization, request))


@app.command(name="list")
def list_(
    *, problems: Flag = False, all_: Annotated[Flag, Parameter(name="--all")] = False
) -> None:
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
    output.show(found, lambda: views.listed(found.organizations))


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
    name: Option = None,
    hosted: bool | None = None,
    options: OrganizationOptions | None = None,
    key_expires: Option = None,
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
    if name is not None:
        changed.name = name
        paths.append("name")
    if hosted is not None:
        changed.hosted = hosted
        paths.append("hosted")
    request = pb.UpdateOrganizationRequest(
        organization=changed,
        accept_terms=accept_terms,
        registration_key_lifetime_seconds=_seconds(key_expires),
    )
    request.update_mask.paths.extend(paths)
    _show_with_key(call(service().UpdateOrganization, request))


@app.command
def suspend(organization: str, /, *, reason: str) -> None:
    """Stop new seats and backups; held seats and archives stay.

    Parameters
    ----------
    reason
        Why; the customer sees it.
    """
    request = pb.SuspendOrganizationRequest(organization_id=id_of(organization), reason=reason)
    _report(call(service().SuspendOrganization, request), "suspended")


@app.command
def resume(organization: str, /) -> None:
    """End a suspension."""
    request = pb.ResumeOrganizationRequest(organization_id=id_of(organization))
    _report(call(service().ResumeOrganization, request), "served again")


@app.command
def deactivate(organization: str, /, *, confirm: Flag = False) -> None:
    """End attachment and key and release the seats; the archives stay."""
    request = pb.DeactivateOrganizationRequest(
        organization_id=id_of(organization), validate_only=not confirm
    )
    done = call(service().DeactivateOrganization, request)
    require(confirm, f"Deactivating {done.organization.name}", counted(done.impact))
    _report(done, f"deactivated; it took along: {counted(done.impact)}")


@app.command
def reactivate(organization: str, /, *, key_expires: Option = None) -> None:
    """Bring a deactivated organization back; a hosted one gets a new registration key."""
    request = pb.ReactivateOrganizationRequest(
        organization_id=id_of(organization),
        registration_key_lifetime_seconds=_seconds(key_expires),
    )
    _show_with_key(call(service().ReactivateOrganization, request))


@app.command
def rotate_key(organization: str, /, *, key_expires: Option = None) -> None:
    """End the registration key and make a new one, shown this once."""
    request = pb.RotateRegistrationKeyRequest(
        organization_id=id_of(organization),
        registration_key_lifetime_seconds=_seconds(key_expires),
    )
    _show_with_key(call(service().RotateRegistrationKey, request))


@app.command
def change_guid(
    organization: str,
    /,
    *,
    customer_guid: str,
    key_expires: Option = None,
    confirm: Flag = False,
) -> None:
    """The customer's server was replaced: its old key is dead at once, seats and archives stay."""
    request = pb.ChangeCustomerGuidRequest(
        organization_id=id_of(organization),
        customer_guid=customer_guid,
        registration_key_lifetime_seconds=_seconds(key_expires),
        validate_only=not confirm,
    )
    done = call(service().ChangeCustomerGuid, request)
    require(confirm, f"Changing the GUID of {done.organization.name}", counted(done.impact))
    _show_with_key(done)


@app.command
def detach(organization: str, /, *, confirm: Flag = False) -> None:
    """End attachment and key and release the seats; organization and archives stay."""
    request = pb.DetachOrganizationRequest(
        organization_id=id_of(organization), validate_only=not confirm
    )
    done = call(service().DetachOrganization, request)
    require(confirm, f"Detaching {done.organization.name}", counted(done.impact))
    _report(done, f"detached; it took along: {counted(done.impact)}")


@app.command
def confirm_rewound(organization: str, /) -> None:
    """Agree that this server was restored from an older backup: the customer's seats count."""
    request = pb.ConfirmRewoundRequest(organization_id=id_of(organization))
    _report(call(service().ConfirmRewound, request), "compared with its customer's server next")


def _report(response: Any, what: str) -> None:
    name = response.organization.name
    output.show(response, lambda: output.line(f"{name} is {what}."), quiet=response.organization.id)


def _show_with_key(response: Any) -> None:
    """The organization and, once, its key with all that the customer needs."""
    for warning in getattr(response, "warnings", ()):
        output.warn(warning)
    key = response.registration_key

    def people() -> None:
        views.shown(response.organization)
        if key:
            views.hand_over(response.organization, key, get_identity())

    output.show(response, people, quiet=key or response.organization.id)


def _seconds(text: str | None) -> int:
    return int(parse_duration("--key-expires", text).total_seconds()) if text else 0
