"""The recovery sheet: what an administrator prints once and keeps where no computer is.

Its GUID is what a recovery trusts: with it, no provider can pass off an archive of its own.
"""

import re
from dataclasses import dataclass
from datetime import datetime

from service_kit.errors import FieldViolation, InvalidArgument
from service_kit.identity import recovery_key
from service_kit.identity.guid import parse_guid
from service_kit.identity.recovery_key import RecoveryKey

LONGEST = 10_000  # characters
_KEY = re.compile(r"AGE-SECRET-KEY-1[0-9A-Z]+", re.IGNORECASE)
_GUID = re.compile(r"(?<![\w-])[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![\w-])", re.IGNORECASE)


@dataclass(frozen=True)
class RecoverySheet:
    """The recovery key, and the GUID of the customer's server whose it is."""

    key: RecoveryKey
    customer_guid: str

    def text(self, now: datetime) -> str:
        """The sheet, to be printed."""
        return "\n".join(
            [
                "RECOVERY SHEET",
                "",
                "Whoever has this sheet and an archive can read the backups in it: print it,",
                "keep it locked away in two places, and keep no copy on a computer.",
                "",
                f"server GUID   {self.customer_guid}",
                f"private key   {self.key.private_key}",
                f"public half   {self.key.recipient}",
                f"made          {now:%Y-%m-%d %H:%M} UTC",
            ]
        )

    @classmethod
    def parse(cls, field: str, text: str) -> "RecoverySheet":
        """The sheet of a text: a file, or what was typed from paper.

        Raises:
            InvalidArgument: it names no key or no GUID; it names the field and never the key.
        """
        key, guid = _KEY.findall(text[:LONGEST]), _GUID.findall(text[:LONGEST])
        if len(key) != 1 or len(guid) != 1:
            description = "must hold one private key and one server GUID, as the sheet does"
            raise InvalidArgument([FieldViolation(field, description)])
        return cls(recovery_key.parse_private_key(field, key[0]), parse_guid(field, guid[0]))
