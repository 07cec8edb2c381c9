"""The rules of an attachment: sessions, epochs and positions.

An epoch tells one deployment of a customer's server from a copy of it; a position tells this ledger
from an older backup of itself.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeAlias

from provider_service.domain.account import Account
from provider_service.domain.organization import Attachment, Organization, State
from service_kit.errors import Conflict, OffsiteError, Stale
from service_kit.reasons import Reason
from service_kit.validation import MAX_INT64, Checks

REMEMBERED_NONCES = 20
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


@dataclass(frozen=True)
class Opening:
    """A request to begin a session."""

    session: Session
    nonce: str
    take_over: bool

    def __post_init__(self) -> None:
        """Bound the nonce."""
        checks = Checks()
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


def opened(organization: Organization, epoch: int, nonce: str) -> Organization:
    """A session begun: the next epoch, or the discovery of a second deployment.

    The discovery is a state to be kept (CONFLICT), not an error here.

    Raises:
        Stale: the nonce's session was begun already and is in use or over, or another deployment
            has taken over.
        Conflict: the ledger went back in time.
    """
    if _repeats(organization, nonce):
        return organization
    if organization.attachment is Attachment.REWOUND:
        raise rewound(organization)
    if epoch < organization.floor:
        raise superseded(organization)
    if organization.attachment is Attachment.CONFLICT or epoch != organization.epoch:
        return replace(organization, attachment=Attachment.CONFLICT)
    return _next_session(organization, epoch + 1, nonce)


def taken_over(organization: Organization, epoch: int, nonce: str) -> Organization:
    """One deployment declared the rightful one: every older epoch is superseded.

    Raises:
        Stale: the nonce's session was begun already and is in use or over.
        Conflict: the ledger went back in time.
    """
    if _repeats(organization, nonce):
        return organization
    if organization.attachment is Attachment.REWOUND:
        raise rewound(organization)
    epoch = max(organization.epoch, epoch) + 1
    rightful = replace(organization, attachment=Attachment.ATTACHED, floor=epoch)
    return _next_session(rightful, epoch, nonce)


def resynced(organization: Organization, session: Session, nonce: str) -> Organization:
    """The end of a rewound ledger: epoch and position are beyond what either side has seen."""
    epoch = max(organization.epoch, session.epoch) + 1
    forward = replace(
        organization,
        attachment=Attachment.ATTACHED,
        rewound_confirmed=False,
        floor=epoch,
        position=max(organization.position, session.position) + 1,
        version=organization.version + 1,
    )
    return _next_session(forward, epoch, nonce)


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
    return ahead and standing.attachment in (Attachment.ATTACHED, Attachment.CONFLICT)


def refusal(standing: Standing, epoch: int) -> OffsiteError | None:
    """Why the attachment serves no seat request of a session, or None."""
    if standing.state is State.DEACTIVATED or standing.attachment is Attachment.DETACHED:
        return ended() if standing.epoch else not_attached()
    if standing.attachment is Attachment.REWOUND:
        return rewound(standing)
    if epoch != standing.epoch:
        return stale(standing.epoch)
    return conflict() if standing.attachment is Attachment.CONFLICT else None


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


def rewound(standing: Standing) -> OffsiteError:
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
