"""Who a bearer token belongs to: a person's tool, a peer server, or a device.

No call reads the database for a peer or a device: its JWT proves its GUID by itself and is
remembered by its bytes until it ends. A person's token is looked up and remembered for a second,
so that revoking one works within a second.
"""

import time
from collections import OrderedDict
from collections.abc import Awaitable
from datetime import datetime

from cryptography import x509

from service_kit.clock import now
from service_kit.database.engine import Database
from service_kit.errors import Unauthenticated
from service_kit.identity import device_token, peer_token
from service_kit.ledger import access_tokens
from service_kit.reasons import Reason
from service_kit.server.caller import Caller, Role

PERSON_SECONDS = 1.0
_REMEMBERED = 4096
_SCHEME = "bearer "
_PERSON_PREFIX = "offs_"
_ROLES = {
    access_tokens.TokenRole.OPERATOR: Role.OPERATOR,
    access_tokens.TokenRole.READ_ONLY: Role.READ_ONLY,
}


class Authenticator:
    """Tells callers by their `authorization` metadata; for a server with this GUID.

    `device_ca` is the CA that signs the certificates of devices; without it none may call.
    """

    def __init__(
        self, database: Database, guid: str, device_ca: x509.Certificate | None = None
    ) -> None:
        self.database = database
        self.guid = guid
        self.device_ca = device_ca
        self._known: OrderedDict[str, tuple[Caller, float]] = OrderedDict()

    def authenticate(self, authorization: str | None) -> Caller | Awaitable[Caller]:
        """The caller: at once when it is remembered, a peer or a device, else after a look-up.

        Raises:
            Unauthenticated: no credentials, or they are unknown, expired, or for another server.
        """
        if authorization is None:
            raise Unauthenticated(
                Reason.CREDENTIALS_MISSING,
                "this call needs a bearer token",
                "Send `authorization: Bearer TOKEN`; the operator's is in DATA/operator.token.",
            )
        known = self._known.get(authorization)
        if known is not None and time.monotonic() < known[1]:
            return known[0]
        token = _bearer(authorization)
        if token.startswith(_PERSON_PREFIX):
            return self._person(authorization, token)
        return self._server_or_device(authorization, token, now())

    async def may_read(self, authorization: str | None) -> bool:
        """Whether this is a person's token, of whatever role: each of them may read."""
        try:
            caller = self.authenticate(authorization)
            found = await caller if isinstance(caller, Awaitable) else caller
        except Unauthenticated:
            return False
        return found.role in (Role.OPERATOR, Role.READ_ONLY)

    async def _person(self, authorization: str, secret: str) -> Caller:
        asked = time.monotonic()
        token = await self.database.read(access_tokens.find, secret, now())
        caller = Caller(_ROLES[token.role], f"token:{token.name}")
        self._remember(authorization, caller, asked + PERSON_SECONDS)
        return caller

    def _server_or_device(self, authorization: str, token: str, moment: datetime) -> Caller:
        proven: peer_token.PeerClaims | device_token.DeviceClaims
        if self.device_ca is not None and device_token.is_of_this_kind(token):
            proven = device_token.verify(token, self.device_ca, self.guid, moment)
            name = f"device:{proven.guid}"
            caller = Caller(Role.DEVICE, name, proven.guid, proven.key_thumbprint)
        else:
            proven = peer_token.verify(token, self.guid, moment)
            caller = Caller(Role.PEER, f"peer:{proven.guid}", proven.guid)
        left = (proven.expire_time - moment).total_seconds()
        self._remember(authorization, caller, time.monotonic() + left)
        return caller

    def _remember(self, authorization: str, caller: Caller, until: float) -> None:
        self._known[authorization] = (caller, until)
        self._known.move_to_end(authorization)
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)


def _bearer(authorization: str) -> str:
    if authorization[: len(_SCHEME)].lower() != _SCHEME:
        raise Unauthenticated(
            Reason.CREDENTIALS_INVALID,
            "the authorization metadata is no bearer token",
            "Send `authorization: Bearer TOKEN`.",
        )
    return authorization[len(_SCHEME) :].strip()
