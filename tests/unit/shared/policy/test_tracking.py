"""Tokens of tracked links: what they say, and that nobody else can make one."""

from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.model.ids import ALPHABET, new_base
from shared.policy import unsubscribing
from shared.policy.tracking import MOST_TARGET_BYTES, Tracked, click_link, open_link, read_token

SALT = b"salt of a tenant" * 2
MESSAGE = new_base(1_700_000_000_000) + "0123456789ABCDEF"
TARGETS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=150).map(lambda rest: f"https://a.cn/{rest}")


def made(number: int = 1, target: str = "https://a.cn/", salt: bytes = SALT) -> str:
    link = click_link("https://push.example", "shop", salt, Tracked(MESSAGE, number, target, 3))
    assert link is not None and link.startswith("https://push.example/c/shop/")
    return link.rpartition("/")[2]


@given(number=st.integers(1, 255), target=TARGETS, tag=st.text(ALPHABET, min_size=16, max_size=16))
def test_a_token_says_what_it_was_made_of(number: int, target: str, tag: str) -> None:
    message_id = MESSAGE[:26] + tag
    link = click_link("https://p", "shop", SALT, Tracked(message_id, number, target, number))
    assert link is not None
    found = read_token(SALT, link.rpartition("/")[2])
    assert found is not None and (found.message_id, found.number, found.link) == (message_id, number, number)
    # Header and URL alike take no other characters.
    assert found.target.isascii() and " " not in found.target and found.target.startswith("https://a.cn/")


def test_a_target_that_is_encoded_already_stays_as_it_is() -> None:
    target = "https://a.cn/%E4%B8%AD?q=a%20b&r=1+2#x~"
    assert read_token(SALT, made(target=target)) == Tracked(MESSAGE, 1, target, 3)
    beyond = read_token(SALT, made(target="https://a.cn/中"))
    assert beyond is not None and beyond.target == "https://a.cn/%E4%B8%AD"


def test_the_picture_leads_nowhere() -> None:
    token = open_link("https://p", "shop", SALT, MESSAGE).rpartition("/")[2]
    assert read_token(SALT, token) == Tracked(MESSAGE, 0, link=0)


def test_what_is_too_long_goes_straight_on() -> None:
    assert click_link("https://p", "shop", SALT, Tracked(MESSAGE, 1, "https://a/" + "x" * MOST_TARGET_BYTES)) is None


@given(at=st.integers(0, 60), by=st.integers(1, 255))
def test_no_byte_of_a_token_can_be_another(at: int, by: int) -> None:
    token = made(target="https://example.com/some/where")
    data = bytearray(urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    data[at % len(data)] ^= by
    assert read_token(SALT, urlsafe_b64encode(data).decode()) is None


@pytest.mark.parametrize("given", ["", "x", "中", "A" * 48, "A" * 50, "=" * 9, "-_" * 40])
def test_what_is_no_token_says_nothing(given: str) -> None:
    assert read_token(SALT, given) is None


def test_no_tenants_token_is_anothers_and_none_is_a_link_to_unsubscribe() -> None:
    assert read_token(b"another salt" * 3, made()) is None
    assert read_token(SALT, unsubscribing.token(SALT, MESSAGE)) is None
