"""Who may pass: a device by the credential of its seat, or somebody by a grant."""

import base64
import binascii
import hmac
import time
from collections import OrderedDict
from dataclasses import dataclass

from archive_gateway.credentials import grant_credential, grant_id_of, storage_credential
from archive_gateway.domain.names import ArchiveId
from archive_gateway.domain.standing import Standing
from archive_gateway.store import grants
from archive_gateway.tenancy import Tenancy
from service_kit.clock import now
from service_kit.database.engine import Database, Transaction
from service_kit.errors import Unauthenticated
from service_kit.identity.identity import Identity
from service_kit.ledger.actor import actor
from service_kit.reasons import Reason

# A release, a renewal or a revocation is noticed so soon by reads; writes look again by themselves.
REMEMBERED_SECONDS = 0.5
_MOST_REMEMBERED = 10_000
_LONGEST = 500  # characters of an authorization header


@dataclass(frozen=True, slots=True)
class Access:
    """A request that may pass; `generation` is the seat's, None for a grant."""

    archive: ArchiveId
    generation: int | None


class Doorkeeper:
    """Checks credentials against what the ledger says now, or said half a second ago."""

    def __init__(self, database: Database, identity: Identity, tenancy: Tenancy) -> None:
        self._database = database
        self._identity = identity
        self._tenancy = tenancy
        self._known: OrderedDict[tuple[ArchiveId, str], tuple[Access, float]] = OrderedDict()

    async def admit(self, archive: ArchiveId, authorization: str | None) -> Access:
        """Let a request pass.

        Raises:
            Unauthenticated: the credential is missing or wrong, or ended. Never says which
                account, device or grant there is.
        """
        key = (archive, authorization or "")
        known = self._known.get(key)
        if known is not None and time.monotonic() < known[1]:
            access = known[0]
        else:
            access = await self._look(archive, authorization)
            self._remember(key, access)
        actor.set(f"device:{archive.device_guid}")
        return access

    async def _look(self, archive: ArchiveId, authorization: str | None) -> Access:
        user, password = _basic(authorization)
        if not hmac.compare_digest(user.lower().encode(), archive.device_guid.encode()):
            raise _refused("The user is not this archive's device")
        grant_id = grant_id_of(password)
        access = await self._database.read(self._access, archive, grant_id)
        expected = self._expected(access, grant_id)
        if not hmac.compare_digest(password.encode(), expected.encode()) or access is None:
            raise _refused("The seat or grant of this credential has ended, or it is wrong")
        return access

    def _access(self, tx: Transaction, archive: ArchiveId, grant_id: str | None) -> Access | None:
        standing: Standing | None = self._tenancy.standing(tx, archive)
        if standing is None:
            return None
        if grant_id is None:
            held = standing.generation is not None
            return Access(archive, standing.generation) if held else None
        grant = grants.find(tx, grant_id, now())
        return Access(archive, None) if grant and grant.archive == archive else None

    def _expected(self, access: Access | None, grant_id: str | None) -> str:
        """The right password; where there is none, one that nobody has, at the same cost."""
        if access is None:
            access = Access(ArchiveId("", ""), -1)
        if access.generation is None:
            return grant_credential(self._identity, access.archive, grant_id or "")
        return storage_credential(self._identity, access.archive, access.generation)

    def _remember(self, key: tuple[ArchiveId, str], access: Access) -> None:
        self._known[key] = (access, time.monotonic() + REMEMBERED_SECONDS)
        self._known.move_to_end(key)
        if len(self._known) > _MOST_REMEMBERED:
            self._known.popitem(last=False)


def _basic(authorization: str | None) -> tuple[str, str]:
    """User and password of HTTP basic (RFC 7617)."""
    scheme, _, encoded = (authorization or "")[:_LONGEST].partition(" ")
    if scheme.lower() != "basic":
        raise _refused("This archive needs a user and a password")
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise _refused("The credential can't be read") from None
    user, _, password = decoded.partition(":")
    return user, password


def _refused(what: str) -> Unauthenticated:
    return Unauthenticated(
        Reason.CREDENTIALS_INVALID,
        what,
        "A backup by the device's own program opens it anew. Without a seat, ask the administrator "
        "for a grant.",
    )
