"""One copy of the customer's ledger for one attached storage, as pure functions."""

from enum import StrEnum
from typing import NamedTuple, TypeVar

from .words import DEVICES, Answer, Call, Kind, Outcome, ProviderRow, Request, Rules


class SeatState(StrEnum):
    NONE = "none"
    ACQUIRING = "acquiring"
    HELD = "held"
    RELEASING = "releasing"
    REFUSED = "refused"
    REVOKED = "revoked"


class Attachment(StrEnum):
    ATTACHED = "attached"
    CONFLICT = "conflict"
    REWOUND = "rewound"


Item = TypeVar("Item")
PENDING = (SeatState.ACQUIRING, SeatState.RELEASING)
SETTLED = {
    Outcome.HELD: SeatState.HELD,
    Outcome.RELEASED: SeatState.NONE,
    Outcome.REFUSED: SeatState.REFUSED,
    Outcome.REVOKED: SeatState.REVOKED,
}


class Compare(StrEnum):
    """What a session still owes before its first seat request."""

    NOTHING = "nothing"
    CHECK = "check"  # is anything there newer than here?
    ADOPT = "adopt"  # a takeover: what is newer there counts


class Row(NamedTuple):
    """A device's seat there; a released row stays, with its generation."""

    generation: int = 0
    state: SeatState = SeatState.NONE
    acknowledged: int = 0  # the generation that the provider has answered last
    held: bool = False  # that answer was "held", and nobody has asked for the release since

    @property
    def kind(self) -> Kind:
        releasing = self.state in (SeatState.RELEASING, SeatState.NONE)
        return Kind.RELEASE if releasing else Kind.ACQUIRE

    @property
    def pending(self) -> bool:
        return self.state in PENDING


class Customer(NamedTuple):
    # Durable.
    rows: tuple[Row, ...] = (Row(), Row())
    local: tuple[bool, ...] = (False, False)  # the customer's own ledger
    attachment: Attachment = Attachment.ATTACHED
    epoch: int = 1
    position: int = 0
    opening: Call | None = None  # the session asked for and not answered
    nonce: int = 0  # of that session; written before it is sent
    owes: Compare = Compare.NOTHING
    unclaimed: tuple[int, ...] = (0, 0)  # generation of a provider's seat without a row here
    # Volatile.
    session: bool = False  # this process has opened its own
    own_nonce: bool = False  # this process drew the nonce
    doubted: tuple[bool, ...] = (False, False)  # reconcile found a difference
    chunks: tuple[bool, ...] = (False, False)  # answered parts of the resync


def restarted(customer: Customer) -> Customer:
    """What a crash leaves, in a new process."""
    return customer._replace(
        session=False, own_nonce=False, doubted=(False, False), chunks=(False, False)
    )


def _put(items: tuple[Item, ...], device: int, item: Item) -> tuple[Item, ...]:
    return tuple(item if d == device else i for d, i in enumerate(items))


def with_row(customer: Customer, device: int, row: Row) -> Customer:
    return customer._replace(
        rows=_put(customer.rows, device, row),
        doubted=_put(customer.doubted, device, False),
        unclaimed=_put(customer.unclaimed, device, 0),
    )


# --- people --------------------------------------------------------------------------------


def use(customer: Customer, device: int, license_: int) -> Customer | None:
    """The device uses the storage, or renews its seat: the local seat first. None: no seat."""
    row = customer.rows[device]
    if row.state is SeatState.ACQUIRING:
        return None
    if not customer.local[device] and sum(customer.local) >= license_:
        return None
    if customer.unclaimed[device]:
        row = Row(customer.unclaimed[device], SeatState.HELD, customer.unclaimed[device], True)
    wish = row._replace(generation=row.generation + 1, state=SeatState.ACQUIRING)
    changed = with_row(customer, device, wish)
    return changed._replace(local=_put(customer.local, device, True))


def stop(customer: Customer, device: int) -> Customer | None:
    """The device is deactivated: both seats end, the provider's when it can be reached."""
    row = customer.rows[device]
    if row.state not in (SeatState.ACQUIRING, SeatState.HELD):
        return None
    wish = row._replace(generation=row.generation + 1, state=SeatState.RELEASING, held=False)
    changed = with_row(customer, device, wish)
    return changed._replace(local=_put(customer.local, device, False))


