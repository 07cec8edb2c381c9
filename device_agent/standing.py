"""How this computer and each destination stand."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from device_agent.destinations import Device
from device_agent.offers import HELD, Offer
from device_agent.state import Kept
from service_kit.errors import OffsiteError, Unavailable
from service_kit.validation import plain


@dataclass
class Standing:
    """The answer of `status`."""

    device: Mapping[str, Any]
    destinations: list[dict[str, Any]] = field(default_factory=list)
    is_unreachable: bool = False

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return {"device": self.device, "destinations": self.destinations}


def of(device: Device) -> Standing:
    """How all stands. No seat is taken by asking.

    Raises:
        OffsiteError: this computer is signed out, or its server can't be reached and nothing is
            known.
    """
    found = device.offers()
    known = device.enrollment
    standing = Standing(
        {
            "id": known.device_id,
            "name": known.device_name,
            "user_email": known.user_email,
            "server_guid": known.server_guid,
            "server_reached": found.untold is None,
            "has_recovery_key": bool(known.recovery_key),
        },
        is_unreachable=isinstance(found.untold, Unavailable),
    )
    for offer in found.destinations:
        _add(standing, device, offer)
    return standing


def _add(standing: Standing, device: Device, offer: Offer) -> None:
    kept = device.state.destination(offer.storage_id, offer.name)
    usage: Mapping[str, Any] = {}
    message, advice = offer.reason, offer.advice
    if offer.state == HELD or kept.access:
        try:
            usage = device.open_held(offer).usage
        except OffsiteError as error:
            if not message:  # else the server has said why, and what to do
                message, advice = error.message, error.advice
            standing.is_unreachable |= isinstance(error, Unavailable)
    standing.destinations.append(_document(offer, kept, usage, message, advice))


def _document(
    offer: Offer, kept: Kept, usage: Mapping[str, Any], message: str, advice: str
) -> dict[str, Any]:
    last = kept.last or {}
    return {
        "destination": offer.name,
        "storage_id": offer.storage_id,
        "seat": offer.state,
        "message": message or plain(str(usage.get("reason") or ""), 500),
        "advice": advice,
        "archive": plain(str(usage.get("state", "")), 20),
        "last_backup_time": plain(str(usage.get("last_backup_time") or ""), 40),
        "stored_bytes": _count(usage, "stored_bytes"),
        "kept_bytes": _count(usage, "kept_bytes"),
        "quota_bytes": _count(usage, "quota_bytes"),
        "quota_left_bytes": _count(usage, "quota_left_bytes"),
        "append_only": bool(usage.get("append_only")),
        "last_run": last.get("verdict", ""),
        "last_run_time": last.get("time", ""),
    }


def _count(usage: Mapping[str, Any], name: str) -> int | None:
    value = usage.get(name)
    return value if isinstance(value, int) else None
