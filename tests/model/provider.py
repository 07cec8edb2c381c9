"""The provider's ledger of one attachment, as pure functions from state to state."""

from enum import StrEnum
from typing import NamedTuple, TypeAlias

from .words import Answer, Call, Kind, Outcome, ProviderRow, Request, Rules


class Rewound(StrEnum):
    NO = "no"
    SUSPECTED = "suspected"
    CONFIRMED = "confirmed"


class Provider(NamedTuple):
    """Everything here is durable: a crash of the provider loses messages and nothing else."""

    rows: tuple[ProviderRow, ...] = (ProviderRow(), ProviderRow())
    in_use: int = 0
    limit: int = 1
    position: int = 0
    epoch: int = 1
    floor: int = 0
    nonces: tuple[int, ...] = ()  # of all sessions, the newest last
    conflict: bool = False
    rewound: Rewound = Rewound.NO
    taken: tuple[bool, ...] = (False, False)  # chunks of the customer's set, since REWOUND
    suspended: bool = False
    went_back: bool = False  # only for the invariants: restored, and the set not sent again yet


Handled: TypeAlias = tuple[Provider, Outcome]


def handle(provider: Provider, request: Request, rules: Rules) -> tuple[Provider, Answer]:
    """One transaction: the request's effect and its answer."""
    provider, outcome = _decide(provider, request, rules)
    listed = provider.rows if outcome is Outcome.LISTED else ()
    call = request._replace(position=0, acknowledged=0, held=False)
    return provider, Answer(call, outcome, provider.position, provider.epoch, listed)


def _decide(provider: Provider, request: Request, rules: Rules) -> Handled:
    provider = _suspect_rewind(provider, request, rules)
    if request.call in (Call.OPEN, Call.TAKE_OVER, Call.RESYNC):
        return _open_session(provider, request, rules)
    if rules.epochs and request.epoch < provider.epoch:
        return provider, Outcome.STALE_EPOCH
    if provider.conflict:
        return provider, Outcome.CONFLICT
    if request.call is Call.CHUNK:
        return _take_chunk(provider, request)
    if provider.rewound is not Rewound.NO:
        return provider, Outcome.REWOUND
    if rules.epochs and request.epoch > provider.epoch:
        return provider, Outcome.STALE_EPOCH
    if request.call is Call.LIST:
        return provider, Outcome.LISTED
    return _seat(provider, request, rules)


def _suspect_rewind(provider: Provider, request: Request, rules: Rules) -> Provider:
    """What the customer has seen and this ledger has not proves that this ledger went back."""
    proofs = (
        rules.positions and request.position > provider.position,
        rules.future_epoch_is_rewound and request.epoch > provider.epoch,
        rules.acknowledged_proves_rewind
        and request.call is Call.SEAT
        and request.acknowledged > provider.rows[request.device].generation
        and request.epoch == provider.epoch,
    )
    if provider.rewound is Rewound.NO and any(proofs):
        return provider._replace(rewound=Rewound.SUSPECTED, taken=(False, False))
    return provider


# --- seats ---------------------------------------------------------------------------------


def _seat(provider: Provider, request: Request, rules: Rules) -> Handled:
    row = provider.rows[request.device]
    fenced = rules.fenced_release or request.kind is Kind.ACQUIRE
    if fenced and request.generation < row.generation:
        return provider, Outcome.STALE_GENERATION
    if request.generation == row.generation:
        same = request.kind is row.kind
        return provider, present_state(row) if same else Outcome.GENERATION_CONFLICT
    if request.kind is Kind.ACQUIRE:
        return _acquire(provider, row, request, rules)
    return _release(provider, row, request, rules)


def present_state(row: ProviderRow) -> Outcome:
    if row.kind is Kind.RELEASE:
        return Outcome.RELEASED
    if row.live:
        return Outcome.HELD
    return Outcome.REVOKED if row.revoked else Outcome.REFUSED


def _acquire(provider: Provider, row: ProviderRow, request: Request, rules: Rules) -> Handled:
    full = provider.suspended or provider.in_use >= provider.limit
    granted = row.live or not (row.revoked or full)
    newer = ProviderRow(request.generation, Kind.ACQUIRE, granted, row.revoked, row.withdrawn)
    if not granted and not rules.tombstone_for_refusal:
        return provider, present_state(newer)
    return _write(provider, request.device, newer), present_state(newer)