def take_over(customer: Customer, nonce: int) -> Customer:
    return customer._replace(opening=Call.TAKE_OVER, nonce=nonce, own_nonce=True)


def give_up(customer: Customer, device: int) -> Customer:
    """A mutant's answer to a deadline: the seat is thought free, here and there."""
    row = customer.rows[device]._replace(state=SeatState.NONE)
    changed = with_row(customer, device, row)
    return changed._replace(local=_put(customer.local, device, False))


# --- what the process says next ------------------------------------------------------------


def draws_nonce(customer: Customer, nonce: int) -> Customer | None:
    """Write the next session's nonce, where a session is needed and none is being opened."""
    if customer.opening is not None:
        return None
    if customer.attachment is Attachment.REWOUND and all(customer.chunks):
        kept = customer.nonce or nonce  # a nonce lives until it is answered with an epoch
        return customer._replace(opening=Call.RESYNC, nonce=kept, own_nonce=True)
    if customer.attachment is Attachment.ATTACHED and not customer.session:
        return customer._replace(opening=Call.OPEN, nonce=nonce, own_nonce=True)
    return None


def requests(me: int, customer: Customer, reconcile: bool, rules: Rules) -> list[Request]:
    """All that the process may send now; `reconcile` says that its hour has come."""
    envelope = Request(Call.LIST, me, customer.epoch, customer.position)
    if customer.opening is not None:
        return [envelope._replace(call=customer.opening, nonce=customer.nonce)]
    if customer.attachment is Attachment.REWOUND:
        unsent = [d for d in DEVICES if not customer.chunks[d]]
        return [_chunk(envelope, customer.rows[d], d, rules) for d in unsent]
    if customer.attachment is Attachment.CONFLICT or not customer.session:
        return []
    if customer.owes is not Compare.NOTHING:
        return [envelope]
    due = [d for d in DEVICES if customer.rows[d].pending or customer.doubted[d]]
    asked = [_seat_request(envelope, customer.rows[d], d) for d in due]
    return asked or [envelope] * reconcile


def _seat_request(envelope: Request, row: Row, device: int) -> Request:
    return envelope._replace(
        call=Call.SEAT,
        device=device,
        generation=row.generation,
        kind=row.kind,
        acknowledged=row.acknowledged,
    )


def _chunk(envelope: Request, row: Row, device: int, rules: Rules) -> Request:
    """A row's last settled state; a pending wish is sent again after the resync."""
    chunk = envelope._replace(call=Call.CHUNK, device=device)
    if row.pending and not rules.resync_sends_renewing_seats:
        return chunk
    kind = row.kind
    if row.pending:
        kind = Kind.ACQUIRE if row.held else Kind.RELEASE
    return chunk._replace(generation=row.acknowledged, kind=kind, held=row.held)


# --- answers -------------------------------------------------------------------------------


def receive(customer: Customer, answer: Answer, rules: Rules) -> Customer:
    request = answer.request
    if request.call in (Call.OPEN, Call.TAKE_OVER, Call.RESYNC):
        return _session_answered(customer, answer, rules)
    if request.epoch != customer.epoch and rules.answers_of_old_epochs_ignored:
        return customer
    match answer.outcome:
        case Outcome.STALE_EPOCH | Outcome.NOT_REWOUND:
            return _session_over(customer, request)
        case Outcome.CONFLICT:
            return customer._replace(attachment=Attachment.CONFLICT)
        case Outcome.REWOUND:
            return customer._replace(attachment=Attachment.REWOUND, chunks=(False, False))
    return _done(customer, answer, rules)


def _session_over(customer: Customer, request: Request) -> Customer:
    """Ask for the next session, unless the row has moved on since: the answer will tell why."""
    if request.epoch != customer.epoch or customer.opening is not None:
        return customer
    attached = customer.attachment is not Attachment.CONFLICT
    attachment = Attachment.ATTACHED if attached else Attachment.CONFLICT
    return customer._replace(attachment=attachment, session=False)


def _done(customer: Customer, answer: Answer, rules: Rules) -> Customer:
    customer = customer._replace(position=max(customer.position, answer.position))
    match answer.request.call:
        case Call.CHUNK:
            chunks = _put(customer.chunks, answer.request.device, True)
            return customer._replace(chunks=chunks)
        case Call.LIST:
            return _listed(customer, answer, rules)
    return _seat_answered(customer, answer)


