"""Statements signed by a P-256 key; nothing in them is believed before it is proven.

RFC 7515 (JWS), 7519 (JWT), 8725 (best practices): one algorithm, and a type for each kind of
statement, so that none passes for another.
"""

import base64
from collections.abc import Mapping
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey
from joserfc.jws import JWSRegistry, extract_compact

ALGORITHM = "ES256"
# What a stranger's text may make the libraries raise: RecursionError by JSON nested without end,
# and the last ones by a certificate.
UNREADABLE = (
    JoseError,
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    RecursionError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)


class _Registry(JWSRegistry):
    max_header_length = 8192  # two certificates have room in it


_REGISTRY = _Registry(algorithms=[ALGORITHM])


class Unproven(Exception):
    """A text proves nothing; says why, for a caller to refuse it in its own words."""


def sign(
    kind: str,
    claims: Mapping[str, Any],
    key: ec.EllipticCurvePrivateKey,
    certificates: tuple[x509.Certificate, ...] = (),
) -> str:
    """A statement of this kind; its header carries the signer's certificates, or its bare key."""
    own = ECKey.import_key(key)
    header: dict[str, Any] = {"alg": ALGORITHM, "typ": kind}
    if certificates:
        encoded = [base64.b64encode(each.public_bytes(Encoding.DER)) for each in certificates]
        header["x5c"] = [each.decode() for each in encoded]
    else:
        header["jwk"] = own.as_dict(private=False)
    return jwt.encode(header, dict(claims), own, registry=_REGISTRY)


def kind_of(text: str, longest: int) -> str:
    """The kind that a text says it is of; empty if it says nothing."""
    try:
        return str(_header(text, longest).get("typ", ""))
    except Unproven:
        return ""


def header_of(text: str, kind: str, longest: int) -> dict[str, Any]:
    """The header of a statement of at most so many characters; nothing is proven yet.

    Raises:
        Unproven: it can't be read, or is of another kind.
    """
    header = _header(text, longest)
    if header.get("alg") != ALGORITHM or header.get("typ") != kind:
        raise Unproven("it is of another kind")
    return header


def embedded_key(header: Mapping[str, Any]) -> ec.EllipticCurvePublicKey:
    """The bare key of a header.

    Raises:
        Unproven: it has none of the one kind that we use.
    """
    try:
        key = ECKey.import_key(dict(header["jwk"]))
    except UNREADABLE as error:
        raise Unproven("its header can't be read") from error
    if key.is_private or not isinstance(key.public_key.curve, ec.SECP256R1):
        raise Unproven("its key is of another kind")
    return key.public_key


def embedded_certificates(header: Mapping[str, Any], count: int) -> list[x509.Certificate]:
    """The certificates of a header, the signer's first.

    Raises:
        Unproven: there are not so many, or one can't be read.
    """
    listed = header.get("x5c")
    if not isinstance(listed, list) or len(listed) != count:
        raise Unproven("its header can't be read")
    try:
        encoded = [base64.b64decode(each, validate=True) for each in listed]
        return [x509.load_der_x509_certificate(each) for each in encoded]
    except UNREADABLE as error:
        raise Unproven("its certificate can't be read") from error


def claims_of(text: str, key: ec.EllipticCurvePublicKey) -> dict[str, Any]:
    """What a statement says, signed by this key.

    Raises:
        Unproven: its signature is wrong.
    """
    try:
        return jwt.decode(text, ECKey.import_key(key), registry=_REGISTRY).claims
    except UNREADABLE as error:
        raise Unproven("its signature is wrong") from error


def _header(text: str, longest: int) -> dict[str, Any]:
    if len(text) > longest:
        raise Unproven("it is too long")
    try:
        return dict(extract_compact(text.encode("ascii"), registry=_REGISTRY).headers())
    except UNREADABLE as error:
        raise Unproven("its header can't be read") from error