def _release(provider: Provider, row: ProviderRow, request: Request, rules: Rules) -> Handled:
    if row.kind is Kind.ABSENT and not rules.tombstone_for_unseen:
        return provider, Outcome.RELEASED
    newer = ProviderRow(request.generation, Kind.RELEASE, False, row.revoked, row.withdrawn)
    return _write(provider, request.device, newer), Outcome.RELEASED


def _write(provider: Provider, device: int, row: ProviderRow) -> Provider:
    """Row, count and position change together."""
    old = provider.rows[device]
    rows = tuple(row if d == device else r for d, r in enumerate(provider.rows))
    return provider._replace(
        rows=rows,
        in_use=provider.in_use + row.live - old.live,
        position=provider.position + 1,
    )


# --- sessions ------------------------------------------------------------------------------


def _open_session(provider: Provider, request: Request, rules: Rules) -> Handled:
    if not rules.epochs:
        return provider, Outcome.OPENED
    known = _known_nonce(provider, request, rules)
    if known is not None:
        return provider, known
    if request.call is Call.TAKE_OVER:
        taken = _next_epoch(provider, request)
        return taken._replace(floor=taken.epoch, conflict=False), Outcome.OPENED
    if request.epoch < provider.floor:
        return provider, Outcome.SUPERSEDED
    if provider.conflict or request.epoch < provider.epoch:
        return provider._replace(conflict=True), Outcome.CONFLICT
    if provider.rewound is not Rewound.NO:
        return _end_rewind(provider, request, rules)
    if request.epoch > provider.epoch:
        return provider._replace(conflict=True), Outcome.CONFLICT
    return _next_epoch(provider, request), Outcome.OPENED


def _known_nonce(provider: Provider, request: Request, rules: Rules) -> Outcome | None:
    """The newest session's nonce repeats its answer; an older one is a message that came late."""
    if request.call is Call.RESYNC and not rules.resync_repeatable:
        return None
    if request.nonce in provider.nonces[-1:]:
        return Outcome.OPENED
    if rules.old_nonces_known and request.nonce in provider.nonces:
        return Outcome.STALE_EPOCH
    return None


def _next_epoch(provider: Provider, request: Request) -> Provider:
    return provider._replace(
        epoch=max(provider.epoch, request.epoch) + 1,
        nonces=(*provider.nonces, request.nonce),
    )


def _end_rewind(provider: Provider, request: Request, rules: Rules) -> Handled:
    """The customer's whole set has come: both sides go on, one beyond what either has seen."""
    if request.call is not Call.RESYNC or provider.rewound is Rewound.SUSPECTED:
        return provider, Outcome.REWOUND
    if rules.resync_is_complete and not all(provider.taken):
        return provider, Outcome.REWOUND
    position = max(provider.position, request.position) + 1
    resynced = _next_epoch(provider, request)._replace(
        position=position, rewound=Rewound.NO, taken=(False, False), went_back=False
    )
    return resynced, Outcome.OPENED


def _take_chunk(provider: Provider, request: Request) -> Handled:
    """One row of the customer's set: a newer generation wins, a held seat is granted again."""
    if provider.rewound is not Rewound.CONFIRMED:
        suspected = provider.rewound is Rewound.SUSPECTED
        return provider, Outcome.REWOUND if suspected else Outcome.NOT_REWOUND
    taken = tuple(t or d == request.device for d, t in enumerate(provider.taken))
    provider = provider._replace(taken=taken)
    row = provider.rows[request.device]
    newer = ProviderRow(request.generation, request.kind, request.held, False, row.withdrawn)
    again = request.held and not (row.live or row.revoked)
    if request.generation > row.generation or (request.generation == row.generation and again):
        return _write(provider, request.device, newer), Outcome.TAKEN
    return provider, Outcome.TAKEN


# --- the operator --------------------------------------------------------------------------


def revoke(provider: Provider, device: int) -> Provider:
    row = provider.rows[device]
    ended = row._replace(live=False, revoked=True, withdrawn=row.generation)
    return _write(provider, device, ended)


def restore_seat(provider: Provider, device: int) -> Provider:
    return _write(provider, device, provider.rows[device]._replace(revoked=False))


def from_backup(backup: Provider, announced: bool) -> Provider:
    """The restore command announces itself; a machine put back to a snapshot does not."""
    if announced:
        backup = backup._replace(rewound=Rewound.CONFIRMED, taken=(False, False))
    return backup._replace(went_back=True)
