"""Both servers' ledgers side by side, and what must hold of them: the invariants I1 to I9."""

from dataclasses import dataclass

from sqlalchemy import func, select

from customer_service.store import tables as at_customer
from provider_service.store import tables as at_provider
from service_kit.database.engine import Database, Transaction
from service_kit.database.tables import audit_events, license_table

USING = ("acquiring", "held", "refused", "revoked")
WAITING = ("acquiring", "releasing")


@dataclass(frozen=True)
class ProviderLedger:
    """A provider's ledger of one organization."""

    generations: dict[str, int]
    live: dict[str, int]
    revoked: frozenset[str]
    attachment: str
    epoch: int
    position: int
    maximum_seats: int
    counted: int
    license_seats: int
    license_in_use: int
    all_live: int
    audited: int


@dataclass(frozen=True)
class CustomerLedger:
    """A customer's ledger of one storage."""

    states: dict[str, str]
    generations: dict[str, int]
    unclaimed: frozenset[str]
    state: str
    reason: str
    compared: bool
    found_equal: bool
    epoch: int
    local: frozenset[str]
    license_seats: int

    @property
    def held(self) -> dict[str, int]:
        return {
            device: self.generations[device]
            for device, state in self.states.items()
            if state == "held"
        }

    @property
    def waiting(self) -> set[str]:
        return {device for device, state in self.states.items() if state in WAITING}


@dataclass(frozen=True)
class Ledgers:
    """Both at one moment; the customer's is read first, so nothing is answered in between."""

    customer: CustomerLedger
    provider: ProviderLedger

    def check_always(self, *, over: bool = False) -> None:
        """What holds at every moment; `over`: a limit was lowered or a ledger rewound before."""
        provider, customer = self.provider, self.customer
        if not over:
            assert len(provider.live) <= provider.maximum_seats, "I1: above the maximum"
            assert provider.all_live <= provider.license_seats, "I1: above the license"
        assert provider.counted == len(provider.live), "I2: another count than rows"
        assert provider.license_in_use == provider.all_live, "I2: another license count than rows"
        assert len(customer.local) <= customer.license_seats, "I3: above the local license"
        assert provider.audited == provider.all_live, "I8: the audit does not add up"
        assert {device for device, state in customer.states.items() if state in USING} <= (
            customer.local
        ), "I9: a device in use holds no local seat"

    def check_held(self) -> None:
        """What the customer holds, the provider knows of: in every lawful, compared session."""
        provider = self.provider
        for device, generation in self.customer.held.items():
            if device not in provider.revoked:
                assert provider.live.get(device) == generation, f"I4: {device}"

    def check_settled(self) -> None:
        """Nothing is under way: both ledgers are equal."""
        self.check_held()
        assert not self.customer.waiting
        held = set(self.customer.held) | self.customer.unclaimed
        assert set(self.provider.live) <= held, "I5: a seat that nobody here holds"

    @property
    def equal(self) -> bool:
        """Whether both say the same, with nothing under way; unclaimed seats apart."""
        strangers = self.customer.unclaimed
        live = {each: at for each, at in self.provider.live.items() if each not in strangers}
        return self.customer.held == live and not self.customer.waiting


def read_ledgers(
    provider: Database, organization_id: str, customer: Database, storage_id: str
) -> Ledgers:
    """Read both ledgers."""
    ours = customer.read_sync(_read_customer, storage_id)
    return Ledgers(ours, provider.read_sync(_read_provider, organization_id))


def _read_provider(tx: Transaction, organization_id: str) -> ProviderLedger:
    seats, organizations = at_provider.seats, at_provider.organizations
    rows = tx.execute(select(seats).where(seats.c.organization_id == organization_id)).all()
    organization = tx.execute(
        select(organizations).where(organizations.c.id == organization_id)
    ).one()
    license_row = tx.execute(select(license_table)).one()
    return ProviderLedger(
        generations={row.device_guid: row.generation for row in rows},
        live={row.device_guid: row.generation for row in rows if row.live},
        revoked=frozenset(row.device_guid for row in rows if row.revoked),
        attachment=organization.attachment,
        epoch=organization.epoch,
        position=organization.position,
        maximum_seats=organization.maximum_seats,
        counted=organization.seats_in_use,
        license_seats=license_row.seats,
        license_in_use=license_row.seats_in_use,
        all_live=tx.execute(select(func.count()).where(seats.c.live)).scalar_one(),
        audited=tx.execute(
            select(func.coalesce(func.sum(audit_events.c.seat_delta), 0))
        ).scalar_one(),
    )


def _read_customer(tx: Transaction, storage_id: str) -> CustomerLedger:
    seats, storages = at_customer.seats, at_customer.storages
    unclaimed = at_customer.unclaimed_seats
    rows = tx.execute(select(seats).where(seats.c.storage_id == storage_id)).all()
    storage = tx.execute(select(storages).where(storages.c.id == storage_id)).one()
    using = select(seats.c.device_id).where(seats.c.state.in_(USING)).distinct()
    strangers = select(unclaimed.c.device_guid).where(unclaimed.c.storage_id == storage_id)
    return CustomerLedger(
        states={row.device_id: row.state for row in rows},
        generations={row.device_id: row.generation for row in rows},
        unclaimed=frozenset(tx.execute(strangers).scalars()),
        state=storage.state,
        reason=storage.reason_code,
        compared=storage.compared,
        found_equal=storage.reconcile_time is not None,
        epoch=storage.epoch,
        local=frozenset(tx.execute(using).scalars()),
        license_seats=tx.execute(select(license_table.c.seats)).scalar_one(),
    )
