"""A device's certificate: the customer's identity vouches for a key that was made on the device.

It proves a device to its server, and whose escrow record is whose. It is good for no TLS server.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from service_kit.errors import FieldViolation, InvalidArgument
from service_kit.identity.guid import thumbprint
from service_kit.identity.identity import Identity
from service_kit.identity.jws import UNREADABLE, Unproven

LIFETIME = timedelta(days=3653)
BACKDATED = timedelta(days=1)  # for devices whose clock is behind
LONGEST_REQUEST = 4096  # bytes
_PURPOSE = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
_UNREADABLE = (*UNREADABLE, InvalidSignature)


@dataclass(frozen=True)
class Certified:
    """A device's GUID, and the key that is its own."""

    guid: str
    key: ec.EllipticCurvePublicKey

    @property
    def thumbprint(self) -> str:
        """SHA-256 over the key, 64 hexadecimal digits."""
        return thumbprint(self.key)


def request(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A signing request (PKCS #10, DER), which proves that its sender has the key."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def requested_key(field: str, der: bytes) -> ec.EllipticCurvePublicKey:
    """The key of a signing request. Nothing else is taken from it.

    Raises:
        InvalidArgument: it is too long, of another key than P-256, or not signed by it.
    """
    if len(der) > LONGEST_REQUEST:
        raise _invalid(field, f"must have at most {LONGEST_REQUEST} bytes, has {len(der)}")
    try:
        read = x509.load_der_x509_csr(der)
        key = read.public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey) or not _is_p256(key):
            raise _invalid(field, "must be of a P-256 key")
        proven = read.is_signature_valid
    except _UNREADABLE as error:
        raise _invalid(field, "must be a signing request (PKCS #10, DER)") from error
    if not proven:
        raise _invalid(field, "must be signed by its own key")
    return key


def issue(identity: Identity, guid: str, key: ec.EllipticCurvePublicKey, now: datetime) -> bytes:
    """Certify a device's key (X.509, PEM), for ten years."""
    signer = identity.private_key.public_key()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, guid)]))
        .issuer_name(identity.ca_certificate.subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_PURPOSE, critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer), critical=False)
        .sign(identity.private_key, hashes.SHA256())
    )
    return certificate.public_bytes(Encoding.PEM)


def verify(certificate: x509.Certificate, ca: x509.Certificate) -> Certified:
    """Whom a certificate names, if the identity of this CA made it for a device.

    Raises:
        Unproven: it did not.
    """
    try:
        certificate.verify_directly_issued_by(ca)
        # From here on it is what that identity signed: a device's certificate, or a server's leaf.
        purpose = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
        key = certificate.public_key()
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    except (*_UNREADABLE, x509.ExtensionNotFound) as error:
        raise Unproven("its certificate is not of this customer's server") from error
    usable = isinstance(key, ec.EllipticCurvePublicKey) and _is_p256(key)
    if not usable or purpose.value != _PURPOSE or len(names) != 1:
        raise Unproven("its certificate is no device's")
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return Certified(str(names[0].value), key)


def _is_p256(key: ec.EllipticCurvePublicKey) -> bool:
    return isinstance(key.curve, ec.SECP256R1)


def _invalid(field: str, description: str) -> InvalidArgument:
    return InvalidArgument([FieldViolation(field, description)])
