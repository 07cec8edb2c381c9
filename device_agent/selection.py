"""Which destination a command is about."""

from device_agent import offers, restore
from device_agent.destinations import Device, Opened
from device_agent.restic import Restic


def opened(device: Device, name: str) -> Opened:
    """The destination of this name; no seat is taken there.

    Raises:
        OffsiteError: it is not offered or not used, refuses or can't be reached.
    """
    (offer,) = offers.named(device.offers().destinations, [name])
    return device.open_held(offer)


def with_snapshot(device: Device, restic: Restic, name: str | None, snapshot: str) -> Opened:
    """The destination of this name, or the first that answers and has the snapshot.

    Raises:
        OffsiteError: none does.
    """
    offered = device.offers().destinations
    wanted = offers.named(offered, [name] if name else [])
    return restore.first_with(device, restic, wanted, snapshot)
