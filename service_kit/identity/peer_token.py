"""How a server proves to another who it is: a short-lived JWT whose header carries the key.

The hash of that key must be the issuer's GUID, so a verifier needs no database and knows the caller
before and after attachment alike. RFC 7515 (JWS), 7519 (JWT), 8725 (best practices).
"""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey
from joserfc.jws import extract_compact

from service_kit.errors import Unauthenticated
from service_kit.identity.guid import guid_of
from service_kit.identity.identity import Identity
from service_kit.reasons import Reason

TYPE = "offsite-peer+jwt"
ALGORITHM = "ES256"
LIFETIME = timedelta(minutes=5)
LEEWAY = timedelta(minutes=2)
LONGEST = 4096  # characters
LATEST = 2**37  # seconds since 1970, the year 6325: datetime ends with the year 9999
# What a stranger's token may make the libraries raise; the last by JSON nested without end.
UNREADABLE = (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError)


@dataclass(frozen=True)
class PeerClaims:
    """A proven caller."""

    guid: str
    expire_time: datetime


def issue(identity: Identity, audience: str, now: datetime, lifetime: timedelta = LIFETIME) -> str:
    """A token by which `identity` calls the server whose GUID is `audience`."""
    key = ECKey.import_key(identity.private_key)
    issued = int(now.timestamp())
    claims = {
        "iss": identity.guid,
        "aud": audience,
        "iat": issued,
        "exp": issued + int(lifetime.total_seconds()),
        "jti": secrets.token_urlsafe(12),
    }
    header = {"alg": ALGORITHM, "typ": TYPE, "jwk": key.as_dict(private=False)}
    return jwt.encode(header, claims, key, algorithms=[ALGORITHM])


def verify(token: str, audience: str, now: datetime) -> PeerClaims:
    """Who the token proves the caller to be.

    Raises:
        Unauthenticated: it proves nothing, is for another server, or its time is over.
    """
    if len(token) > LONGEST:
        raise _invalid("it is too long")
    key = _embedded_key(token)
    try:
        decoded = jwt.decode(token, key, algorithms=[ALGORITHM])
    except UNREADABLE as error:
        raise _invalid("its signature is wrong") from error
    claims = decoded.claims
    if claims.get("iss") != guid_of(key.public_key):
        raise _invalid("its key is not the issuer's")
    if claims.get("aud") != audience:
        raise Unauthenticated(
            Reason.WRONG_AUDIENCE,
            "The peer token is for another server.",
            f"This server's GUID is {audience}.",
        )
    return PeerClaims(str(claims["iss"]), _check_times(claims, now))


def _embedded_key(token: str) -> ECKey:
    """The key of the token's header, which must be of the one kind that we use."""
    try:
        header = extract_compact(token.encode("ascii")).headers()
        if header.get("alg") != ALGORITHM or header.get("typ") != TYPE:
            raise _invalid("it is of another kind")
        key = ECKey.import_key(dict(header["jwk"]))
    except UNREADABLE as error:
        raise _invalid("its header can't be read") from error
    if key.is_private or not isinstance(key.public_key.curve, ec.SECP256R1):
        raise _invalid("its key is of another kind")
    return key


def _check_times(claims: dict[str, Any], now: datetime) -> datetime:
    """When the token ends, if it is neither over, nor not yet valid, nor too long-lived."""
    times = [claims.get("iat"), claims.get("exp"), claims.get("nbf", claims.get("iat"))]
    if not all(isinstance(each, int) and 0 < each < LATEST for each in times):
        raise _invalid("its times can't be read")
    issued, expires, begins = (datetime.fromtimestamp(each, UTC) for each in times)  # type: ignore[arg-type]
    if expires - issued > LIFETIME:
        raise _invalid("it lives too long")
    begins = max(begins, issued)
    if begins > now + LEEWAY:
        raise Unauthenticated(
            Reason.CREDENTIALS_INVALID,
            f"The peer token is of {begins:%H:%M:%S}, and it is {now:%H:%M:%S} UTC here.",
            "Set both servers' clocks by NTP.",
        )
    if expires < now - LEEWAY:
        raise Unauthenticated(
            Reason.CREDENTIALS_EXPIRED,
            f"The peer token expired at {expires:%H:%M:%S}, and it is {now:%H:%M:%S} UTC here.",
            "Set both servers' clocks by NTP, or make a new token.",
        )
    return expires


def _invalid(why: str) -> Unauthenticated:
    return Unauthenticated(
        Reason.CREDENTIALS_INVALID,
        f"The peer token is not valid: {why}.",
        "Make a new one on the server that calls: token peer.",
    )
