"""A server's identity: one key, the CA certificate made of it, and the secrets that rest on it."""

import contextlib
import os
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from service_kit.clock import now
from service_kit.errors import Conflict
from service_kit.identity.guid import guid_of
from service_kit.reasons import Reason

NEVER = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)  # RFC 5280, section 4.1.2.5: no expiry
NONCE_BYTES = 12


@dataclass(frozen=True)
class Identity:
    """The one secret of a server: everything else that must be secret is derived from its key."""

    private_key: ec.EllipticCurvePrivateKey = field(repr=False)
    ca_certificate: x509.Certificate

    @classmethod
    def create(cls) -> Self:
        """A new identity."""
        key = ec.generate_private_key(ec.SECP256R1())
        return cls(key, _ca_certificate(key))

    @classmethod
    def from_pem(cls, pem: bytes) -> Self:
        """The identity of a file's content.

        Raises:
            Conflict: it is no identity, or its key and certificate do not belong together.
        """
        try:
            key = load_pem_private_key(pem, password=None)
            certificate = x509.load_pem_x509_certificate(pem)
        except (ValueError, TypeError) as error:
            raise _unreadable("It holds no key and certificate.") from error
        if not (
            isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1)
        ):
            raise _unreadable("Its key is of another kind.")
        if certificate.public_key() != key.public_key():
            raise _unreadable("Its certificate is another key's.")
        return cls(key, certificate)

    @classmethod
    def load(cls, path: Path) -> Self:
        """The identity of a file.

        Raises:
            Conflict: the file can't be read or holds no identity.
        """
        try:
            return cls.from_pem(path.read_bytes())
        except OSError as error:
            raise _unreadable(f"{path}: {error.strerror}.") from error

    @classmethod
    def load_or_create(cls, path: Path) -> Self:
        """The identity of a file, made durable before it is answered if there was none.

        Replicas may race for the file: the first one there makes the identity of all.

        Raises:
            Conflict: the file can't be read or holds no identity.
        """
        if not path.exists():
            with contextlib.suppress(FileExistsError):
                cls.create().save(path)
        return cls.load(path)

    def save(self, path: Path) -> None:
        """Write the identity to a new file (0600), durably.

        Raises:
            FileExistsError: there is one already.
        """
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(self.pem())
                file.flush()
                os.fsync(file.fileno())
            os.link(temporary, path)  # unlike a rename, never replaces
        finally:
            temporary.unlink()
            _sync_folder(path.parent)  # also for who lost a race: the winner may not be there yet

    @cached_property
    def guid(self) -> str:
        """The server's GUID."""
        return guid_of(self.private_key.public_key())

    @property
    def ca_pem(self) -> bytes:
        """The identity CA certificate, PEM."""
        return self.ca_certificate.public_bytes(Encoding.PEM)

    def pem(self) -> bytes:
        """Key and certificate, PEM: the content of the identity file."""
        key = self.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return key + self.ca_pem

    def secret(self, purpose: str, *parts: str | int) -> bytes:
        """A 32-byte secret that nobody else can make: HMAC under a key for the purpose alone.

        Parts are length-prefixed, so that no two lists of parts are the same text.
        """
        mac = HMAC(self._key(purpose), hashes.SHA256())
        for part in parts:
            encoded = str(part).encode()
            mac.update(len(encoded).to_bytes(4, "big") + encoded)
        return mac.finalize()

    def seal(self, purpose: str, data: bytes) -> bytes:
        """Encrypt what only this server may read again."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + AESGCM(self._key("seal:" + purpose)).encrypt(nonce, data, None)

    def unseal(self, purpose: str, sealed: bytes) -> bytes:
        """Decrypt what this server sealed.

        Raises:
            Conflict: another identity sealed it, or it was changed.
        """
        nonce, data = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        try:
            return AESGCM(self._key("seal:" + purpose)).decrypt(nonce, data, None)
        except (InvalidTag, ValueError) as error:
            raise _unreadable("It did not seal this.") from error

    def _key(self, purpose: str) -> bytes:
        """A key for one purpose (HKDF, RFC 5869), derived once."""
        cached = self._keys.get(purpose)
        if cached is None:
            scalar = self.private_key.private_numbers().private_value.to_bytes(32, "big")
            hkdf = HKDF(hashes.SHA256(), length=32, salt=None, info=purpose.encode())
            cached = self._keys[purpose] = hkdf.derive(scalar)
        return cached

    @cached_property
    def _keys(self) -> dict[str, bytes]:
        return {}


def _ca_certificate(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    """The self-signed CA. Its name holds the GUID: roots of one name could not both be trusted."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, guid_of(key.public_key()))])
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    public = key.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now() - timedelta(days=1))
        .not_valid_after(NEVER)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unreadable(why: str) -> Conflict:
    return Conflict(
        Reason.IDENTITY_UNREADABLE,
        f"The identity can't be used. {why}",
        "Bring the identity file back from a backup; a new one would be another server.",
    )
