"""The recovery key: devices seal their repository passwords to it. See https://age-encryption.org/v1.

The private half is on the administrator's recovery sheet and nowhere else.
"""

from dataclasses import dataclass, field

import pyrage
from pyrage import IdentityError, RecipientError, x25519

from service_kit.errors import FieldViolation, InvalidArgument, PermissionDenied
from service_kit.reasons import Reason

LONGEST = 100  # characters of either half


@dataclass(frozen=True)
class RecoveryKey:
    """A pair of keys as age writes them: `AGE-SECRET-KEY-1…` and `age1…`."""

    private_key: str = field(repr=False)
    recipient: str


def generate() -> RecoveryKey:
    """A new key."""
    made = x25519.Identity.generate()
    return RecoveryKey(str(made), str(made.to_public()))


def parse_private_key(field: str, text: str) -> RecoveryKey:
    """A key by its private half, as it stands on the sheet.

    Raises:
        InvalidArgument: it is none, or has a typing error; it names the field and never the key.
    """
    try:
        read = x25519.Identity.from_str(text[:LONGEST].strip().upper())
    except IdentityError:
        raise _invalid(field, "must be AGE-SECRET-KEY-1… as it stands on the sheet") from None
    return RecoveryKey(str(read), str(read.to_public()))


def parse_recipient(field: str, text: str) -> str:
    """The public half of a key, in its one form.

    Raises:
        InvalidArgument: it is none; it names the field.
    """
    if len(text) > LONGEST:
        raise _invalid(field, f"must have at most {LONGEST} characters")
    try:
        return str(x25519.Recipient.from_str(text))
    except RecipientError as error:
        raise _invalid(field, "must be an age recipient: age1…") from error


def seal(recipient: str, secret: bytes) -> bytes:
    """Encrypt what only the sheet's holder may read.

    Raises:
        InvalidArgument: it is no recipient.
    """
    own = x25519.Recipient.from_str(parse_recipient("recipient", recipient))
    return bytes(pyrage.encrypt(secret, [own]))


def unseal(private_key: str, sealed: bytes) -> bytes:
    """Decrypt what was sealed to a key.

    Raises:
        InvalidArgument: it is no private key.
        PermissionDenied: it was sealed to another key, or was changed.
    """
    own = parse_private_key("private_key", private_key).private_key
    try:
        return bytes(pyrage.decrypt(sealed, [x25519.Identity.from_str(own)]))
    except pyrage.DecryptError as error:
        raise PermissionDenied(
            Reason.CREDENTIALS_INVALID,
            "This recovery key does not open what is sealed here.",
            "Use the sheet of the recovery key that was in force then.",
        ) from error


def _invalid(field: str, description: str) -> InvalidArgument:
    return InvalidArgument([FieldViolation(field, description)])
