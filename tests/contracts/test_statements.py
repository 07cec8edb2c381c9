"""Recovery keys and escrow records: nobody can pass off one of their own."""

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from service_kit.errors import InvalidArgument, PermissionDenied
from service_kit.identity import device_certificate, jws, recovery_key, statements
from service_kit.identity.enrollment import Invitation
from service_kit.identity.identity import Identity
from service_kit.identity.recovery_sheet import RecoverySheet
from service_kit.reasons import Reason

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
SERVER, OTHER = Identity.create(), Identity.create()
DEVICE = "0b8f4d52-7d3f-4c3b-9a53-0d1f6a1c2e11"
OTHER_DEVICE = "1c9f4d52-7d3f-4c3b-9a53-0d1f6a1c2e11"
KEY = ec.generate_private_key(ec.SECP256R1())
RECOVERY = recovery_key.generate()
SEALED = recovery_key.seal(RECOVERY.recipient, b"the repository's password")
STATEMENT = statements.recovery_key(SERVER, RECOVERY.recipient, NOW)


def certificate_of(identity: Identity = SERVER, guid: str = DEVICE) -> x509.Certificate:
    pem = device_certificate.issue(identity, guid, KEY.public_key(), NOW)
    return x509.load_pem_x509_certificate(pem)


RECORD = statements.escrow_record(KEY, certificate_of(), SERVER.ca_certificate, SEALED, NOW)


def test_a_server_states_its_recovery_key() -> None:
    stated = statements.read_recovery_key(STATEMENT, SERVER.guid)
    assert stated == statements.StatedRecipient(RECOVERY.recipient, NOW)


def stated(identity: Identity = SERVER, **changes: Any) -> str:
    claims = {"iss": SERVER.guid, "recipient": RECOVERY.recipient, "iat": 1, **changes}
    claims = {name: value for name, value in claims.items() if value is not None}
    return jws.sign(statements.RECOVERY_TYPE, claims, identity.private_key)


FORGED_KEYS: dict[str, Callable[[], str]] = {
    "another server's": lambda: statements.recovery_key(OTHER, RECOVERY.recipient, NOW),
    "another's key under this GUID": lambda: stated(OTHER),
    "another's GUID": lambda: stated(iss=OTHER.guid),
    "no recipient": lambda: stated(recipient=None),
    "no time": lambda: stated(iat=None),
    "an escrow record": lambda: RECORD,
    "empty": lambda: "",
    "too long": lambda: stated(more="a" * 4096),
}


@pytest.mark.parametrize("make", FORGED_KEYS.values(), ids=FORGED_KEYS.keys())
def test_a_forged_recovery_key_is_refused(make: Callable[[], str]) -> None:
    with pytest.raises(PermissionDenied) as refused:
        statements.read_recovery_key(make(), SERVER.guid)
    assert refused.value.reason is Reason.PEER_IDENTITY_MISMATCH


@given(st.data())
def test_no_changed_recovery_key_is_accepted(data: st.DataObject) -> None:
    with pytest.raises(PermissionDenied):
        statements.read_recovery_key(_changed(STATEMENT, data), SERVER.guid)


def test_a_device_states_its_sealed_password() -> None:
    found = statements.read_escrow_record(RECORD, SERVER.guid, DEVICE, NOW)
    assert found == statements.EscrowRecord(DEVICE, SERVER.guid, SEALED, NOW)
    assert recovery_key.unseal(RECOVERY.private_key, SEALED) == b"the repository's password"


def escrowed(
    key: ec.EllipticCurvePrivateKey = KEY,
    certificate: x509.Certificate | None = None,
    ca: x509.Certificate = SERVER.ca_certificate,
    **changes: Any,
) -> str:
    claims = {
        "device": DEVICE,
        "customer": SERVER.guid,
        "sealed": base64.b64encode(SEALED).decode(),
        "iat": int(NOW.timestamp()),
        **changes,
    }
    return jws.sign(statements.ESCROW_TYPE, claims, key, (certificate or certificate_of(), ca))


def rogue() -> str:
    """All of another customer, as its provider could make it, with the GUIDs of this one."""
    return escrowed(KEY, certificate_of(OTHER), OTHER.ca_certificate)


FORGED_RECORDS: dict[str, Callable[[], str]] = {
    "another customer's": rogue,
    "another's certificate under this CA": lambda: escrowed(KEY, certificate_of(OTHER)),
    "signed by another key": lambda: escrowed(ec.generate_private_key(ec.SECP256R1())),
    "another device's": lambda: escrowed(KEY, certificate_of(SERVER, OTHER_DEVICE)),
    "another device named": lambda: escrowed(device=OTHER_DEVICE),
    "another customer named": lambda: escrowed(customer=OTHER.guid),
    "signed by the server itself": lambda: escrowed(SERVER.private_key, SERVER.ca_certificate),
    "not sealed": lambda: escrowed(sealed=None),
    "sealed rubbish": lambda: escrowed(sealed="%"),
    "no time": lambda: escrowed(iat="soon"),
    "no certificates": lambda: jws.sign(statements.ESCROW_TYPE, {"device": DEVICE}, KEY),
    "a recovery key": lambda: STATEMENT,
    "too long": lambda: escrowed(more="a" * (64 << 10)),
}


