"""A peer token proves one caller to one server for five minutes, and nothing else does."""

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_kit.errors import Unauthenticated
from service_kit.identity import peer_token
from service_kit.identity.guid import guid_of
from service_kit.identity.identity import Identity
from service_kit.reasons import Reason
from tests.support import forged

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
CALLER = Identity.create()
KEY = forged.key_of(CALLER)
OTHER = Identity.create()
AUDIENCE = Identity.create().guid


def _refused(token: str, now: datetime = NOW) -> Reason:
    with pytest.raises(Unauthenticated) as refused:
        peer_token.verify(token, AUDIENCE, now)
    return refused.value.reason


def _claims(**changes: Any) -> dict[str, Any]:
    return forged.claims(CALLER.guid, AUDIENCE, NOW, **changes)


def test_a_token_proves_its_issuer_to_its_audience() -> None:
    proven = peer_token.verify(peer_token.issue(CALLER, AUDIENCE, NOW), AUDIENCE, NOW)
    assert proven == peer_token.PeerClaims(CALLER.guid, NOW + timedelta(minutes=5))


def test_a_forgers_tools_make_good_tokens_too() -> None:
    """So that the refusals below are for what each of them changes."""
    token = forged.signed(KEY, forged.header(KEY), _claims())
    assert peer_token.verify(token, AUDIENCE, NOW).guid == CALLER.guid


@pytest.mark.parametrize("late", [timedelta(minutes=6, seconds=59), -timedelta(seconds=119)])
def test_clocks_may_differ_by_two_minutes(late: timedelta) -> None:
    token = peer_token.issue(CALLER, AUDIENCE, NOW)
    assert peer_token.verify(token, AUDIENCE, NOW + late).guid == CALLER.guid


def test_an_expired_token_is_refused_with_both_times() -> None:
    token = peer_token.issue(CALLER, AUDIENCE, NOW)
    with pytest.raises(Unauthenticated, match=r"12:05:00.*12:07:01") as refused:
        peer_token.verify(token, AUDIENCE, NOW + timedelta(minutes=7, seconds=1))
    assert refused.value.reason is Reason.CREDENTIALS_EXPIRED


def test_a_token_from_the_future_is_refused() -> None:
    token = peer_token.issue(CALLER, AUDIENCE, NOW + timedelta(seconds=121))
    assert _refused(token) is Reason.CREDENTIALS_INVALID


def test_a_token_that_is_not_valid_yet_is_refused() -> None:
    for late, accepted in [(120, True), (121, False)]:
        token = forged.signed(KEY, forged.header(KEY), _claims(nbf=int(NOW.timestamp()) + late))
        if accepted:
            assert peer_token.verify(token, AUDIENCE, NOW).guid == CALLER.guid
        else:
            assert _refused(token) is Reason.CREDENTIALS_INVALID


def test_a_token_that_would_live_longer_is_refused() -> None:
    token = peer_token.issue(CALLER, AUDIENCE, NOW, timedelta(minutes=6))
    assert _refused(token) is Reason.CREDENTIALS_INVALID


def test_a_token_for_another_server_is_refused() -> None:
    token = peer_token.issue(CALLER, OTHER.guid, NOW)
    assert _refused(token) is Reason.WRONG_AUDIENCE


