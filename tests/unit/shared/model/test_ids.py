"""Identifiers: derived, ordered, reversible."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.model.ids import (
    MAX_PER_BASE,
    MESSAGE_ID_LENGTH,
    Numbering,
    Tagger,
    derived_base,
    first_ulid_at,
    new_base,
    root_of,
    tag_of,
    ulid_text,
    ulid_time,
    ulid_value,
)


@given(st.integers(min_value=0, max_value=2**128 - 1))
def test_a_ulid_reads_back(value: int) -> None:
    assert ulid_value(ulid_text(value)) == value


@given(st.integers(0, 2**128 - 1), st.integers(0, 2**128 - 1))
def test_ulids_sort_as_their_values(a: int, b: int) -> None:
    assert (ulid_text(a) < ulid_text(b)) == (a < b)


@pytest.mark.parametrize("text", ["", "0" * 25, "0" * 27, "8" + "0" * 25, "0" * 25 + "U", "0" * 25 + "a"])
def test_what_is_no_ulid_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a ULID"):
        ulid_value(text)


@given(st.integers(0, 2**47), st.integers(0, MAX_PER_BASE - 1))
def test_numbering_adds(now: int, i: int) -> None:
    base = new_base(now)
    assert Numbering(base)(i) == ulid_text(ulid_value(base) + i)
    assert ulid_time(Numbering(base)(i)) == now


def test_an_envelope_numbers_on_from_its_first_recipient() -> None:
    base = new_base(1)
    envelope = Numbering(base)(300)
    assert Numbering(envelope)(7) == Numbering(base)(307)


def test_a_base_does_not_overflow_into_another() -> None:
    with pytest.raises(ValueError, match="too many"):
        Numbering(new_base(1))(MAX_PER_BASE)


def test_derived_bases_follow_from_their_parts() -> None:
    assert derived_base(5, "run", "1") == derived_base(5, "run", "1")
    assert len({derived_base(5, "run", "1"), derived_base(5, "run1"), derived_base(6, "run", "1")}) == 3
    assert ulid_value(derived_base(5, "x")) % MAX_PER_BASE == 0
    assert derived_base(5, "x") >= first_ulid_at(5)


def test_tags_depend_on_salt_channel_and_address_alone() -> None:
    tag = Tagger(b"salt", "email")
    assert tag("a@example.com") == tag("a@example.com")
    others = {
        tag("b@example.com"),
        Tagger(b"salt", "sms")("a@example.com"),
        Tagger(b"pepper", "email")("a@example.com"),
    }
    assert tag("a@example.com") not in others and len(others) == 3


def test_a_message_id_holds_its_tag() -> None:
    tag = Tagger(b"salt", "email")("a@example.com")
    message_id = new_base(1) + tag
    assert len(message_id) == MESSAGE_ID_LENGTH and tag_of(message_id) == tag
    with pytest.raises(ValueError, match="not a"):
        tag_of(message_id[:-1])


def test_children_know_their_root() -> None:
    assert root_of("01ABC/r1/r2") == root_of("01ABC") == "01ABC"
