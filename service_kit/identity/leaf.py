"""The TLS certificate that a server shows: issued by its identity CA, renewed without a restart."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from service_kit.identity.guid import peer_name
from service_kit.identity.identity import Identity

LIFETIME = timedelta(days=90)
BACKDATED = timedelta(days=1)  # for peers whose clock is behind


@dataclass(frozen=True)
class Leaf:
    """A TLS certificate with its chain and key, PEM."""

    cert_chain_pem: bytes
    key_pem: bytes = field(repr=False)
    not_after: datetime
    renew_at: datetime


def issue_leaf(identity: Identity, hosts: Sequence[str], now: datetime) -> Leaf:
    """Issue a certificate for these host names and addresses, and those that always stand in it."""
    key = ec.generate_private_key(ec.SECP256R1())
    every = dict.fromkeys(["localhost", "127.0.0.1", "::1", peer_name(identity.guid), *hosts])
    ca = identity.ca_certificate
    signer = identity.private_key.public_key()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, peer_name(identity.guid))])
        )
        .issuer_name(ca.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([_san(each) for each in every]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer), critical=False)
        .sign(identity.private_key, hashes.SHA256())
    )
    return Leaf(
        certificate.public_bytes(Encoding.PEM) + identity.ca_pem,
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        now + LIFETIME,
        now + LIFETIME * 2 / 3,
    )


def _san(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        return x509.DNSName(host)