FORGED: dict[str, Callable[[], str]] = {
    "no algorithm": lambda: forged.unsigned(forged.header(KEY, alg="none"), _claims()),
    "no signature": lambda: forged.unsigned(forged.header(KEY), _claims()),
    "HMAC by the public key": lambda: forged.hmac_signed(CALLER, _claims()),
    "another type": lambda: forged.signed(KEY, forged.header(KEY, typ="JWT"), _claims()),
    "no type": lambda: forged.signed(KEY, forged.header(KEY, typ=None), _claims()),
    "another's GUID": lambda: forged.signed(KEY, forged.header(KEY), _claims(iss=OTHER.guid)),
    "another's key in the header": lambda: forged.signed(
        KEY, forged.header(forged.key_of(OTHER)), _claims()
    ),
    "another's key and GUID": lambda: forged.signed(
        KEY, forged.header(forged.key_of(OTHER)), _claims(iss=OTHER.guid)
    ),
    "a private key in the header": lambda: forged.signed(
        KEY, forged.header(KEY, jwk=KEY.as_dict(private=True)), _claims()
    ),
    "a key that is text": lambda: forged.signed(KEY, forged.header(KEY, jwk="P-256"), _claims()),
    "a key that is no point": lambda: forged.signed(
        KEY, forged.header(KEY, jwk={"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}), _claims()
    ),
    "a symmetric key": lambda: forged.signed(
        KEY, forged.header(KEY, jwk={"kty": "oct", "k": "AAAA"}), _claims()
    ),
    "no key": lambda: forged.signed(KEY, {"alg": "ES256", "typ": peer_token.TYPE}, _claims()),
    "no issuer": lambda: forged.signed(KEY, forged.header(KEY), _claims(iss=None)),
    "no times": lambda: forged.signed(KEY, forged.header(KEY), _claims(exp=None, iat=None)),
    "times that are text": lambda: forged.signed(KEY, forged.header(KEY), _claims(exp="soon")),
    "times without end": lambda: forged.signed(KEY, forged.header(KEY), _claims(exp=10**18)),
    "an end after the year 9999": lambda: forged.signed(
        KEY, forged.header(KEY), _claims(exp=10**12)
    ),
    "a beginning after the year 9999": lambda: forged.signed(
        KEY, forged.header(KEY), _claims(nbf=10**12)
    ),
    "a life after the year 9999": lambda: forged.signed(
        KEY, forged.header(KEY), _claims(iat=10**12, exp=10**12 + 300)
    ),
    "a beginning that is text": lambda: forged.signed(KEY, forged.header(KEY), _claims(nbf="soon")),
    "times before time": lambda: forged.signed(KEY, forged.header(KEY), _claims(iat=-(10**18))),
    "nested without end": lambda: f"{base64.urlsafe_b64encode(b'[' * 2900).decode()}.e30.e30",
    "too long": lambda: forged.signed(KEY, forged.header(KEY), _claims(jti="a" * 4096)),
    "not ASCII": lambda: "é.é.é",
    "empty": lambda: "",
    "dots": lambda: "..",
}


@pytest.mark.parametrize("make", FORGED.values(), ids=FORGED.keys())
def test_a_forged_token_is_refused(make: Callable[[], str]) -> None:
    assert _refused(make()) is Reason.CREDENTIALS_INVALID


@pytest.mark.parametrize("algorithm", forged.CURVES)
def test_a_key_on_another_curve_is_refused(algorithm: str) -> None:
    key = forged.key_on(algorithm)
    body = forged.claims(guid_of(key.public_key), AUDIENCE, NOW)
    for named in (algorithm, "ES256"):
        if named == algorithm:
            token = forged.signed(key, forged.header(key, alg=named), body)
        else:
            token = forged.signed(KEY, forged.header(key), body)
        assert _refused(token) is Reason.CREDENTIALS_INVALID


@pytest.mark.parametrize("audience", [None, [AUDIENCE], AUDIENCE.upper(), {"a": 1}])
def test_the_audience_is_one_guid(audience: object) -> None:
    token = forged.signed(KEY, forged.header(KEY), _claims(aud=audience))
    assert _refused(token) is Reason.WRONG_AUDIENCE


@given(st.data())
def test_no_changed_token_is_accepted(data: st.DataObject) -> None:
    token = peer_token.issue(CALLER, AUDIENCE, NOW)
    place = data.draw(st.integers(0, len(token) - 2))
    changed = data.draw(st.characters(codec="ascii").filter(lambda each: each != token[place]))
    _refused(token[:place] + changed + token[place + 1 :])


@given(st.text(max_size=300))
def test_no_text_brings_anything_but_a_refusal(text: str) -> None:
    assert _refused(text) is Reason.CREDENTIALS_INVALID
