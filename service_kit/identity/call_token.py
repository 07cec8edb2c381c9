"""What the tokens by which servers and devices call have in common: bounds, audience and times."""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from service_kit.errors import Unauthenticated
from service_kit.reasons import Reason

LIFETIME = timedelta(minutes=5)
LEEWAY = timedelta(minutes=2)
LONGEST = 4096  # characters
LATEST = 2**37  # seconds since 1970, the year 6325: datetime ends with the year 9999


def claims(issuer: str, audience: str, now: datetime, lifetime: timedelta) -> dict[str, Any]:
    """What a token says: who calls whom, and until when."""
    issued = int(now.timestamp())
    return {
        "iss": issuer,
        "aud": audience,
        "iat": issued,
        "exp": issued + int(lifetime.total_seconds()),
        "jti": secrets.token_urlsafe(12),
    }


@dataclass(frozen=True)
class Kind:
    """A kind of token: its name, and how one comes by a good one."""

    name: str
    advice: str

    def check(self, claims: dict[str, Any], issuer: str, audience: str, now: datetime) -> datetime:
        """When the token ends, if it is the issuer's for this audience, and in its time.

        Raises:
            Unauthenticated: it is not.
        """
        if claims.get("iss") != issuer:
            raise self.invalid("its key is not the issuer's")
        if claims.get("aud") != audience:
            raise Unauthenticated(
                Reason.WRONG_AUDIENCE,
                f"The {self.name} is for another server.",
                f"This server's GUID is {audience}.",
            )
        issued, expires, begins = self._times(claims)
        if expires - issued > LIFETIME:
            raise self.invalid("it lives too long")
        self._check_clock(max(begins, issued), expires, now)
        return expires

    def invalid(self, why: str) -> Unauthenticated:
        """The refusal of a token that proves nothing."""
        return Unauthenticated(
            Reason.CREDENTIALS_INVALID, f"The {self.name} is not valid: {why}.", self.advice
        )

    def _times(self, claims: dict[str, Any]) -> list[datetime]:
        times = [claims.get("iat"), claims.get("exp"), claims.get("nbf", claims.get("iat"))]
        if not all(isinstance(each, int) and 0 < each < LATEST for each in times):
            raise self.invalid("its times can't be read")
        return [datetime.fromtimestamp(each, UTC) for each in times]  # type: ignore[arg-type]

    def _check_clock(self, begins: datetime, expires: datetime, now: datetime) -> None:
        if begins > now + LEEWAY:
            raise Unauthenticated(
                Reason.CREDENTIALS_INVALID,
                f"The {self.name} is of {begins:%H:%M:%S}, and it is {now:%H:%M:%S} UTC here.",
                "Set both sides' clocks by NTP.",
            )
        if expires < now - LEEWAY:
            raise Unauthenticated(
                Reason.CREDENTIALS_EXPIRED,
                f"The {self.name} expired at {expires:%H:%M:%S}, and it is {now:%H:%M:%S} "
                "UTC here.",
                "Set both sides' clocks by NTP, or make a new token.",
            )
