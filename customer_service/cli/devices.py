"""`offsite-customer device`: the computers that are backed up."""

import uuid
from typing import Any

from cyclopts import App
from offsite.customer.v1 import device_service_pb2 as pb
from offsite.customer.v1.device_service_pb2_grpc import DeviceServiceStub

from customer_service.cli import device_views as views
from customer_service.cli import storages, users
from service_kit.cli import output
from service_kit.cli.confirmation import counted, report, require
from service_kit.cli.connection import call, stub
from service_kit.cli.identity import get_identity
from service_kit.cli.names import by_name, is_id, pages, the_one
from service_kit.cli.parameters import Confirm, Flag
from service_kit.errors import LimitReached, PermissionDenied
from service_kit.reasons import Reason

app = App(name="device", help="The computers that are backed up.")


def service() -> DeviceServiceStub:
    """The service of this noun."""
    return stub(DeviceServiceStub)


def id_of(name: str) -> str:
    """The id of a device by its name; an id is taken as it is.

    Raises:
        NotFound: there is none of this name.
        Conflict: several users have one.
    """
    if is_id(name):
        return name
    request = pb.ListDevicesRequest(name=name, show_deactivated=True)
    found = pages(service().ListDevices, request, "devices").devices
    active = [each for each in found if each.state == pb.DEVICE_STATE_ACTIVE]
    one = the_one("device", name, active or found, lambda each: f"{each.id} of {each.user_email}")
    return str(one.id)


@app.command
def add(name: str, /, *, user: str) -> None:
    """Add a user's computer, and print the code by which it signs in.

    Parameters
    ----------
    user
        The user's e-mail address.
    """
    device = pb.Device(id=str(uuid.uuid4()), name=name, user_id=users.id_of(user))
    done = call(service().RegisterDevice, pb.RegisterDeviceRequest(device=device))

    def people() -> None:
        views.shown(done.device)
        output.line()
        views.hand_over(done.enrollment_code, get_identity())

    output.show(done, people, quiet=done.device.id)


@app.command
def enroll_code(device: str, /) -> None:
    """Print a new code by which a computer signs in as a device; an earlier one ends."""
    request = pb.CreateEnrollmentCodeRequest(device_id=id_of(device))
    _hand_over(call(service().CreateEnrollmentCode, request))


@app.command
def list_(
    *,
    user: str | None = None,
    refused: Flag = False,
    waiting: Flag = False,
    all_: Flag = False,
) -> None:
    """List devices.

    Parameters
    ----------
    user
        Only those of a user.
    refused
        Only those that a provider refused, or whose seat it revoked.
    waiting
        Only those with a change that a provider has not answered yet.
    all_
        Also deactivated ones.
    """
    request = pb.ListDevicesRequest(refused=refused, waiting=waiting, show_deactivated=all_)
    if user is not None:
        request.user_id = users.id_of(user)
    found = pages(service().ListDevices, request, "devices")
    rows = [
        (
            each.name,
            each.user_email,
            output.word(pb.DeviceState, each.state),
            "yes" if each.holds_seat else "no",
            "; ".join(map(views.state, each.destinations)),
        )
        for each in by_name(found.devices)
    ]
    columns = ("name", "user", "state", "seat", "destinations")
    output.show(found, lambda: output.table(columns, rows))


@app.command
def show(device: str, /) -> None:
    """Show a device, and how it stands at each storage."""
    _show(call(service().GetDevice, pb.GetDeviceRequest(device_id=id_of(device))))


@app.command
def use(device: str, storage: str, /) -> None:
    """Begin to use a storage: the local seat first, then the provider's."""
    request = pb.UseDestinationRequest(device_id=id_of(device), storage_id=storages.id_of(storage))
    done = call(service().UseDestination, request)
    destination = done.destination
    output.show(done, lambda: output.line(views.state(destination)), quiet=done.device.id)
    if destination.state == pb.DESTINATION_STATE_REFUSED:
        raise LimitReached(Reason.SEAT_LIMIT_REACHED, destination.reason, destination.advice)
    if destination.state == pb.DESTINATION_STATE_REVOKED:
        raise PermissionDenied(Reason.SEAT_REVOKED, destination.reason, destination.advice)


@app.command
def stop(device: str, storage: str, /, *, confirm: Confirm = False) -> None:
    """Stop using a storage, and release the seat there."""
    request = pb.StopUsingDestinationRequest(
        device_id=id_of(device), storage_id=storages.id_of(storage), validate_only=not confirm
    )
    _ended(call(service().StopUsingDestination, request), "Stopping", confirm)


@app.command
def rename(device: str, name: str, /) -> None:
    """Rename a device."""
    request = pb.RenameDeviceRequest(device_id=id_of(device), name=name)
    _show(call(service().RenameDevice, request))


@app.command
def deauthorize(device: str, /, *, confirm: Confirm = False) -> None:
    """Sign a device out: its credentials end, its seats stay; `device enroll-code` lets it in."""
    request = pb.DeauthorizeDeviceRequest(device_id=id_of(device), validate_only=not confirm)
    _ended(call(service().DeauthorizeDevice, request), "Signing out", confirm)


@app.command
def replace(device: str, /, *, name: str | None = None, confirm: Confirm = False) -> None:
    """Let a new computer take over, and print its code; the old one is signed out, the seats stay.

    Parameters
    ----------
    name
        The new computer's name, if it differs.
    """
    request = pb.ReplaceDeviceRequest(device_id=id_of(device), validate_only=not confirm)
    if name is not None:
        request.name = name
    done = call(service().ReplaceDevice, request)
    what, takes = f"Replacing {done.device.name}", counted(done.impact)
    require(confirm, what, takes)
    _hand_over(done, f"{what} took along: {takes}.")


@app.command
def deactivate(device: str, /, *, confirm: Confirm = False) -> None:
    """Stop a device and release its seats; its archives stay."""
    request = pb.DeactivateDeviceRequest(device_id=id_of(device), validate_only=not confirm)
    _ended(call(service().DeactivateDevice, request), "Deactivating", confirm)


@app.command
def reactivate(device: str, /) -> None:
    """Bring a device back; it takes seats again by using a storage."""
    request = pb.ReactivateDeviceRequest(device_id=id_of(device))
    _show(call(service().ReactivateDevice, request))


def _ended(response: Any, what: str, confirm: bool) -> None:
    report(response, f"{what} {response.device.name}", confirm)


def _hand_over(response: Any, *told: str) -> None:
    """Show the line that a computer's user needs; a script gets nothing else."""
    code, identity = response.enrollment_code, get_identity()

    def people() -> None:
        for each in told:
            output.line(each)
        views.hand_over(code, identity)

    output.show(response, people, quiet=views.invitation(code, identity))


def _show(response: Any) -> None:
    output.show(response, lambda: views.shown(response.device), quiet=response.device.id)
