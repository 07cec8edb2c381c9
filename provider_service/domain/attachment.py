"""The rules of an attachment: sessions, epochs and positions.

An epoch tells one deployment of a customer's server from a copy of it; a position tells this ledger
from an older backup of itself.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeAlias

from provider_service.domain.account import Account
from provider_service.domain.organization import Attachment, Organization, State
from service_kit.errors import Conflict, OffsiteError, Stale
from service_kit.reasons import Reason
from service_kit.validation import MAX_INT64, Checks

REMEMBERED_NONCES = 20
MOST_PARTS = 1_000_000
CONTACT_NOTED_EVERY = timedelta(minutes=1)
Standing: TypeAlias = Organization | Account


@dataclass(frozen=True, slots=True)
class Session:
    """What every request of an attached server carries."""

    epoch: int
    position: int

    def __post_init__(self) -> None:
        """Bound every field; room is left for one more of each."""
        checks = Checks()
        checks.between("epoch", self.epoch, 1, MAX_INT64 - 1)
        checks.between("position", self.position, 0, MAX_INT64 - 1)
        checks.done()


class SessionKind(StrEnum):
    """Why a session begins."""

    START = "start"
    TAKE_OVER = "take_over"
    RESYNC = "resync"


@dataclass(frozen=True)
class Opening:
    """A request to begin a session."""

    session: Session
    nonce: str
    kind: SessionKind = SessionKind.START
    resync_parts: int = 0

    def __post_init__(self) -> None:
        """Bound every field."""
        checks = Checks()
        checks.between("resync_parts", self.resync_parts, 0, MOST_PARTS)
        object.__setattr__(self, "nonce", checks.uuid("nonce", self.nonce))
        checks.done()


@dataclass(frozen=True)
class Peer:
    """What a customer's server says of itself."""

    addresses: tuple[str, ...]
    version: str

    def __post_init__(self) -> None:
        """Bound every field."""
        checks = Checks()
        checks.text("version", self.version, most=50)
        if len(self.addresses) > 20:
            checks.fail("addresses", "must be at most 20")
        for each in self.addresses:
            checks.text("addresses", each, least=1, most=300)
        checks.done()


def attached(organization: Organization, peer: Peer, now: datetime) -> Organization:
    """A new attachment under the next epoch, which is never reset."""
    epoch = organization.epoch + 1
    return replace(
        contacted(organization, peer, now),
        attachment=Attachment.ATTACHED,
        rewound_confirmed=False,
        epoch=epoch,
        floor=epoch,
        session_nonces=(),
        session_used=False,
        attach_time=now,
        version=organization.version + 1,
    )


def contacted(organization: Organization, peer: Peer, now: datetime) -> Organization:
    """Heard of now."""
    return replace(
        organization,
        peer_addresses=peer.addresses,
        peer_version=peer.version,
        last_contact_time=now,
    )


def is_contact_due(organization: Organization, now: datetime) -> bool:
    """Whether to note that a server was heard of: once a minute is enough, a write is not free."""
    last = organization.last_contact_time
    return last is None or now - last >= CONTACT_NOTED_EVERY


def opened(organization: Organization, opening: Opening) -> Organization:
    """A session begun: the next epoch, or the discovery of a second deployment or a lost past.

    A discovery is a state to be kept (CONFLICT, REWOUND), not an error here.

    Raises:
        Stale: the nonce's session was begun already and is in use or over, or another deployment
            has taken over.
        Conflict: a second deployment was found while the ledger is rewound, or the resync that it
            would end is not complete.
    """
    epoch = opening.session.epoch
    if _repeats(organization, opening.nonce):
        return organization
    if opening.kind is SessionKind.TAKE_OVER:
        return _taken_over(organization, opening)
    if epoch < organization.floor:
        raise superseded(organization)
    if rewinds(organization, opening.session):
        return rewound(organization)
    if epoch < organization.epoch or organization.attachment is Attachment.CONFLICT:
        return _in_conflict(organization)
    if opening.kind is SessionKind.RESYNC:
        return _resynced(organization, opening)
    if organization.attachment is Attachment.REWOUND:
        raise is_rewound(organization)
    return _next_session(organization, epoch + 1, opening.nonce)


def rewound(organization: Organization) -> Organization:
    """Known to be older than what it has told; the operator has yet to agree."""
    return replace(
        organization, attachment=Attachment.REWOUND, rewound_confirmed=False, resync_parts=0
    )


def _in_conflict(organization: Organization) -> Organization:
    """A second deployment found. A rewound ledger stays so: a takeover is followed by a resync."""
    if organization.attachment is Attachment.REWOUND:
        raise conflict()
    return replace(organization, attachment=Attachment.CONFLICT)


def _taken_over(organization: Organization, opening: Opening) -> Organization:
    """One deployment declared the rightful one: every older epoch is superseded."""
    epoch = max(organization.epoch, opening.session.epoch) + 1
    rightful = replace(organization, floor=epoch)
    if organization.attachment is Attachment.CONFLICT:
        rightful = replace(rightful, attachment=Attachment.ATTACHED)
    return _next_session(rightful, epoch, opening.nonce)


