"""The snapshots at every destination."""

from dataclasses import dataclass
from typing import Any

from device_agent import offers, refused, restore
from device_agent.destinations import Device
from device_agent.restic import Restic
from service_kit.errors import OffsiteError, Unavailable


@dataclass(frozen=True)
class Listed:
    """The snapshots, and what could not be listed."""

    snapshots: list[dict[str, Any]]
    refusals: list[OffsiteError]

    @property
    def is_unreachable(self) -> bool:
        """Whether a destination could not be reached."""
        return any(isinstance(each, Unavailable) for each in self.refusals)


def snapshots(device: Device, restic: Restic, name: str | None) -> Listed:
    """The snapshots at a destination, or at all."""
    found = Listed([], [])
    for offer in offers.named(device.offers().destinations, [name] if name else []):
        try:
            opened = device.open_held(offer)
            # Without a repository there is nothing to list, and restic would call that a fault.
            there = opened.archive.has_config()
            listed = restore.snapshots(restic, opened.repository, opened.archive) if there else []
            found.snapshots.extend({"destination": offer.name, **each} for each in listed)
        except OffsiteError as error:
            found.refusals.append(refused.reading(device, offer, error))
    return found
