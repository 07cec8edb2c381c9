"""The words that both ledgers speak: kinds, states, outcomes, requests and answers."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, TypeAlias

DEVICES = (0, 1)


class Kind(StrEnum):
    ABSENT = "absent"
    ACQUIRE = "acquire"
    RELEASE = "release"


class Call(StrEnum):
    SEAT = "seat"
    LIST = "list"
    OPEN = "open"
    TAKE_OVER = "take over"
    CHUNK = "chunk"
    RESYNC = "resync"


class Outcome(StrEnum):
    HELD = "held"
    RELEASED = "released"
    REFUSED = "refused"
    REVOKED = "revoked"
    LISTED = "listed"
    OPENED = "opened"
    TAKEN = "chunk taken"
    STALE_GENERATION = "stale generation"
    GENERATION_CONFLICT = "generation conflict"
    STALE_EPOCH = "stale epoch"
    SUPERSEDED = "epoch superseded"
    CONFLICT = "conflict"
    REWOUND = "rewound"
    NOT_REWOUND = "not rewound"


class ProviderRow(NamedTuple):
    """A device's seat at the provider; a row that is not live is a tombstone."""

    generation: int = 0
    kind: Kind = Kind.ABSENT
    live: bool = False
    revoked: bool = False
    withdrawn: int = 0  # only for the invariants: the last generation that an operator ended


class Request(NamedTuple):
    """What a customer's copy sends. A repeat is the same value, so a set holds it once."""

    call: Call
    sender: int
    epoch: int
    position: int
    nonce: int = 0
    device: int = -1
    generation: int = 0
    kind: Kind = Kind.ABSENT
    acknowledged: int = 0
    held: bool = False


class Answer(NamedTuple):
    """What the provider answers; `request` is what the customer still knows of its call."""

    request: Request
    outcome: Outcome
    position: int
    epoch: int
    rows: tuple[ProviderRow, ...] = ()


Message: TypeAlias = Request | Answer


@dataclass(frozen=True)
class Rules:
    """The protocol; each switch turned off is a mutant that the model must catch."""

    # The seven mutants of the seats page.
    tombstone_for_unseen: bool = True
    fenced_release: bool = True
    timeout_keeps: bool = True
    tombstone_for_refusal: bool = True
    epochs: bool = True
    reconcile_asks: bool = True
    positions: bool = True
    # What the model itself has taught.
    session_compares_first: bool = True
    own_session: bool = True
    old_nonces_known: bool = True
    future_epoch_is_rewound: bool = True
    answers_of_old_epochs_ignored: bool = True
    acknowledged_proves_rewind: bool = True
    resync_sends_renewing_seats: bool = True
    resync_repeatable: bool = True
    resync_is_complete: bool = True
    takeover_repeats_wishes: bool = True
