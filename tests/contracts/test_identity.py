"""A server's identity: its key, its file, its GUID, its certificates and its secrets."""

import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from service_kit.errors import Conflict, InvalidArgument
from service_kit.identity.guid import guid_of, parse_guid, peer_name
from service_kit.identity.identity import Identity, _ca_certificate
from service_kit.identity.leaf import issue_leaf
from service_kit.reasons import Reason

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_a_guid_is_the_first_122_bits_of_the_keys_hash_as_uuid_8() -> None:
    key = ec.derive_private_key(1, ec.SECP256R1()).public_key()
    assert guid_of(key) == "5cd252fb-0ce8-8932-90db-ebe333441026"


def test_a_key_read_from_another_encoding_has_the_same_guid() -> None:
    identity = Identity.create()
    again = Identity.from_pem(identity.pem().replace(b"\n", b"\r\n"))
    assert again.guid == identity.guid


@pytest.mark.parametrize(
    "decorate", [str.upper, "{{{}}}".format, " {} ".format, lambda text: text.replace("-", "")]
)
def test_a_guid_is_read_in_any_form(decorate: object) -> None:
    guid = Identity.create().guid
    assert callable(decorate)
    assert parse_guid("guid", decorate(guid)) == guid


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no guid",
        "00000000-0000-0000-0000-000000000000",
        "0b8f4d52-7d3f-4c3b-9a53-0d1f6a1c2e11",  # version 4
        "0b8f4d52-7d3f-8c3b-1a53-0d1f6a1c2e11",  # version 8 of another variant
        "10da60ba-1cd0-8fcc-abcf-08fac19eee6",
        "10da60ba-1cd0-8fcc-abcf-08fac19eee62 0",
        "١٠da60ba-1cd0-8fcc-abcf-08fac19eee62",
        "a" * 1000,
    ],
)
def test_what_is_no_servers_guid_is_refused_by_field(text: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        parse_guid("customer_guid", text)
    assert [each.field for each in refused.value.violations] == ["customer_guid"]


def test_an_identity_file_is_its_owners_alone_and_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "identity.pem"
    made = Identity.load_or_create(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Identity.load_or_create(path).guid == made.guid
    assert [each.name for each in tmp_path.iterdir()] == ["identity.pem"]


def test_replicas_that_race_for_the_file_get_one_identity(tmp_path: Path) -> None:
    path = tmp_path / "identity.pem"
    with ThreadPoolExecutor(16) as pool:
        made = list(pool.map(lambda _: Identity.load_or_create(path).guid, range(16)))
    assert len(set(made)) == 1
    assert [each.name for each in tmp_path.iterdir()] == ["identity.pem"]


def test_saving_never_replaces_an_identity(tmp_path: Path) -> None:
    path = tmp_path / "identity.pem"
    made = Identity.load_or_create(path)
    with pytest.raises(FileExistsError):
        Identity.create().save(path)
    assert Identity.load(path).guid == made.guid


def test_who_loses_a_race_also_waits_until_the_identity_is_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "identity.pem"
    Identity.load_or_create(path)
    synced: list[Path] = []
    monkeypatch.setattr("service_kit.identity.identity._sync_folder", synced.append)
    with pytest.raises(FileExistsError):
        Identity.create().save(path)
    assert synced == [tmp_path]


def _swapped() -> bytes:
    return Identity.create().pem().split(b"-----BEGIN CERT")[0] + Identity.create().ca_pem


def _of_another_kind(
    key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey,
) -> bytes:
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem + Identity.create().ca_pem


_LARGER = ec.generate_private_key(ec.SECP384R1())
_P384 = Identity(_LARGER, _ca_certificate(_LARGER))  # whole in itself, of the wrong curve

UNUSABLE = {
    "empty": b"",
    "rubbish": b"rubbish",
    "no key": Identity.create().ca_pem,
    "cut off": Identity.create().pem()[:200],
    "another's certificate": _swapped(),
    "RSA": _of_another_kind(rsa.generate_private_key(65537, 2048)),
    "Ed25519": _of_another_kind(ed25519.Ed25519PrivateKey.generate()),
    "P-384": _P384.pem(),
}


@pytest.mark.parametrize("content", UNUSABLE.values(), ids=UNUSABLE.keys())
def test_a_file_that_holds_no_identity_is_refused_and_kept(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "identity.pem"
    path.write_bytes(content)
    with pytest.raises(Conflict) as refused:
        Identity.load_or_create(path)
    assert refused.value.reason is Reason.IDENTITY_UNREADABLE
    assert path.read_bytes() == content


def test_the_ca_never_expires_and_signs_leaves_alone() -> None:
    ca = Identity.create().ca_certificate
    constraints = ca.extensions.get_extension_for_class(x509.BasicConstraints)
    usage = ca.extensions.get_extension_for_class(x509.KeyUsage).value
    assert ca.not_valid_after_utc.year == 9999
    assert ca.not_valid_before_utc < datetime.now(UTC) - timedelta(hours=23)
    assert constraints.critical
    assert (constraints.value.ca, constraints.value.path_length) == (True, 0)
    assert usage.key_cert_sign
    assert not usage.digital_signature


def test_a_leaf_names_every_host_and_lives_ninety_days() -> None:
    identity = Identity.create()
    leaf = issue_leaf(identity, ["backup.acme.test", "192.0.2.7", "[2001:db8::1]"], NOW)
    certificate, ca = x509.load_pem_x509_certificates(leaf.cert_chain_pem)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    dns = names.get_values_for_type(x509.DNSName)
    addresses = [str(each) for each in names.get_values_for_type(x509.IPAddress)]
    certificate.verify_directly_issued_by(ca)
    assert ca == identity.ca_certificate
    assert dns == ["localhost", peer_name(identity.guid), "backup.acme.test"]
    assert addresses == ["127.0.0.1", "::1", "192.0.2.7", "2001:db8::1"]
    assert leaf.not_after == certificate.not_valid_after_utc == NOW + timedelta(days=90)
    assert leaf.renew_at == NOW + timedelta(days=60)


def test_secrets_differ_by_identity_purpose_and_parts() -> None:
    identity, other = Identity.create(), Identity.create()
    made = [
        identity.secret("a", "x", "y"),
        identity.secret("a", "xy"),
        identity.secret("a", "", "xy"),
        identity.secret("a", "x", "y", ""),
        identity.secret("b", "x", "y"),
        other.secret("a", "x", "y"),
    ]
    assert len(set(made)) == len(made)
    assert identity.secret("a", "x", "y") == made[0]
    assert all(len(each) == 32 for each in made)


def test_only_the_server_that_sealed_can_unseal_for_the_same_purpose() -> None:
    identity = Identity.create()
    sealed = identity.seal("key", b"secret")
    assert identity.unseal("key", sealed) == b"secret"
    assert b"secret" not in sealed
    changed = sealed[:-1] + bytes([sealed[-1] ^ 1])
    for unsealer, purpose, data in [
        (Identity.create(), "key", sealed),
        (identity, "other", sealed),
        (identity, "key", changed),
        (identity, "key", b""),
    ]:
        with pytest.raises(Conflict):
            unsealer.unseal(purpose, data)


def test_nothing_secret_is_shown() -> None:
    identity = Identity.create()
    leaf = issue_leaf(identity, [], NOW)
    assert "private" not in repr(identity).lower()
    assert "PRIVATE" not in repr(leaf)
