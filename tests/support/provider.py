"""A provider's ledger for tests: organizations as an operator saves them, attached customers."""

import itertools
import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from provider_service.domain.attachment import Opening, Peer, Session, SessionKind
from provider_service.domain.organization import Organization, Settings
from provider_service.domain.quota import DiskQuota
from provider_service.domain.registration_key import DEFAULT_LIFETIME
from provider_service.domain.saving import Draft, Edit, Saved
from provider_service.domain.seat import Kind, SeatRequest
from provider_service.operations import attachments, organizations, seats, sessions
from provider_service.operations.attachments import Attached
from provider_service.operations.seats import Served
from service_kit.database.engine import Database
from service_kit.errors import OffsiteError, settled
from service_kit.identity.identity import Identity
from service_kit.identity.registration_key import normalize

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
PROVIDER = Identity.create()
PEER = Peer(("backup.acme.test:7501",), "0.1.0")
_NUMBERS = itertools.count(1)


def new_guid() -> str:
    """A customer server's GUID."""
    return Identity.create().guid


def hosted(guid: str, *, name: str = "", seats: int = 3) -> Settings:
    """The settings of a hosted organization."""
    return Settings(
        name=name or f"Acme {next(_NUMBERS)}",
        hosted=True,
        customer_guid=guid,
        maximum_seats=seats,
        disk_quota=DiskQuota(500_000_000_000),
    )


def draft(settings: Settings, *, id: str = "", accept_terms: bool = True) -> Draft:
    """A new organization."""
    return Draft(id or str(uuid.uuid4()), settings, accept_terms, DEFAULT_LIFETIME)


def create(database: Database, settings: Settings) -> Saved:
    """Save a new organization."""
    return database.run_sync(organizations.create, PROVIDER, draft(settings), NOW)


def edit(database: Database, organization_id: str, **changes: object) -> Saved:
    """Change settings of an organization."""
    return database.run_sync(
        organizations.update,
        PROVIDER,
        Edit(
            organization_id,
            lambda before: replace(before, **changes),  # type: ignore[arg-type]
            "",
            accept_terms=True,
            key_lifetime=DEFAULT_LIFETIME,
        ),
        NOW,
    )


def attach(database: Database, guid: str, key: str, now: datetime = NOW) -> Attached | OffsiteError:
    """Attach as this server with this key."""
    return database.run_sync(attachments.attach, PROVIDER, guid, normalize("key", key), PEER, now)


@dataclass
class Customer:
    """A customer's server with a session, as its provider sees it."""

    database: Database
    guid: str
    organization_id: str
    key: str
    epoch: int
    position: int = 0

    @classmethod
    def attached(cls, database: Database, *, seats: int = 3) -> "Customer":
        """A hosted organization whose server is attached and has opened a session."""
        guid = new_guid()
        saved = create(database, hosted(guid, seats=seats))
        answer = settled(attach(database, guid, saved.registration_key))
        id = saved.shown.organization.id
        customer = cls(database, guid, id, saved.registration_key, answer.epoch)
        customer.open()
        return customer

    def open(
        self,
        *,
        epoch: int | None = None,
        nonce: str = "",
        kind: SessionKind = SessionKind.START,
        resync_parts: int = 0,
    ) -> Organization:
        """Open a session and keep its epoch."""
        session = Session(epoch or self.epoch, self.position)
        opening = Opening(session, nonce or str(uuid.uuid4()), kind, resync_parts)
        opened = settled(self.database.run_sync(sessions.open_session, self.guid, opening, NOW))
        self.epoch = opened.epoch
        return opened

    def request(
        self, kind: Kind, device: str, generation: int, *, epoch: int | None = None
    ) -> SeatRequest:
        """A seat request of the session."""
        name = "laptop" if kind is Kind.ACQUIRE else ""
        session = Session(epoch or self.epoch, self.position)
        return SeatRequest(self.guid, session, kind, device, name, generation)

    def send(self, *requests: SeatRequest) -> list[Served | OffsiteError]:
        """Apply requests as one batch."""
        return list(self.database.run_sync(seats.apply_batch, requests))

    def acquire(self, device: str, generation: int = 1) -> Served:
        """Take a seat, or raise the refusal."""
        return settled(self.send(self.request(Kind.ACQUIRE, device, generation))[0])

    def release(self, device: str, generation: int) -> Served:
        """Give a seat back, or raise the refusal."""
        return settled(self.send(self.request(Kind.RELEASE, device, generation))[0])

    @property
    def organization(self) -> Organization:
        """The organization as it stands."""
        return self.database.read_sync(organizations.get, self.organization_id).organization


def devices(count: int) -> list[str]:
    """GUIDs of devices, in order."""
    return sorted(str(uuid.uuid4()) for _ in range(count))


LATER = NOW + timedelta(days=4)
