"""`offsite-provider org`: what becomes of a hosted organization, its key and its attachment."""

from typing import Any

from cyclopts import App
from offsite.provider.v1 import organization_service_pb2 as pb

from provider_service.cli.organizations import id_of, seconds, service, show_with_key
from service_kit.cli import output
from service_kit.cli.confirmation import counted, report, require
from service_kit.cli.connection import call
from service_kit.cli.parameters import Confirm

app = App()


@app.command
def suspend(organization: str, /, *, reason: str) -> None:
    """Stop new seats and backups; held seats and archives stay.

    Parameters
    ----------
    reason
        Why; the customer sees it.
    """
    request = pb.SuspendOrganizationRequest(organization_id=id_of(organization), reason=reason)
    _say(call(service().SuspendOrganization, request), "suspended")


@app.command
def resume(organization: str, /) -> None:
    """End a suspension."""
    request = pb.ResumeOrganizationRequest(organization_id=id_of(organization))
    _say(call(service().ResumeOrganization, request), "served again")


@app.command
def deactivate(organization: str, /, *, confirm: Confirm = False) -> None:
    """End attachment and key and release the seats; the archives stay."""
    request = pb.DeactivateOrganizationRequest(
        organization_id=id_of(organization), validate_only=not confirm
    )
    done = call(service().DeactivateOrganization, request)
    report(done, f"Deactivating {done.organization.name}", confirm)


@app.command
def reactivate(organization: str, /, *, key_expires: str | None = None) -> None:
    """Bring a deactivated organization back; a hosted one gets a new registration key."""
    request = pb.ReactivateOrganizationRequest(
        organization_id=id_of(organization),
        registration_key_lifetime_seconds=seconds(key_expires),
    )
    show_with_key(call(service().ReactivateOrganization, request))


@app.command
def rotate_key(organization: str, /, *, key_expires: str | None = None) -> None:
    """End the registration key and make a new one, shown this once."""
    request = pb.RotateRegistrationKeyRequest(
        organization_id=id_of(organization),
        registration_key_lifetime_seconds=seconds(key_expires),
    )
    show_with_key(call(service().RotateRegistrationKey, request))


@app.command
def change_guid(
    organization: str,
    /,
    *,
    customer_guid: str,
    key_expires: str | None = None,
    confirm: Confirm = False,
) -> None:
    """The customer's server was replaced: its old key is dead at once, seats and archives stay."""
    request = pb.ChangeCustomerGuidRequest(
        organization_id=id_of(organization),
        customer_guid=customer_guid,
        registration_key_lifetime_seconds=seconds(key_expires),
        validate_only=not confirm,
    )
    done = call(service().ChangeCustomerGuid, request)
    require(confirm, f"Changing the GUID of {done.organization.name}", counted(done.impact))
    show_with_key(done)


@app.command
def detach(organization: str, /, *, confirm: Confirm = False) -> None:
    """End attachment and key and release the seats; organization and archives stay."""
    request = pb.DetachOrganizationRequest(
        organization_id=id_of(organization), validate_only=not confirm
    )
    done = call(service().DetachOrganization, request)
    report(done, f"Detaching {done.organization.name}", confirm)


@app.command
def confirm_rewound(organization: str, /) -> None:
    """Agree that this server was restored from an older backup: the customer's seats count."""
    request = pb.ConfirmRewoundRequest(organization_id=id_of(organization))
    _say(call(service().ConfirmRewound, request), "compared with its customer's server next")


def _say(response: Any, what: str) -> None:
    name = response.organization.name
    output.show(response, lambda: output.line(f"{name} is {what}."), quiet=response.organization.id)
