"""The device's own key: made here, certified by the company's server, and never sent."""

from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from device_agent import files
from device_agent.state import State
from service_kit.errors import Conflict
from service_kit.reasons import Reason


@dataclass(frozen=True)
class DeviceKey:
    """The key, and the certificate that the company's server made for it."""

    private_key: ec.EllipticCurvePrivateKey = field(repr=False)
    certificate: x509.Certificate

    @classmethod
    def load(cls, state: State) -> "DeviceKey":
        """The key of an enrolled computer.

        Raises:
            Conflict: it is not enrolled, or its key can't be read.
        """
        _ = state.enrollment  # which says best that there is none
        pem = files.read(state.device_file) or b""
        try:
            return cls(_private_key(pem), x509.load_pem_x509_certificate(pem))
        except ValueError as error:
            raise _unreadable() from error

    def save(self, state: State) -> None:
        """Make it this computer's key, in place of any other."""
        files.write(
            state.device_file, _pem(self.private_key) + self.certificate.public_bytes(Encoding.PEM)
        )
        files.remove(state.pending_key_file)


def pending(state: State) -> ec.EllipticCurvePrivateKey:
    """The key of the enrolling that is under way: the same until it was answered.

    So an answer that was lost on the way is given again.
    """
    kept = files.read(state.pending_key_file)
    if kept is None:
        key = ec.generate_private_key(ec.SECP256R1())
        files.write(state.pending_key_file, _pem(key))
        return key
    return _private_key(kept)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _private_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(pem, password=None)
    except ValueError:
        key = None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise _unreadable()
    return key


def _unreadable() -> Conflict:
    return Conflict(
        Reason.IDENTITY_UNREADABLE,
        "This computer's key can't be read.",
        "Run unenroll --local, and enroll again with a new line of your administrator.",
    )
