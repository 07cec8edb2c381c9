"""A device token proves a key that the customer's identity has certified, and nothing else does."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from service_kit.errors import InvalidArgument, Unauthenticated
from service_kit.identity import call_token, device_certificate, device_token, jws, peer_token
from service_kit.identity.guid import thumbprint
from service_kit.identity.identity import Identity
from service_kit.identity.leaf import issue_leaf
from service_kit.reasons import Reason

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
SERVER, OTHER = Identity.create(), Identity.create()
CA = SERVER.ca_certificate
DEVICE = "0b8f4d52-7d3f-4c3b-9a53-0d1f6a1c2e11"
KEY = ec.generate_private_key(ec.SECP256R1())
OTHER_KEY = ec.generate_private_key(ec.SECP256R1())


def certificate_of(
    identity: Identity = SERVER, guid: str = DEVICE, key: ec.EllipticCurvePrivateKey = KEY
) -> x509.Certificate:
    pem = device_certificate.issue(identity, guid, key.public_key(), NOW)
    return x509.load_pem_x509_certificate(pem)


CERTIFICATE = certificate_of()


def claims(**changes: Any) -> dict[str, Any]:
    made = call_token.claims(DEVICE, SERVER.guid, NOW, timedelta(minutes=5))
    return {**made, **changes}


def refused(token: str, now: datetime = NOW) -> Reason:
    with pytest.raises(Unauthenticated) as refusal:
        device_token.verify(token, CA, SERVER.guid, now)
    return refusal.value.reason


def test_a_token_proves_the_device_and_its_key() -> None:
    token = device_token.issue(KEY, CERTIFICATE, SERVER.guid, NOW)
    proven = device_token.verify(token, CA, SERVER.guid, NOW)
    assert proven == device_token.DeviceClaims(
        DEVICE, thumbprint(KEY.public_key()), NOW + timedelta(minutes=5)
    )
    assert len(token) < call_token.LONGEST / 2


def test_a_forgers_tools_make_good_tokens_too() -> None:
    """So that the refusals below are for what each of them changes."""
    token = jws.sign(device_token.TYPE, claims(), KEY, (CERTIFICATE,))
    assert device_token.verify(token, CA, SERVER.guid, NOW).guid == DEVICE


def test_times_and_audience_are_those_of_every_token() -> None:
    token = device_token.issue(KEY, CERTIFICATE, SERVER.guid, NOW)
    assert refused(token, NOW + timedelta(minutes=7, seconds=1)) is Reason.CREDENTIALS_EXPIRED
    assert refused(token, NOW - timedelta(seconds=121)) is Reason.CREDENTIALS_INVALID
    longer = device_token.issue(KEY, CERTIFICATE, SERVER.guid, NOW, timedelta(minutes=6))
    assert refused(longer) is Reason.CREDENTIALS_INVALID
    elsewhere = device_token.issue(KEY, CERTIFICATE, OTHER.guid, NOW)
    assert refused(elsewhere) is Reason.WRONG_AUDIENCE


def test_a_certificate_is_good_for_ten_years() -> None:
    for years, good in [(9.9, True), (10.1, False)]:
        moment = NOW + timedelta(days=365.25 * years)
        token = device_token.issue(KEY, CERTIFICATE, SERVER.guid, moment)
        if good:
            assert device_token.verify(token, CA, SERVER.guid, moment).guid == DEVICE
        else:
            assert refused(token, moment) is Reason.CREDENTIALS_EXPIRED


def leaf_token() -> str:
    """What whoever has the server's TLS key could sign."""
    leaf = issue_leaf(SERVER, [DEVICE], NOW)
    certificate = x509.load_pem_x509_certificate(leaf.cert_chain_pem)
    return jws.sign(device_token.TYPE, claims(), KEY, (certificate,))


FORGED: dict[str, Callable[[], str]] = {
    "signed by another key": lambda: jws.sign(
        device_token.TYPE, claims(), OTHER_KEY, (CERTIFICATE,)
    ),
    "of another server": lambda: jws.sign(
        device_token.TYPE, claims(), KEY, (certificate_of(OTHER),)
    ),
    "for another device": lambda: jws.sign(
        device_token.TYPE, claims(iss=DEVICE[::-1]), KEY, (CERTIFICATE,)
    ),
    "by the server's leaf": leaf_token,
    "by the server's CA": lambda: jws.sign(
        device_token.TYPE, claims(iss=SERVER.guid), SERVER.private_key, (CA,)
    ),
    "two certificates": lambda: jws.sign(device_token.TYPE, claims(), KEY, (CERTIFICATE, CA)),
    "a bare key": lambda: jws.sign(device_token.TYPE, claims(), KEY),
    "a server's": lambda: peer_token.issue(SERVER, SERVER.guid, NOW),
    "of another kind": lambda: jws.sign("JWT", claims(), KEY, (CERTIFICATE,)),
    "empty": lambda: "",
    "too long": lambda: jws.sign(device_token.TYPE, claims(jti="a" * 4096), KEY, (CERTIFICATE,)),
}


