"""`offsite-customer user`: the people whose computers are backed up."""

import uuid
from typing import Any

from cyclopts import App
from offsite.customer.v1 import user_service_pb2 as pb
from offsite.customer.v1.user_service_pb2_grpc import UserServiceStub

from archive_gateway.cli import usage_views
from archive_gateway.cli.quotas import parse_quota
from archive_gateway.cli.usage import of_quota
from customer_service.cli import organizations, storages
from service_kit.cli import output
from service_kit.cli.confirmation import counted, report, require
from service_kit.cli.connection import call, stub
from service_kit.cli.names import is_id, pages, the_one
from service_kit.cli.parameters import Confirm, Flag

app = App(name="user", help="The people whose computers are backed up.")


def service() -> UserServiceStub:
    """The service of this noun."""
    return stub(UserServiceStub)


def id_of(email: str) -> str:
    """The id of a user by the e-mail address; an id is taken as it is.

    Raises:
        NotFound: there is none.
    """
    if is_id(email):
        return email
    request = pb.ListUsersRequest(email=email, show_deactivated=True)
    found = pages(service().ListUsers, request, "users").users
    return str(the_one("user", email, found).id)


@app.command
def add(email: str, /, *, org: str | None = None, disk_quota: str | None = None) -> None:
    """Add a user, who is offered the organization's default destinations.

    Parameters
    ----------
    org
        The organization; the root if left out.
    disk_quota
        The most that archives of the user's devices may hold on this server; or unlimited.
    """
    user = pb.User(id=str(uuid.uuid4()), email=email)
    if org is not None:
        user.organization_id = organizations.id_of(org)
    if disk_quota is not None:
        user.disk_quota.CopyFrom(parse_quota("--disk-quota", disk_quota))
    _show(call(service().CreateUser, pb.CreateUserRequest(user=user)))


@app.command
def list_(*, org: str | None = None, all_: Flag = False) -> None:
    """List users.

    Parameters
    ----------
    org
        Only those directly in an organization.
    all_
        Also deactivated ones.
    """
    request = pb.ListUsersRequest(show_deactivated=all_)
    if org is not None:
        request.organization_id = organizations.id_of(org)
    found = pages(service().ListUsers, request, "users")

    def people() -> None:
        organization, storage = organizations.names(), storages.names()
        rows = [
            (
                each.email,
                organization[each.organization_id],
                output.word(pb.UserState, each.state),
                each.devices,
                each.seats_in_use,
                of_quota(each.archive_usage, each.disk_quota),
                ", ".join(storage[id_] for id_ in each.storage_ids),
            )
            for each in sorted(found.users, key=lambda each: each.email.casefold())
        ]
        columns = "email,organization,state,devices,seats,stored here,offered"
        output.table(columns.split(","), rows)

    output.show(found, people)


@app.command
def show(user: str, /) -> None:
    """Show a user."""
    _show(call(service().GetUser, pb.GetUserRequest(user_id=id_of(user))))


@app.command
def update(
    user: str,
    /,
    *,
    email: str | None = None,
    org: str | None = None,
    disk_quota: str | None = None,
) -> None:
    """Change a user's e-mail address, organization or quota.

    Parameters
    ----------
    email
        The new address.
    org
        The new organization; what the user is offered does not change.
    disk_quota
        The most that archives of the user's devices may hold on this server; or unlimited.
    """
    request = pb.UpdateUserRequest(user_id=id_of(user))
    if email is not None:
        request.email = email
    if org is not None:
        request.organization_id = organizations.id_of(org)
    if disk_quota is not None:
        request.disk_quota.CopyFrom(parse_quota("--disk-quota", disk_quota))
    _show(call(service().UpdateUser, request))


@app.command
def block(user: str, /, *, confirm: Confirm = False) -> None:
    """Stop a user signing in, and release the seats of the user's devices; archives stay."""
    request = pb.BlockUserRequest(user_id=id_of(user), validate_only=not confirm)
    _ended(call(service().BlockUser, request), "Blocking", confirm)


@app.command
def unblock(user: str, /) -> None:
    """End a block; the user's devices take seats again by using a storage."""
    _show(call(service().UnblockUser, pb.UnblockUserRequest(user_id=id_of(user))))


@app.command
def deactivate(user: str, /, *, confirm: Confirm = False) -> None:
    """Deactivate a user, and release the seats of the user's devices."""
    request = pb.DeactivateUserRequest(user_id=id_of(user), validate_only=not confirm)
    _ended(call(service().DeactivateUser, request), "Deactivating", confirm)


@app.command
def reactivate(user: str, /) -> None:
    """Bring a user back; the user's devices take seats again by using a storage."""
    _show(call(service().ReactivateUser, pb.ReactivateUserRequest(user_id=id_of(user))))


@app.command
def destinations(
    user: str, /, *storage_names: str, inherit: Flag = False, confirm: Confirm = False
) -> None:
    """Offer exactly these storages to one user; or show what is offered.

    Parameters
    ----------
    storage_names
        The storages.
    inherit
        Offer the organization's present defaults, and follow them again.
    """
    if not storage_names and not inherit:
        show(user)
        return
    request = pb.SetUserDestinationsRequest(
        user_id=id_of(user),
        inherit=inherit,
        storage_ids=[storages.id_of(each) for each in storage_names],
        validate_only=True,
    )
    preview = call(service().SetUserDestinations, request)
    if preview.impact.devices:
        require(confirm, f"This change for {preview.user.email}", counted(preview.impact))
    request.validate_only = False
    request.confirm_releases = confirm
    _show(call(service().SetUserDestinations, request))


def _ended(response: Any, what: str, confirm: bool) -> None:
    report(response, f"{what} {response.user.email}", confirm)


def _show(response: Any) -> None:
    user = response.user

    def people() -> None:
        named = storages.names()
        output.facts(
            [
                ("email", user.email),
                ("id", user.id),
                ("organization", organizations.names()[user.organization_id]),
                ("state", output.word(pb.UserState, user.state)),
                ("offered", ", ".join(named[each] for each in user.storage_ids) or "nothing"),
                ("follows defaults", "yes" if user.inherits_destinations else "no"),
                ("devices", user.devices),
                ("seats in use", user.seats_in_use),
                *usage_views.used(user.archive_usage, user.disk_quota),
            ]
        )

    output.show(response, people, quiet=user.id)
