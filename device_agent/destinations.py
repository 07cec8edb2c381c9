"""Open a destination: take the seat, prove the archive's server, and find how it stands."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from offsite.customer.v1 import agent_service_pb2 as pb

from device_agent.access import Access
from device_agent.archive import Archive
from device_agent.device_key import DeviceKey
from device_agent.offers import HELD, Offer, Offers, ask
from device_agent.proof import ensure_ca
from device_agent.restic_run import Repository
from device_agent.server import Server
from device_agent.state import Kept, State
from service_kit.errors import (
    Conflict,
    LimitReached,
    OffsiteError,
    PermissionDenied,
    Unauthenticated,
    Unavailable,
)
from service_kit.reasons import Reason
from service_kit.validation import plain


@dataclass(frozen=True)
class Opened:
    """A destination whose archive has answered."""

    kept: Kept
    archive: Archive
    repository: Repository
    usage: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The destination's name."""
        return self.kept.name


class Device:
    """An enrolled computer."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.enrollment = state.enrollment
        self.key = DeviceKey.load(state)
        self.server = Server(self.enrollment, self.key)
        self.offered: tuple[Offer, ...] = ()  # when it was asked last

    def offers(self) -> Offers:
        """Which destinations it is offered."""
        found = ask(self.state, self.server)
        self.enrollment, self.offered = self.state.enrollment, found.destinations
        return found

    def open(self, offer: Offer) -> Opened:
        """A destination by the access that is known, and by a new one where that does not do.

        Raises:
            OffsiteError: there is no access, or the archive refuses or can't be reached.
        """
        kept = self.state.destination(offer.storage_id, offer.name)
        if kept.access is None:
            return self.open_anew(offer)
        try:
            return self._opened(kept, kept.access)
        except (Unauthenticated, Unavailable, PermissionDenied) as error:
            return self._open_if_changed(offer, kept, error)

    def open_held(self, offer: Offer) -> Opened:
        """A destination, without taking a seat there.

        Raises:
            Conflict: this computer does not use it.
            OffsiteError: as `open`.
        """
        kept = self.state.destination(offer.storage_id, offer.name)
        if offer.state == HELD:
            return self.open(offer)
        if kept.access is None:
            raise Conflict(
                Reason.WRONG_STATE,
                offer.reason or f"{offer.name}: this computer does not use it.",
                offer.advice or "Back up to it first.",
            )
        return self._opened(kept, kept.access)

    def open_anew(self, offer: Offer) -> Opened:
        """A destination by a new access, which takes the seat if it is not held.

        Raises:
            OffsiteError: as `open`.
        """
        return self._opened(*self._new_access(offer))

    def _open_if_changed(self, offer: Offer, kept: Kept, error: OffsiteError) -> Opened:
        """By a new access, if there is another one; else the refusal of the one that is known."""
        try:
            renewed, access = self._new_access(offer)
        except Unavailable:
            raise error from None
        if access == kept.access:
            raise error
        return self._opened(renewed, access)

    def _new_access(self, offer: Offer) -> tuple[Kept, Access]:
        """Ask the server for access, and keep it."""
        kept = self.state.destination(offer.storage_id, offer.name)
        answer = self.server.open_archive(offer.storage_id)
        if not answer.HasField("access"):
            raise _refused(offer.name, answer)
        access = self._access(answer.access)
        kept = replace(kept, access=access)
        self.state.save_destination(kept)
        return kept, access

    def _opened(self, kept: Kept, access: Access) -> Opened:
        ca_file = ensure_ca(access, self.state.ca_file(kept.storage_id))
        archive = Archive(kept.name, access, ca_file)
        usage = archive.usage()
        password = self.state.password(self.enrollment.device_id)
        return Opened(kept, archive, Repository(access, ca_file, password), usage)

    def _access(self, message: pb.ArchiveAccess) -> Access:
        return Access(
            message.archive_url,
            self.enrollment.device_id,
            message.storage_credential,
            message.server_guid,
        )


def _refused(name: str, answer: pb.OpenArchiveResponse) -> OffsiteError:
    """Why there is no access; the server's own words say which of the two refused."""
    destination = answer.destination
    reason = plain(destination.reason, 500) or "the seat was asked for and is not answered yet."
    advice = plain(destination.advice, 500) or "Try again later, or ask your administrator."
    said = reason if reason.startswith(name) else f"{name}: {reason}"
    return LimitReached(Reason.SEAT_LIMIT_REACHED, said, advice)
