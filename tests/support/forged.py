"""Peer tokens as an attacker makes them."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc.jwk import ECKey

from service_kit.identity.identity import Identity
from service_kit.identity.jws import ALGORITHM
from service_kit.identity.peer_token import TYPE

CURVES = {"ES384": ec.SECP384R1(), "ES256K": ec.SECP256K1()}


def claims(guid: str, audience: str, now: datetime, **changes: Any) -> dict[str, Any]:
    """The claims of a good token, changed; None leaves one out."""
    issued = int(now.timestamp())
    made = {"iss": guid, "aud": audience, "iat": issued, "exp": issued + 300, "jti": "a", **changes}
    return {name: value for name, value in made.items() if value is not None}


def header(key: ECKey, **changes: Any) -> dict[str, Any]:
    """The header of a good token, changed."""
    return {"alg": ALGORITHM, "typ": TYPE, "jwk": key.as_dict(private=False), **changes}


def signed(key: ECKey, head: Mapping[str, Any], body: Mapping[str, Any]) -> str:
    """A token with a true signature by this key."""
    text = f"{_text(head)}.{_text(body)}"
    private = key.private_key
    assert private is not None
    size = private.key_size // 8
    hashing = hashes.SHA384() if size == 48 else hashes.SHA256()
    r, s = decode_dss_signature(private.sign(text.encode(), ec.ECDSA(hashing)))
    return f"{text}.{_encoded(r.to_bytes(size, 'big') + s.to_bytes(size, 'big'))}"


def unsigned(head: Mapping[str, Any], body: Mapping[str, Any]) -> str:
    """A token without a signature: `alg: none`."""
    return f"{_text(head)}.{_text(body)}."


def hmac_signed(identity: Identity, body: Mapping[str, Any]) -> str:
    """A token whose HMAC key is the public key: the confusion of algorithms."""
    public = identity.private_key.public_key()
    secret = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    text = f"{_text(header(key_of(identity), alg='HS256'))}.{_text(body)}"
    return f"{text}.{_encoded(hmac.new(secret, text.encode(), hashlib.sha256).digest())}"


def key_of(identity: Identity) -> ECKey:
    return ECKey.import_key(identity.private_key)


def key_on(algorithm: str) -> ECKey:
    """A new key on the curve of another algorithm."""
    return ECKey.import_key(ec.generate_private_key(CURVES[algorithm]))


def _text(value: Mapping[str, Any]) -> str:
    return _encoded(json.dumps(value).encode())


def _encoded(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
