"""The form of a registration key: no typing error leaves the customer's server."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_kit.errors import InvalidArgument
from service_kit.identity.registration_key import ALPHABET, display, generate, normalize

keys = st.builds(generate)
places = st.integers(0, 15)


def _refusal(text: str) -> InvalidArgument:
    with pytest.raises(InvalidArgument) as refused:
        normalize("registration_key", text)
    return refused.value


def test_a_key_has_four_groups_of_four() -> None:
    groups = generate().split("-")
    assert [len(each) for each in groups] == [4, 4, 4, 4]
    assert set("".join(groups)) <= set(ALPHABET)


def test_no_two_keys_are_alike() -> None:
    assert len({generate() for _ in range(1000)}) == 1000


@given(keys)
def test_a_key_is_read_as_it_was_made(key: str) -> None:
    assert display(normalize("key", key)) == key


@pytest.mark.parametrize(
    "write",
    [
        str.lower,
        lambda key: key.replace("-", ""),
        lambda key: key.replace("-", " "),
        lambda key: f"  {key}\r\n",
        lambda key: key.replace("1", "I").replace("0", "O"),
        lambda key: key.replace("1", "l").replace("0", "o"),
    ],
)
@given(key=keys)
def test_the_way_of_writing_does_not_matter(write: Callable[[str], str], key: str) -> None:
    assert normalize("key", write(key)) == key.replace("-", "")


@given(keys, places, st.sampled_from(ALPHABET))
def test_every_single_wrong_character_is_found(key: str, place: int, wrong: str) -> None:
    plain = normalize("key", key)
    if plain[place] != wrong:
        _refusal(plain[:place] + wrong + plain[place + 1 :])


@given(keys, places, places)
def test_every_swap_of_two_characters_is_found(key: str, one: int, other: int) -> None:
    characters = list(normalize("key", key))
    if characters[one] != characters[other]:
        characters[one], characters[other] = characters[other], characters[one]
        _refusal("".join(characters))


@pytest.mark.parametrize(
    "text", ["", "ABCD", "ABCD-EFGH-JKMN-PQR", "U" * 16, "é" * 16, "A" * 10**6]
)
def test_what_has_another_form_is_refused(text: str) -> None:
    assert [each.field for each in _refusal(text).violations] == ["registration_key"]


@given(keys)
def test_a_refusal_never_shows_the_key(key: str) -> None:
    wrong = ALPHABET[(ALPHABET.index(key[0]) + 1) % 32] + key[1:]
    told = str(_refusal(wrong))
    assert key[5:9] not in told