def test_a_forgers_tools_make_good_records_too() -> None:
    found = statements.read_escrow_record(escrowed(), SERVER.guid, DEVICE, NOW)
    assert found.sealed == SEALED


@pytest.mark.parametrize("make", FORGED_RECORDS.values(), ids=FORGED_RECORDS.keys())
def test_a_forged_escrow_record_is_refused(make: Callable[[], str]) -> None:
    with pytest.raises(PermissionDenied) as refused:
        statements.read_escrow_record(make(), SERVER.guid, DEVICE, NOW)
    assert refused.value.reason is Reason.PEER_IDENTITY_MISMATCH


@given(st.data())
def test_no_changed_escrow_record_is_accepted(data: st.DataObject) -> None:
    with pytest.raises(PermissionDenied):
        statements.read_escrow_record(_changed(RECORD, data), SERVER.guid, DEVICE, NOW)


def test_a_record_outlives_its_certificate() -> None:
    later = NOW + timedelta(days=365 * 20)
    assert statements.read_escrow_record(RECORD, SERVER.guid, DEVICE, later).time == NOW


@pytest.mark.parametrize(
    ("after", "good"),
    [
        (timedelta(), True),
        (timedelta(minutes=9), True),
        (timedelta(minutes=11), False),
        (timedelta(hours=-23), True),
        (timedelta(hours=-25), False),
    ],
)
def test_a_record_is_of_a_time_that_can_be(after: timedelta, good: bool) -> None:
    record = escrowed(iat=int((NOW + after).timestamp()))
    if good:
        assert statements.read_escrow_record(record, SERVER.guid, DEVICE, NOW).time == NOW + after
        return
    with pytest.raises(PermissionDenied):
        statements.read_escrow_record(record, SERVER.guid, DEVICE, NOW)


def test_a_record_is_not_of_a_time_after_its_certificate() -> None:
    later = NOW + timedelta(days=365 * 20)
    record = escrowed(iat=int(later.timestamp()))
    with pytest.raises(PermissionDenied, match="not in force"):
        statements.read_escrow_record(record, SERVER.guid, DEVICE, later)


def test_only_the_sheets_key_opens_what_was_sealed_to_it() -> None:
    with pytest.raises(PermissionDenied):
        recovery_key.unseal(recovery_key.generate().private_key, SEALED)
    with pytest.raises(PermissionDenied):
        recovery_key.unseal(RECOVERY.private_key, SEALED[:-1])


@pytest.mark.parametrize(
    "text", ["", "age1", RECOVERY.recipient[:-1], RECOVERY.private_key, "a" * 200, "age1ſ"]
)
def test_what_is_no_recipient_is_refused_by_field(text: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        recovery_key.parse_recipient("recipient", text)
    assert [each.field for each in refused.value.violations] == ["recipient"]


def test_a_sheet_is_read_as_it_was_printed() -> None:
    sheet = RecoverySheet(RECOVERY, SERVER.guid)
    text = sheet.text(NOW)
    assert "2026-01-01 12:00 UTC" in text
    for copied in (text, text.lower(), text.replace("\n", "\r\n")):
        assert RecoverySheet.parse("sheet", copied) == sheet
    assert RECOVERY.private_key not in repr(sheet)
    wrong = text.replace(RECOVERY.private_key[-6:], "AAAAAA")
    for bad in ("", SERVER.guid, RECOVERY.private_key, text + text, wrong):
        with pytest.raises(InvalidArgument) as refused:
            RecoverySheet.parse("sheet", bad)
        assert RECOVERY.private_key[-6:] not in refused.value.message


def test_an_invitation_is_one_line_that_is_pasted() -> None:
    line = f"[2001:db8::1]:7501/{SERVER.guid}/0000-0000-0000-0000"
    invitation = Invitation.parse("line", f" {line}\n")
    assert invitation == Invitation("[2001:db8::1]:7501", SERVER.guid, "0000-0000-0000-0000")
    assert str(invitation) == line
    assert "0000" not in repr(invitation)
    plain = Invitation.parse(
        "line", line.upper().replace("0000-0000-0000-0000", "OOOOOOOOOOOOOOOO")
    )
    assert str(plain).lower() == line


@pytest.mark.parametrize(
    "line",
    [
        "",
        "0000-0000-0000-0000",
        f"host/{SERVER.guid}/0000-0000-0000-0000",
        f"host:99999/{SERVER.guid}/0000-0000-0000-0000",
        f"host:1/{DEVICE}/0000-0000-0000-0000",
        f"host:1/{SERVER.guid}/0000-0000-0000-0001",
        f"host:1/{SERVER.guid}/0000-0000-0000-0000/more",
    ],
)
def test_a_line_that_is_no_invitation_is_refused_by_field(line: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        Invitation.parse("line", line)
    assert {each.field for each in refused.value.violations} == {"line"}
    assert "0000" not in refused.value.message


def _changed(text: str, data: st.DataObject) -> str:
    place = data.draw(st.integers(0, len(text) - 2))
    changed = data.draw(st.characters(codec="ascii").filter(lambda each: each != text[place]))
    return text[:place] + changed + text[place + 1 :]
