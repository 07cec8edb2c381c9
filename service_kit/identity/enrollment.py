"""What an administrator hands to a computer's user: one line, `HOST:PORT/GUID/CODE`.

The code has the form of a registration key. The GUID is the pin of the server's identity.
"""

from dataclasses import dataclass, field

from service_kit.errors import FieldViolation, InvalidArgument
from service_kit.identity import registration_key
from service_kit.identity.guid import parse_guid
from service_kit.reasons import Reason
from service_kit.settings import join_address, split_address

LONGEST = 500  # characters


@dataclass(frozen=True)
class Invitation:
    """Where a computer enrolls, the GUID that must answer there, and the code."""

    address: str
    guid: str
    code: str = field(repr=False)

    def __str__(self) -> str:
        """The line as it is pasted."""
        return f"{self.address}/{self.guid}/{self.code}"

    @classmethod
    def parse(cls, field: str, text: str) -> "Invitation":
        """The invitation of a pasted line.

        Raises:
            InvalidArgument: it is none; it names the field and never the code.
        """
        parts = text[:LONGEST].strip().split("/")
        if len(parts) != 3:
            raise _invalid(field, "must be HOST:PORT/GUID/CODE, as the administrator sent it")
        try:
            address = join_address(*split_address(parts[0]))
        except ValueError:
            raise _invalid(field, "must begin with HOST:PORT") from None
        code = registration_key.display(normalize_code(field, parts[2]))
        return cls(address, parse_guid(field, parts[1]), code)


def normalize_code(field: str, text: str) -> str:
    """The sixteen characters of a code.

    Raises:
        InvalidArgument: it has a typing error; it names the field and never the code.
    """
    return registration_key.normalize(
        field, text, sender="the administrator", reason=Reason.INVALID_FIELD
    )


def _invalid(field: str, description: str) -> InvalidArgument:
    return InvalidArgument([FieldViolation(field, description)])
