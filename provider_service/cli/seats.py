"""`offsite-provider seat`: the devices of an organization that hold seats."""

from cyclopts import App
from offsite.provider.v1 import seat_service_pb2 as pb
from offsite.provider.v1.seat_service_pb2_grpc import SeatServiceStub

from provider_service.cli.organizations import id_of
from service_kit.cli import output
from service_kit.cli.confirmation import require
from service_kit.cli.connection import call, stub
from service_kit.cli.names import is_id, pages, the_one
from service_kit.cli.parameters import Confirm
from service_kit.errors import FieldViolation, InvalidArgument

app = App(name="seat", help="The seats of an organization.")

STATES = {
    "held": pb.SEAT_STATE_HELD,
    "released": pb.SEAT_STATE_RELEASED,
    "refused": pb.SEAT_STATE_REFUSED,
    "revoked": pb.SEAT_STATE_REVOKED,
}


@app.command
def list_(organization: str, /, *, state: str | None = None) -> None:
    """List the seats that are held, refused or revoked.

    Parameters
    ----------
    state
        Only those held, released, refused or revoked.
    """
    request = pb.ListOrganizationSeatsRequest(organization_id=id_of(organization))
    if state is not None:
        request.state = _state(state)
    found = pages(stub(SeatServiceStub).ListOrganizationSeats, request, "seats")
    rows = sorted(map(_row, found.seats), key=lambda row: row[0].casefold())
    columns = ("device", "state", "since", "GUID", "reason")
    output.show(found, lambda: output.table(columns, rows))


@app.command
def revoke(
    organization: str, device: str, /, *, reason: str = "", confirm: Confirm = False
) -> None:
    """End a device's seat and refuse every later request for it, until it is restored.

    Parameters
    ----------
    reason
        Why; the customer sees it.
    """
    seat = _seat(organization, device)
    state = output.word(pb.SeatState, seat.state)
    require(confirm, f"Revoking {seat.device_name}", f"1 seat, {state}")
    request = pb.RevokeSeatRequest(
        organization_id=id_of(organization), device_guid=seat.device_guid, reason=reason
    )
    done = call(stub(SeatServiceStub).RevokeSeat, request)
    output.show(done, lambda: output.line(f"The seat of {seat.device_name} is revoked."))


@app.command
def restore(organization: str, device: str, /) -> None:
    """Allow a revoked device to ask again; it takes the seat by its next use."""
    seat = _seat(organization, device)
    request = pb.RestoreSeatRequest(
        organization_id=id_of(organization), device_guid=seat.device_guid
    )
    done = call(stub(SeatServiceStub).RestoreSeat, request)
    output.show(done, lambda: output.line(f"{seat.device_name} may ask for a seat again."))


def _state(text: str) -> pb.SeatState.ValueType:
    if text not in STATES:
        raise InvalidArgument([FieldViolation("--state", f"must be one of {', '.join(STATES)}")])
    return STATES[text]


def _row(seat: pb.Seat) -> tuple[str, ...]:
    return (
        seat.device_name,
        output.word(pb.SeatState, seat.state),
        output.moment(seat, "acquire_time"),
        seat.device_guid,
        seat.reason,
    )


def _seat(organization: str, device: str) -> pb.Seat:
    """A device's seat by the device's name or GUID."""
    request = pb.ListOrganizationSeatsRequest(organization_id=id_of(organization))
    if not is_id(device):
        request.device_name = device
    found = pages(stub(SeatServiceStub).ListOrganizationSeats, request, "seats").seats
    if is_id(device):
        found = [each for each in found if each.device_guid == device.lower()]
    seat: pb.Seat = the_one("seat", device, found, lambda each: each.device_guid)
    return seat
