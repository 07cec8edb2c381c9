"""A device as people read it, and what they hand to its user."""

from offsite.common.v1.server_service_pb2 import GetServerIdentityResponse
from offsite.customer.v1 import device_service_pb2 as pb

from service_kit.cli import output
from service_kit.cli.identity import warn_of_loopback


def shown(device: pb.Device) -> None:
    """All that is known of one."""
    output.facts(
        [
            ("name", device.name),
            ("GUID", device.id),
            ("user", device.user_email),
            ("state", output.word(pb.DeviceState, device.state)),
            ("signed out", "yes" if device.deauthorized else ""),
            ("enrolled", "yes" if device.enrolled else "no"),
            ("holds a seat here", "yes" if device.holds_seat else "no"),
        ]
    )
    for each in device.destinations:
        output.line(state(each))
        if each.reason:
            output.line(f"  {each.reason} {each.advice}".rstrip())


def state(destination: pb.Destination) -> str:
    """How a device and a storage stand, in a few words."""
    return f"{destination.storage_name}: {output.word(pb.DestinationState, destination.state)}"


def invitation(code: pb.EnrollmentCode, identity: GetServerIdentityResponse) -> str:
    """The one line that a computer needs to sign in."""
    from service_kit.identity.enrollment import Invitation

    address = next(iter(identity.grpc_addresses), "?")
    return str(Invitation(address, identity.guid, code.code))


def hand_over(code: pb.EnrollmentCode, identity: GetServerIdentityResponse) -> None:
    """What to send to the computer's user, and the command that takes it."""
    output.line("Send this line to the computer's user; it is not shown again, and is good")
    output.line(f"for one computer until {output.moment(code, 'expire_time')}:")
    output.line(f"  {invitation(code, identity)}")
    output.line()
    output.line("On the computer, run this, and enter the line when asked:")
    output.line("  offsite-device enroll")
    warn_of_loopback(identity, "other computer")
