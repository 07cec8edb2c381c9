"""Which destinations this computer is offered: as its server says, or as it last said."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from offsite.customer.v1.device_service_pb2 import Destination, DestinationState

from device_agent.server import LONGEST_NAME, Server, Told
from device_agent.state import State
from service_kit.errors import Conflict, NotFound, OffsiteError, PermissionDenied, Unavailable
from service_kit.reasons import Reason
from service_kit.validation import plain, resource_id

UNKNOWN, HELD = "unknown", "held"


@dataclass(frozen=True)
class Offer:
    """A destination, and how this computer and it stand."""

    storage_id: str
    name: str
    state: str = UNKNOWN
    reason: str = ""
    advice: str = ""


@dataclass(frozen=True)
class Offers:
    """All destinations; `untold` says why they are only what the server last said."""

    destinations: tuple[Offer, ...]
    untold: OffsiteError | None = None


def ask(state: State, server: Server) -> Offers:
    """The destinations, of the server; or those that have been used, where it does not say.

    Raises:
        OffsiteError: the server has signed this computer out; or it says nothing, and none was
            ever used.
    """
    try:
        told = server.device()
    except (Unavailable, Conflict, PermissionDenied) as error:
        known = [each for each in state.destinations() if each.access]
        if not known:
            raise
        return Offers(tuple(Offer(each.storage_id, each.name) for each in known), error)
    _note(state, told)
    return Offers(tuple(map(_offer, told.answer.device.destinations)))


def named(offers: Sequence[Offer], names: Sequence[str]) -> list[Offer]:
    """Those of these names, in any case; all where none is named.

    Raises:
        NotFound: one is not offered, or none at all.
    """
    if not names and offers:
        return list(offers)
    by_name = {each.name.casefold(): each for each in offers}
    missing = [name for name in names if name.casefold() not in by_name]
    if missing or not offers:
        there = ", ".join(each.name for each in offers) or "none"
        raise NotFound(
            Reason.NOT_OFFERED,
            f"This computer is offered {there}, and not {missing[0]}."
            if missing
            else "This computer is offered no destination.",
            "Ask your administrator to offer it.",
        )
    return [by_name[each] for each in dict.fromkeys(name.casefold() for name in names)]


def _note(state: State, told: Told) -> None:
    """Keep what may change of the enrollment."""
    device, known = told.answer.device, state.enrollment
    present = replace(
        known,
        device_name=plain(device.name, LONGEST_NAME),
        user_email=plain(device.user_email, LONGEST_NAME),
        addresses=tuple(dict.fromkeys([known.addresses[0], *told.addresses])),
        recovery_key=told.answer.recovery_key,
    )
    if present != known:
        state.save_enrollment(present)


def _offer(destination: Destination) -> Offer:
    state = DestinationState.Name(destination.state).removeprefix("DESTINATION_STATE_").lower()
    return Offer(
        resource_id("storage_id", destination.storage_id),
        plain(destination.storage_name, 200),
        state,
        plain(destination.reason, 500),
        plain(destination.advice, 500),
    )