def _session_answered(customer: Customer, answer: Answer, rules: Rules) -> Customer:
    asked = (customer.opening, customer.nonce)
    if asked != (answer.request.call, answer.request.nonce):
        return customer
    if answer.outcome is Outcome.REWOUND:
        return customer._replace(opening=None, attachment=Attachment.REWOUND, chunks=(False, False))
    closed = customer._replace(opening=None, nonce=0)
    if answer.outcome is Outcome.OPENED:
        return _opened(closed, answer, rules)
    if answer.outcome is Outcome.STALE_EPOCH and customer.attachment is not Attachment.CONFLICT:
        return closed._replace(attachment=Attachment.ATTACHED, session=False)
    return closed._replace(attachment=Attachment.CONFLICT)


def _opened(customer: Customer, answer: Answer, rules: Rules) -> Customer:
    owes = Compare.CHECK if rules.session_compares_first else Compare.NOTHING
    if answer.request.call is Call.TAKE_OVER or customer.owes is Compare.ADOPT:
        owes = Compare.ADOPT
    return customer._replace(
        epoch=answer.epoch,
        position=max(customer.position, answer.position),
        session=customer.own_nonce or not rules.own_session,
        attachment=Attachment.ATTACHED,
        owes=owes,
    )


def _seat_answered(customer: Customer, answer: Answer) -> Customer:
    device = answer.request.device
    row = customer.rows[device]
    if row.generation != answer.request.generation or row.kind is not answer.request.kind:
        return customer
    if answer.outcome in (Outcome.STALE_GENERATION, Outcome.GENERATION_CONFLICT):
        return customer._replace(attachment=Attachment.CONFLICT)
    if not row.pending and not customer.doubted[device]:
        return customer
    state = SETTLED[answer.outcome]
    held = state is SeatState.HELD
    return with_row(customer, device, Row(row.generation, state, row.generation, held))


def _listed(customer: Customer, answer: Answer, rules: Rules) -> Customer:
    for device in DEVICES:
        there = answer.rows[device]
        if customer.owes is Compare.ADOPT:
            customer = _adopt(customer, device, there, rules)
        elif not rules.reconcile_asks:
            customer = _copy_theirs(customer, device, there)
        else:
            customer = _compare(customer, device, there)
    return customer._replace(owes=Compare.NOTHING)


def _compare(customer: Customer, device: int, there: ProviderRow) -> Customer:
    """A difference changes nothing: it is asked about, reported, or left to the operator."""
    row = customer.rows[device]
    if there.generation and row.generation == 0:
        return _take_unknown(customer, device, there)
    if there.generation > row.generation:
        return customer._replace(attachment=Attachment.CONFLICT)
    same = there.generation == row.generation and there.live is (row.state is SeatState.HELD)
    if same or row.pending:
        return customer
    return customer._replace(doubted=_put(customer.doubted, device, True))


def _take_unknown(customer: Customer, device: int, there: ProviderRow) -> Customer:
    """A device that this ledger does not know: its live seat is listed as unclaimed."""
    if there.live:
        unclaimed = _put(customer.unclaimed, device, there.generation)
        return customer._replace(unclaimed=unclaimed)
    return _copy_theirs(customer, device, there)


def _copy_theirs(customer: Customer, device: int, there: ProviderRow) -> Customer:
    state = SeatState.NONE
    if there.live:
        state = SeatState.HELD
    elif there.revoked:
        state = SeatState.REVOKED
    row = Row(there.generation, state, there.generation, there.live)
    return with_row(customer, device, row)


def _adopt(customer: Customer, device: int, there: ProviderRow, rules: Rules) -> Customer:
    """After a takeover the provider's higher generation counts; a wish is made again above it."""
    row = customer.rows[device]
    if there.generation and row.generation == 0:
        return _take_unknown(customer, device, there)
    pending_there = row.pending and there.kind is row.kind
    if there.generation < row.generation or (
        there.generation == row.generation and (pending_there or there.generation == 0)
    ):
        return customer
    if row.pending and rules.takeover_repeats_wishes:
        held = there.live and row.state is SeatState.ACQUIRING
        wish = Row(there.generation + 1, row.state, there.generation, held)
        return with_row(customer, device, wish)
    return _copy_theirs(customer, device, there)
