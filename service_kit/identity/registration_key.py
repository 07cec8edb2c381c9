"""The form of a registration key: `ABCD-EFGH-JKMN-PQRS`.

Fifteen random characters of Crockford's base32 (75 bits) and a check character: a Reed-Solomon
parity over GF(32). It finds every single wrong character and every swap of two, before anything is
sent.
"""

import secrets

from service_kit.errors import FieldViolation, InvalidArgument
from service_kit.reasons import Reason

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford: no I, L, O, U
LENGTH = 16
_READ_AS = str.maketrans("ILO", "110", "- \t\r\n")


def generate() -> str:
    """A new key, in groups of four."""
    body = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH - 1))
    return display(body + _check_character(body))


def display(key: str) -> str:
    """A key in groups of four."""
    return "-".join(key[start : start + 4] for start in range(0, LENGTH, 4))


def normalize(
    field: str,
    text: str,
    *,
    sender: str = "the provider",
    reason: Reason = Reason.REGISTRATION_KEY_MALFORMED,
) -> str:
    """The sixteen characters of a key; case, hyphens and spaces do not matter, I, L, O are 1, 1, 0.

    Raises:
        InvalidArgument: it has a typing error; it names the field and never the key.
    """
    key = text[:100].upper().translate(_READ_AS)
    if len(key) != LENGTH or any(each not in ALPHABET for each in key):
        description = f"must have {LENGTH} letters and digits, in groups of four"
        raise InvalidArgument([FieldViolation(field, description)], reason)
    if _check_character(key[:-1]) != key[-1]:
        description = f"has a typing error: compare it with what {sender} sent"
        raise InvalidArgument([FieldViolation(field, description)], reason)
    return key


def _check_character(body: str) -> str:
    """Weights are powers of 2 in the field of 32 elements, so that no swap goes unseen."""
    total = 0
    for each in body:
        total = _double(total) ^ ALPHABET.index(each)
    return ALPHABET[_double(total)]


def _double(value: int) -> int:
    """Multiply by 2 in GF(32), with the primitive polynomial x^5 + x^2 + 1."""
    value <<= 1
    return value ^ 0b100101 if value & 32 else value
