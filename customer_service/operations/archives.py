"""Let a device reach its archive at a storage: take the seat there, and pass on what opens it."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from archive_gateway import credentials
from archive_gateway.domain.names import ArchiveId
from customer_service.domain.provider import ArchiveAccess, Session
from customer_service.domain.seat import Seat
from customer_service.domain.storage import SERVING, Storage, StorageType
from customer_service.operations import enrollment, outcomes, reconcile, seats
from customer_service.operations.enrollment import Caller
from customer_service.operations.organizations import root_id
from customer_service.operations.peers import Dial
from customer_service.operations.seats import Destination
from service_kit.clock import now as clock
from service_kit.database.engine import Database, Transaction
from service_kit.errors import Conflict, OffsiteError, Unavailable
from service_kit.identity.identity import Identity
from service_kit.reasons import Reason

# By these the provider says that it does not hold the seat as this server does, or not in this
# session: the outbox asks for it anew, and records what comes of it.
_ASK_ANEW = (*outcomes.REFUSALS, *outcomes.ATTACHMENT_STATES, Reason.STALE_EPOCH)


@dataclass(frozen=True)
class Opened:
    """How device and storage stand; without a seat there is no access."""

    destination: Destination | None
    access: ArchiveAccess | None = None
    server_guid: str = ""


@dataclass(frozen=True)
class _Found:
    """What one transaction found."""

    device_name: str
    destination: Destination | None
    account_id: str

    @property
    def seat(self) -> Seat | None:
        """The seat, if it is held."""
        seat = self.destination.seat if self.destination else None
        return seat if seat and seat.live else None


@dataclass(frozen=True)
class Archives:
    """What it takes to open archives: here, and at providers.

    `send_now` sends one change of a seat and waits for its outcome; `addresses` are those of this
    server's HTTPS, best first.
    """

    database: Database
    identity: Identity
    dial: Dial
    send_now: Callable[[str, str], Awaitable[None]]
    addresses: Callable[[], Sequence[str]]

    async def open(self, caller: Caller, storage_id: str) -> Opened:
        """Use a storage as the calling device, and answer how its archive there is reached.

        Raises:
            Unauthenticated: the computer is not signed in as this device any more.
            NotFound, Conflict, LimitReached: as `seats.use`; or the attachment needs mending.
            Unavailable: the provider can't be reached.
        """
        await self.database.run(begin, caller, storage_id, clock())
        await self.send_now(storage_id, caller.device_id)
        try:
            return await self._open(caller, storage_id)
        except OffsiteError as error:
            if error.reason not in _ASK_ANEW:
                raise
        await self.database.run(ask_anew, caller, storage_id, clock())
        await self.send_now(storage_id, caller.device_id)
        return await self._open(caller, storage_id)

    async def _open(self, caller: Caller, storage_id: str) -> Opened:
        found = await self.database.read(_look, caller, storage_id)
        if found.destination is None or found.seat is None:
            return Opened(found.destination)
        storage = found.destination.storage
        if storage.type is StorageType.LOCAL:
            access = self._own(ArchiveId(found.account_id, caller.device_id), found.seat)
            return Opened(found.destination, access, self.identity.guid)
        _check_asked(storage)
        provider = await self.dial(storage)
        session = Session(storage.epoch, storage.position)
        access = await provider.open_archive(session, found.seat, found.device_name)
        return Opened(found.destination, access, storage.provider_guid)

    def _own(self, archive: ArchiveId, seat: Seat) -> ArchiveAccess:
        return ArchiveAccess(
            credentials.archive_url(self.addresses(), archive),
            credentials.storage_credential(self.identity, archive, seat.generation),
        )


def begin(tx: Transaction, caller: Caller, storage_id: str, now: datetime) -> None:
    """Use a storage as the calling device.

    Raises:
        Unauthenticated: the computer is not signed in as this device any more.
        OffsiteError: as `seats.use`.
    """
    enrollment.proven(tx, caller)
    seats.use(tx, caller.device_id, storage_id, now)
    enrollment.proven(tx, caller)  # once more, now that nobody can change it


def ask_anew(tx: Transaction, caller: Caller, storage_id: str, now: datetime) -> None:
    """Let the outbox ask for the calling device's seat anew, under the same generation."""
    found = _look(tx, caller, storage_id)
    if found.destination and found.seat and found.destination.storage.state in SERVING:
        reconcile.ask_again(tx, [found.seat], now)


def _look(tx: Transaction, caller: Caller, storage_id: str) -> _Found:
    device = enrollment.proven(tx, caller)
    listed = seats.destinations_of(tx, [device])[device.id]
    destination = next((each for each in listed if each.storage.id == storage_id), None)
    return _Found(device.name, destination, root_id(tx))


def _check_asked(storage: Storage) -> None:
    """Refuse to ask a provider outside of a session in which both ledgers were compared."""
    if storage.state not in SERVING:
        raise Conflict(
            Reason(storage.reason_code or Reason.STORAGE_NOT_ATTACHED),
            f"Storage {storage.name} is {storage.state}. {storage.reason}".strip(),
            storage.advice or "Ask the administrator: storage show.",
        )
    if not storage.compared:
        raise Unavailable(
            Reason.UNAVAILABLE,
            f"Storage {storage.name} is being compared with its provider's ledger.",
            "Try again in a moment.",
            retry_after=timedelta(seconds=1),
        )
