"""How a server proves to another who it is: a short-lived JWT whose header carries the key.

The hash of that key must be the issuer's GUID, so a verifier needs no database and knows the caller
before and after attachment alike.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from service_kit.identity import call_token, jws
from service_kit.identity.call_token import LIFETIME, LONGEST
from service_kit.identity.guid import guid_of
from service_kit.identity.identity import Identity

TYPE = "offsite-peer+jwt"
KIND = call_token.Kind("peer token", "Make a new one on the server that calls: token peer.")


@dataclass(frozen=True)
class PeerClaims:
    """A proven caller."""

    guid: str
    expire_time: datetime


def issue(identity: Identity, audience: str, now: datetime, lifetime: timedelta = LIFETIME) -> str:
    """A token by which `identity` calls the server whose GUID is `audience`."""
    claims = call_token.claims(identity.guid, audience, now, lifetime)
    return jws.sign(TYPE, claims, identity.private_key)


def verify(token: str, audience: str, now: datetime) -> PeerClaims:
    """Who the token proves the caller to be.

    Raises:
        Unauthenticated: it proves nothing, is for another server, or its time is over.
    """
    try:
        key = jws.embedded_key(jws.header_of(token, TYPE, LONGEST))
        claims = jws.claims_of(token, key)
    except jws.Unproven as error:
        raise KIND.invalid(str(error)) from error
    guid = guid_of(key)
    return PeerClaims(guid, KIND.check(claims, guid, audience, now))
