"""A customer's ledger for contract tests: its operations, called as the servicers call them."""

import itertools
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import func, select

from customer_service.domain.device import Device
from customer_service.domain.organization import Organization
from customer_service.domain.provider import Attached, ProviderSeat, SeatAnswer
from customer_service.domain.seat import USING, Seat, SeatState
from customer_service.domain.storage import Entitlement, Storage, StorageState, StorageType
from customer_service.domain.user import User
from customer_service.operations import (
    attach,
    destinations,
    devices,
    organizations,
    outcomes,
    seats,
    storages,
    users,
)
from customer_service.operations.destinations import Changes, Defaults
from customer_service.operations.outcomes import Sent
from customer_service.store import seats as seat_rows
from customer_service.store import storages as storage_rows
from customer_service.store import tables
from service_kit.clock import now
from service_kit.database.engine import Database, Transaction
from service_kit.database.tables import audit_events
from service_kit.errors import OffsiteError
from service_kit.ledger import license

P = ParamSpec("P")
T = TypeVar("T")
KEY = b"a sealed registration key"


def new_id() -> str:
    return str(uuid.uuid4())


@dataclass
class Customer:
    """A ledger with the root organization `Acme` and the storage `Local`."""

    database: Database
    root: str = field(default_factory=new_id)
    local: str = field(default_factory=new_id)
    numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.run(organizations.ensure_root, self.root, "Acme", now())
        self.run(storages.ensure_local, self.local, now())

    def run(
        self, operation: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        return self.database.run_sync(operation, *args, **kwargs)

    def read(
        self, operation: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        return self.database.read_sync(operation, *args, **kwargs)

    def organization(self, name: str, parent_id: str = "") -> str:
        organization = Organization(new_id(), name, parent_id or self.root, now())
        return self.run(organizations.create, organization, now()).organization.id

    def user(self, organization_id: str = "", email: str = "") -> str:
        email = email or f"user-{next(self.numbers)}@acme.test"
        user = User(new_id(), email, organization_id or self.root, now())
        return self.run(users.create, user, now()).user.id

    def device(self, user_id: str = "", name: str = "") -> str:
        name = name or f"laptop-{next(self.numbers)}"
        device = Device(new_id(), name, user_id or self.user(), now())
        return self.run(devices.register, device, now()).device.id

    def attach(
        self, name: str = "Offsite", theirs: Sequence[ProviderSeat] = (), storage_id: str = ""
    ) -> str:
        """Attach a storage of a provider of its own; or one that is there again."""
        if storage_id:
            self.run(attach.begin_again, storage_id, KEY, now())
        else:
            storage_id = new_id()
            self.run(attach.begin, new_storage(storage_id, name).attaching(KEY, now()), now())
        epoch = self.storage(storage_id).epoch + 1
        self.run(attach.finish, storage_id, KEY, Attached(Entitlement(), epoch, 0), theirs, now())
        self.set_compared(storage_id)
        return storage_id

    def storage(self, storage_id: str) -> Storage:
        return self.read(storage_rows.get, storage_id)

    def save(self, storage: Storage) -> None:
        self.run(storage_rows.save, storage)

    def set_compared(self, storage_id: str) -> None:
        def mark(tx: Transaction) -> None:
            tx.execute(
                tables.storages.update()
                .where(tables.storages.c.id == storage_id)
                .values(compared=True)
            )

        self.run(mark)

    def set_defaults(
        self,
        storage_ids: Sequence[str],
        organization_id: str = "",
        *,
        inherit: bool = False,
        apply: bool = True,
        confirmed: bool = True,
    ) -> Changes:
        wanted = Defaults(organization_id, inherit, tuple(storage_ids))
        return self.run(destinations.set_defaults, wanted, now(), apply=apply, confirmed=confirmed)

    def offered(self, user_id: str) -> list[str]:
        return self.read(users.get, user_id).storage_ids

    def use(self, device_id: str, storage_id: str) -> Seat:
        return self.run(seats.use, device_id, storage_id, now())

    def hold(self, device_id: str, storage_id: str) -> Seat:
        """Use a storage, whose provider grants the seat."""
        self.answer(self.use(device_id, storage_id))
        return self.seat(device_id, storage_id)

    def answer(self, sent: Seat, state: SeatState = SeatState.HELD, position: int = 1) -> bool:
        was = Sent(self.storage(sent.storage_id), sent)
        return self.run(outcomes.answered, was, SeatAnswer(state, position), now())

    def refuse(self, sent: Seat, error: OffsiteError) -> None:
        self.run(outcomes.failed, Sent(self.storage(sent.storage_id), sent), error, now())

    def seat(self, device_id: str, storage_id: str) -> Seat:
        found = self.read(seat_rows.find, storage_id, device_id)
        assert found is not None
        return found

    def state(self, device_id: str, storage_id: str) -> SeatState:
        return self.seat(device_id, storage_id).state

    def allow(self, seats: int) -> None:
        self.run(license.set_seats, seats, now())

    def seats_in_use(self) -> int:
        """The local count, which must be that of the rows and that of the audit (I3, I8)."""
        counted, using, audited, allowed = self.read(_counts)
        assert counted == using == audited
        assert counted <= allowed
        return counted


def new_storage(storage_id: str, name: str, provider_guid: str = "") -> Storage:
    return Storage(
        id=storage_id,
        name=name,
        type=StorageType.ATTACHED_SERVER,
        state=StorageState.ATTACHING,
        create_time=now(),
        hostname="provider.test",
        provider_guid=provider_guid or server_guid(),
    )


def server_guid() -> str:
    """Some server's GUID: a UUIDv8."""
    digits = uuid.uuid4().hex
    return str(uuid.UUID(f"{digits[:12]}8{digits[13:]}"))


def _counts(tx: Transaction) -> tuple[int, int, int, int]:
    own = license.get(tx)
    rows = tables.seats.c
    using = select(func.count(rows.device_id.distinct())).where(rows.state.in_(USING))
    deltas = select(func.coalesce(func.sum(audit_events.c.seat_delta), 0))
    audited = int(tx.execute(deltas).scalar_one())
    return own.seats_in_use, tx.execute(using).scalar_one(), audited, own.seats
