"""A server's GUID: the first 122 bits of SHA-256 over its identity key, as a UUIDv8.

So the GUID that two operators exchange by mail or telephone is the pin of the peer's identity.
UUIDv8 is RFC 9562, section 5.8.
"""

import hashlib
import re
import uuid

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from service_kit.errors import FieldViolation, InvalidArgument

_DECORATION = re.compile(r"[\s{}-]")
_HEX = re.compile(r"[0-9a-f]{32}")


def thumbprint(public_key: EllipticCurvePublicKey) -> str:
    """SHA-256 over a key, 64 hexadecimal digits. It is encoded anew, so one key has one."""
    encoded = public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(encoded).hexdigest()


def guid_of(public_key: EllipticCurvePublicKey) -> str:
    """The GUID of a key, in canonical form."""
    bits = int(thumbprint(public_key), 16) >> (256 - 122)
    high, middle, low = bits >> 74, (bits >> 62) & 0xFFF, bits & (2**62 - 1)
    return str(uuid.UUID(int=high << 80 | 8 << 76 | middle << 64 | 0b10 << 62 | low))


def parse_guid(field: str, text: str) -> str:
    """A GUID in canonical form; case, hyphens, braces and spaces do not matter.

    Raises:
        InvalidArgument: it is no server's GUID; it names the field.
    """
    digits = _DECORATION.sub("", text[:100].lower())
    if not _HEX.fullmatch(digits):
        raise _invalid(field, "must be a server's GUID: 32 hexadecimal digits")
    parsed = uuid.UUID(hex=digits)
    if parsed.version != 8 or parsed.variant != uuid.RFC_4122:
        raise _invalid(field, "is not a server's GUID: compare it with what the other side printed")
    return str(parsed)


def peer_name(guid: str) -> str:
    """The name under which a server's certificate always stands, wherever it is dialled."""
    return f"{guid}.offsite.internal"


def _invalid(field: str, description: str) -> InvalidArgument:
    return InvalidArgument([FieldViolation(field, description)])
