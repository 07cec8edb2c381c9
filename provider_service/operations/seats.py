"""Seats taken and given back, many requests to a transaction."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from provider_service.domain import attachment
from provider_service.domain.account import Account
from provider_service.domain.organization import Attachment, Organization
from provider_service.domain.seat import (
    Kind,
    Seat,
    SeatRequest,
    SeatState,
    decide,
    restored,
    withdrawn,
)
from provider_service.operations import sessions
from provider_service.store import accounts as account_store
from provider_service.store import organizations
from provider_service.store import seats as store
from provider_service.store.seats import SeatKey
from service_kit import clock
from service_kit.database.engine import Transaction
from service_kit.database.paging import Page, PageRequest
from service_kit.errors import NotFound, OffsiteError
from service_kit.ledger import audit
from service_kit.ledger import license as master_license
from service_kit.reasons import Reason


@dataclass(frozen=True, slots=True)
class Served:
    """The answer to a seat request that was granted."""

    organization_id: str
    seat: Seat
    position: int


def apply_batch(
    tx: Transaction, requests: Sequence[SeatRequest]
) -> Sequence[Served | OffsiteError]:
    """Apply requests as if they had come one by one, in a few statements for all of them.

    The limit, the rows and the counts change in this one transaction.
    """
    now = clock.now()
    batch = _Batch(tx, requests, now)
    outcomes = [batch.serve(request) for request in requests]
    batch.write(tx)
    return outcomes


class _Batch:
    """Everything that a batch of requests touches: read once, decided in memory, written once."""

    def __init__(self, tx: Transaction, requests: Sequence[SeatRequest], now: datetime) -> None:
        self.now = now
        # Always in this order, organizations by id and then the license: no deadlock.
        self.accounts = account_store.lock(tx, {each.customer_guid for each in requests})
        master = master_license.lock(tx)
        self.license_free = master.seats - master.seats_in_use
        self.seats = store.of_devices(
            tx,
            [account.organization_id for account in self.accounts.values()],
            {each.device_guid for each in requests},
        )
        attached = {guid for guid, each in self.accounts.items() if attachment.is_attached(each)}
        self.former = {
            guid: organizations.is_former_customer(tx, guid)
            for guid in {each.customer_guid for each in requests} - attached
        }
        self.taken = 0
        self.heard_of: dict[str, Account] = {}
        self.changed: dict[SeatKey, Seat] = {}
        self.events: list[audit.Entry] = []
        self.rewound: list[Account] = []

    def serve(self, request: SeatRequest) -> Served | OffsiteError:
        """Decide one request; everything before it counts."""
        account = self.accounts.get(request.customer_guid)
        if account is None or not attachment.is_attached(account):
            former = self.former[request.customer_guid]
            return attachment.ended() if former else attachment.not_attached()
        outcome = self._enter(request, account) or self._decide(request, account)
        if isinstance(outcome, OffsiteError):
            outcome.metadata.setdefault("position", str(account.position))
        return outcome

    def _enter(self, request: SeatRequest, account: Account) -> OffsiteError | None:
        """Why the attachment takes no request, or None; a rewound ledger is found out here."""
        seat = self.seats.get((account.organization_id, request.device_guid))
        # It was answered here, so it was known here: this ledger has lost it since.
        lost = request.acknowledged > (seat.generation if seat else 0)
        if attachment.rewinds(account, request.session) or (lost and attachment.serves(account)):
            account.attachment = Attachment.REWOUND
            account.rewound_confirmed = False
            self.rewound.append(account)
        refusal = attachment.refusal(account, request.session.epoch)
        if refusal is None:
            account.session_used = True
        self.heard_of[account.organization_id] = account
        return refusal

    def _decide(self, request: SeatRequest, account: Account) -> Served | OffsiteError:
        key = (account.organization_id, request.device_guid)
        before = self.seats.get(key)
        try:
            decision = decide(request, before, account, self.license_free, self.now)
        except OffsiteError as refusal:
            return refusal
        if decision.changed:
            self._change(request, account, before, decision.seat)
        if decision.refusal is not None:
            decision.refusal.metadata["state"] = decision.seat.state.name
            return decision.refusal
        return Served(account.organization_id, decision.seat, account.position)

    def _change(
        self, request: SeatRequest, account: Account, before: Seat | None, after: Seat
    ) -> None:
        """Count a changed row: row, counts and audit stay one."""
        key = (account.organization_id, request.device_guid)
        self.seats[key] = self.changed[key] = after
        delta = after.live - (before is not None and before.live)
        account.position += 1
        account.seats_in_use += delta
        account.seat_rows += before is None
        self.license_free -= delta
        self.taken += delta
        self.events.append(
            audit.Entry(
                kind=_event(request, before, after),
                organization_id=account.organization_id,
                subject=request.device_guid,
                detail=f"Generation {after.generation}. {after.reason}".rstrip(),
                seat_delta=delta,
                actor=f"peer:{request.customer_guid}",
            )
        )

    def write(self, tx: Transaction) -> None:
        """Write what changed."""
        store.put(tx, self.changed)
        account_store.save(tx, list(self.heard_of.values()), self.now)
        if self.taken:
            master_license.add_in_use(tx, self.taken)
        audit.record_all(tx, self.events, self.now)
        for account in self.rewound:
            sessions.note_rewound(tx, account.organization_id, account.customer_guid, self.now)


def _event(request: SeatRequest, before: Seat | None, after: Seat) -> str:
    if request.kind is Kind.RELEASE:
        return "seat.released"
    if not after.live:
        return "seat.refused"
    return "seat.renewed" if before is not None and before.live else "seat.acquired"


def list_of_customer(tx: Transaction, guid: str, page: PageRequest) -> tuple[Page[Seat], int]:
    """A page of the caller's rows, and the position.

    Reads alone, also in a conflict or with a rewound ledger and under any epoch: the customer
    compares before it decides.

    Raises:
        Conflict: the attachment has ended, or never was.
    """
    organization = sessions.find_attached(tx, guid)
    return store.list_all(tx, organization.id, page), organization.position


def list_page(
    tx: Transaction,
    organization_id: str,
    state: SeatState | None,
    device_name: str,
    page: PageRequest,
) -> Page[Seat]:
    """A page of an organization's seats for the operator.

    Raises:
        NotFound: no such organization.
    """
    organization = organizations.get(tx, organization_id)
    return store.list_page(tx, organization.id, state, device_name, page)


def revoke(
    tx: Transaction, organization_id: str, device_guid: str, reason: str, now: datetime
) -> Seat:
    """End a device's seat and refuse every later request for it. A repeat changes nothing.

    Raises:
        NotFound: no such organization, or the device has never asked for a seat.
    """
    organization = organizations.lock(tx, organization_id)
    seat = _seat(tx, organization, device_guid)
    if seat.revoked:
        return seat
    after = withdrawn(seat, reason, now)
    _put(tx, organization, after, -int(seat.live))
    if seat.live:
        master_license.add_in_use(tx, -1)
    _record(tx, "seat.revoked", organization_id, after, reason, -int(seat.live), now)
    return after


def restore(tx: Transaction, organization_id: str, device_guid: str, now: datetime) -> Seat:
    """Let a revoked device ask again; it has no seat until it does. A repeat changes nothing.

    Raises:
        NotFound: no such organization, or the device has never asked for a seat.
    """
    organization = organizations.lock(tx, organization_id)
    seat = _seat(tx, organization, device_guid)
    if not seat.revoked:
        return seat
    after = restored(seat, now)
    _put(tx, organization, after, 0)
    _record(tx, "seat.restored", organization_id, after, "", 0, now)
    return after


def _seat(tx: Transaction, organization: Organization, device_guid: str) -> Seat:
    seat = store.find(tx, organization.id, device_guid)
    if seat is None:
        raise NotFound(
            Reason.NOT_FOUND,
            f"Device {device_guid} has never asked {organization.settings.name}'s seats.",
            "List the organization's seats and use one of their devices.",
        )
    return seat


def _put(tx: Transaction, organization: Organization, seat: Seat, delta: int) -> None:
    store.put(tx, {(organization.id, seat.device_guid): seat})
    counted = replace(
        organization,
        position=organization.position + 1,
        seats_in_use=organization.seats_in_use + delta,
    )
    organizations.save(tx, counted)


def _record(
    tx: Transaction,
    kind: str,
    organization_id: str,
    seat: Seat,
    detail: str,
    delta: int,
    now: datetime,
) -> None:
    audit.record(
        tx,
        kind,
        organization_id=organization_id,
        subject=seat.device_guid,
        detail=detail,
        seat_delta=delta,
        now=now,
    )
