"""What is left to a computer that may not read its archive any more."""

from device_agent.destinations import Device
from device_agent.offers import Offer
from service_kit.errors import LimitReached, OffsiteError, Unauthenticated


def reading(device: Device, offer: Offer, error: OffsiteError) -> OffsiteError:
    """The error of a reading: where the seat has ended, with what the server says, and the way."""
    if not isinstance(error, Unauthenticated | LimitReached):
        return error
    name = device.enrollment.device_name
    return type(error)(
        error.reason,
        error.message,
        f'Ask your administrator for a grant (archive grant {name} --from "{offer.name}"), '
        "then: offsite-device recover.",
    )
