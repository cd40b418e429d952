"""Links by which recipients unsubscribe."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.model.ids import ALPHABET, MESSAGE_ID_LENGTH, ulid_text
from shared.policy.unsubscribing import STAND_IN, TOKEN_LENGTH, link, message_of, token

SALT = b"a salt of sixty-four bytes or so, more than any other"
IDS = st.builds(
    lambda value, tag: ulid_text(value) + "".join(tag),
    st.integers(0, 2**128 - 1),
    st.lists(st.sampled_from(ALPHABET), min_size=16, max_size=16),
)


@given(IDS)
def test_a_token_names_its_message(message_id: str) -> None:
    made = token(SALT, message_id)
    assert len(made) == TOKEN_LENGTH and made.isascii() and not set(made) & set("=+/ ")
    assert message_of(SALT, made) == message_id and len(message_id) == MESSAGE_ID_LENGTH
    assert message_of(b"another tenant's", made) is None


@given(IDS, st.integers(0, TOKEN_LENGTH - 1), st.sampled_from("abcXYZ019-_"))
def test_whatever_is_changed_of_a_token_is_none_of_ours(message_id: str, at: int, letter: str) -> None:
    made = token(SALT, message_id)
    changed = made[:at] + letter + made[at + 1 :]
    assert message_of(SALT, changed) == (message_id if changed == made else None)


@pytest.mark.parametrize("given", ["", "x", "x" * 47, "x" * 48, "é" * 48, "=" * 48, "x" * 49, "A" * 44 + "===="])
def test_what_was_never_a_token_is_none(given: str) -> None:
    assert message_of(SALT, given) is None


def test_nobody_guesses_one() -> None:
    chance = random.Random(5)
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    guesses = ("".join(chance.choices(letters, k=TOKEN_LENGTH)) for _ in range(20_000))
    assert not any(message_of(SALT, guess) for guess in guesses)


def test_a_link_fits_on_a_line_that_no_server_folds() -> None:
    found = link("https://a1b2c3d4e5.execute-api.cn-northwest-1.amazonaws.com.cn", "default", SALT, "0" * 42)
    assert len(f"List-Unsubscribe: <{found}>") < 160 and "@" not in found
    assert len(STAND_IN.rpartition("/")[2]) == TOKEN_LENGTH