@pytest.mark.parametrize("make", FORGED.values(), ids=FORGED.keys())
def test_a_forged_token_is_refused(make: Callable[[], str]) -> None:
    assert refused(make()) is Reason.CREDENTIALS_INVALID


def test_a_device_is_no_server() -> None:
    with pytest.raises(Unauthenticated, match="another kind"):
        peer_token.verify(device_token.issue(KEY, CERTIFICATE, OTHER.guid, NOW), OTHER.guid, NOW)


@given(st.data())
def test_no_changed_token_is_accepted(data: st.DataObject) -> None:
    token = device_token.issue(KEY, CERTIFICATE, SERVER.guid, NOW)
    place = data.draw(st.integers(0, len(token) - 2))
    changed = data.draw(st.characters(codec="ascii").filter(lambda each: each != token[place]))
    refused(token[:place] + changed + token[place + 1 :])


def _with_an_extension_twice() -> x509.Certificate:
    """What no builder makes: a certificate, truly signed, that can't be read to its end."""
    twice = [x509.UnrecognizedExtension(x509.ObjectIdentifier(f"1.2.3.{n}"), b"") for n in (4, 5)]
    builder = x509.CertificateBuilder().subject_name(x509.Name([])).issuer_name(CA.subject)
    builder = builder.public_key(KEY.public_key()).serial_number(1)
    builder = builder.not_valid_before(NOW).not_valid_after(NOW + timedelta(days=1))
    for each in twice:
        builder = builder.add_extension(each, critical=False)
    made = builder.sign(SERVER.private_key, hashes.SHA256())
    before, der = made.tbs_certificate_bytes, made.public_bytes(Encoding.DER)
    signed = before.replace(bytes([0x2A, 3, 5]), bytes([0x2A, 3, 4]))
    end = der.index(before) + len(before)
    signature = SERVER.private_key.sign(signed, ec.ECDSA(hashes.SHA256()))
    bits = bytes([3, len(signature) + 1, 0]) + signature
    body = signed + der[end : end + 12] + bits  # between the two, the algorithm
    return x509.load_der_x509_certificate(b"\x30\x82" + len(body).to_bytes(2, "big") + body)


def test_a_certificate_that_can_not_be_read_is_refused() -> None:
    with pytest.raises(jws.Unproven):
        device_certificate.verify(_with_an_extension_twice(), CA)


def test_a_signing_request_proves_its_key() -> None:
    key = device_certificate.requested_key("csr", device_certificate.request(KEY))
    assert key == KEY.public_key()


def _request_of(key: Any, algorithm: Any) -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.sign(key, algorithm).public_bytes(Encoding.DER)


def _unsigned() -> bytes:
    """A request whose signature is another's."""
    ours, theirs = device_certificate.request(KEY), device_certificate.request(OTHER_KEY)
    return ours[: -len(theirs) // 4] + theirs[-len(theirs) // 4 :]


BAD_REQUESTS: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "rubbish": lambda: b"rubbish",
    "a certificate": lambda: CERTIFICATE.public_bytes(Encoding.DER),
    "RSA": lambda: _request_of(rsa.generate_private_key(65537, 2048), hashes.SHA256()),
    "Ed25519": lambda: _request_of(ed25519.Ed25519PrivateKey.generate(), None),
    "P-384": lambda: _request_of(ec.generate_private_key(ec.SECP384R1()), hashes.SHA256()),
    "cut off": lambda: device_certificate.request(KEY)[:-1],
    "too long": lambda: device_certificate.request(KEY) + bytes(4096),
    "of another's signature": _unsigned,
}


@pytest.mark.parametrize("make", BAD_REQUESTS.values(), ids=BAD_REQUESTS.keys())
def test_a_bad_signing_request_is_refused_by_field(make: Callable[[], bytes]) -> None:
    with pytest.raises(InvalidArgument) as refusal:
        device_certificate.requested_key("csr", make())
    assert [each.field for each in refusal.value.violations] == ["csr"]