def _resynced(organization: Organization, opening: Opening) -> Organization:
    """The end of a rewound ledger: epoch and position are beyond what either side has seen.

    A ledger that was restored once more between two parts lacks the first ones: begin again.
    """
    refusal = resync_refusal(organization)
    if refusal is None and opening.resync_parts > organization.resync_parts:
        refusal = is_rewound(organization)
    if refusal is not None:
        raise refusal
    session = opening.session
    epoch = max(organization.epoch, session.epoch) + 1
    forward = replace(
        organization,
        attachment=Attachment.ATTACHED,
        rewound_confirmed=False,
        resync_parts=0,
        floor=epoch,
        position=max(organization.position, session.position) + 1,
        version=organization.version + 1,
    )
    return _next_session(forward, epoch, opening.nonce)


def resync_refusal(standing: Standing) -> OffsiteError | None:
    """Why the customer's set is not taken, or None."""
    if standing.attachment is not Attachment.REWOUND:
        return Conflict(
            Reason.NOT_REWOUND,
            "The provider's ledger is not rewound.",
            "Open a session.",
            metadata={"epoch": str(standing.epoch)},
        )
    return None if standing.rewound_confirmed else is_rewound(standing)


def _next_session(organization: Organization, epoch: int, nonce: str) -> Organization:
    nonces = (*organization.session_nonces, nonce)[-REMEMBERED_NONCES:]
    return replace(organization, epoch=epoch, session_nonces=nonces, session_used=False)


def _repeats(organization: Organization, nonce: str) -> bool:
    """Whether a lost answer is asked for again.

    Once the session is in use its nonce can only come from a late duplicate, or from a copy of the
    deployment that was made before the answer arrived: neither may have the epoch.
    """
    if nonce not in organization.session_nonces:
        return False
    if nonce == organization.session_nonces[-1] and not organization.session_used:
        return True
    raise stale(organization.epoch)


def rewinds(standing: Standing, session: Session) -> bool:
    """Whether a request proves that this ledger is older than what it has told."""
    ahead = session.position > standing.position or session.epoch > standing.epoch
    return ahead and serves(standing)


def is_attached(standing: Standing) -> bool:
    """Whether a customer's server is attached, however it stands."""
    deactivated = standing.state is State.DEACTIVATED
    return not deactivated and standing.attachment is not Attachment.DETACHED


def serves(standing: Standing) -> bool:
    """Whether a customer's server is attached, and the ledger is not known to be older."""
    return standing.attachment in (Attachment.ATTACHED, Attachment.CONFLICT)


def refusal(standing: Standing, epoch: int) -> OffsiteError | None:
    """Why an attachment serves no seat request of a session, or None."""
    if epoch < standing.epoch:
        return stale(standing.epoch)
    if standing.attachment is Attachment.CONFLICT:
        return conflict()
    return is_rewound(standing) if standing.attachment is Attachment.REWOUND else None


def stale(epoch: int) -> OffsiteError:
    """The answer to a request of an older session."""
    return Stale(
        Reason.STALE_EPOCH,
        f"The request belongs to an older session than epoch {epoch}.",
        "Send it again under the present session, or open one.",
        metadata={"epoch": str(epoch)},
    )


def superseded(organization: Organization) -> OffsiteError:
    """The final answer to a deployment that another one has replaced."""
    return Stale(
        Reason.EPOCH_SUPERSEDED,
        "Another deployment with this server's identity has taken over the attachment.",
        "If this is the rightful one, take it over: storage takeover --confirm.",
        metadata={"epoch": str(organization.epoch)},
    )


def not_attached() -> OffsiteError:
    """The answer to a server that was never attached."""
    return Conflict(
        Reason.NOT_ATTACHED,
        "No attachment of this server is known.",
        "Attach with the registration key that the provider hands out.",
    )


def ended() -> OffsiteError:
    """The final answer to a server that was attached once."""
    return Conflict(
        Reason.ATTACHMENT_ENDED,
        "The attachment has ended at the provider.",
        "Ask the provider for a new registration key to attach again.",
    )


def conflict() -> OffsiteError:
    """The answer to both deployments of one identity."""
    return Conflict(
        Reason.ATTACHMENT_CONFLICT,
        "Two deployments of this customer's server were seen.",
        "Stop the wrong one, then on the rightful one: storage takeover --confirm.",
    )


def is_rewound(standing: Standing) -> OffsiteError:
    """The answer while this ledger is older than what it has told."""
    confirmed = standing.rewound_confirmed
    return Conflict(
        Reason.ATTACHMENT_REWOUND,
        "The provider's ledger was restored from an older backup.",
        "Seats are compared now."
        if confirmed
        else "The provider has to confirm it: org confirm-rewound.",
        metadata={
            "confirmed": str(confirmed).lower(),
            "position": str(standing.position),
            "epoch": str(standing.epoch),
        },
    )
