"""What is written around and within an address never makes another person's of it."""

import re
import unicodedata

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.model.address import AddressError, canonical, normalise

KINDS = phonenumbers.PhoneNumberType
FORMATS = phonenumbers.PhoneNumberFormat
MARKS = "\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufe0f\ufeff\u00ad"
BLANKS = " \t\u00a0\u2003\u2009\u202f\u3000"

MOBILES = {
    region: phonenumbers.format_number(example, FORMATS.E164)
    for region in sorted(phonenumbers.SUPPORTED_REGIONS)
    if (example := phonenumbers.example_number_for_type(region, KINDS.MOBILE)) is not None
}
ADDRESSES = [("sms", number) for number in MOBILES.values()]
ADDRESSES += [("email", "ada.lovelace+x@mail.example.com"), ("email", "li@xn--fiqs8s.cn"), ("wecom", "zhang_san")]


def read(channel: str, text: str, region: str = "CN") -> str | None:
    try:
        return normalise(channel, text, region)
    except AddressError:
        return None


@pytest.mark.parametrize("shape", [FORMATS.E164, FORMATS.INTERNATIONAL, FORMATS.RFC3966])
def test_every_countrys_numbers_are_read_as_that_country_writes_them(shape: int) -> None:
    for region, number in MOBILES.items():
        written = phonenumbers.format_number(phonenumbers.parse(number), shape)
        assert normalise("sms", written, region) == number, written
        assert normalise("sms", written, "CN") == number, written


@settings(deadline=None)
@given(
    st.sampled_from(ADDRESSES),
    st.lists(st.tuples(st.integers(0, 40), st.sampled_from(MARKS)), max_size=6),
    st.text(BLANKS, max_size=3),
    st.text(BLANKS, max_size=3),
    st.booleans(),
)
def test_marks_blanks_and_full_width_forms_change_nothing(
    case: tuple[str, str], marks: list[tuple[int, str]], before: str, after: str, wide: bool
) -> None:
    channel, address = case
    text = "".join(chr(ord(c) + 0xFEE0) for c in address) if wide else address
    for place, mark in marks:
        text = text[:place] + mark + text[place:]
    assert normalise(channel, before + text + after) == address


LOSSY = [".0", ".00", ",0", ".5", "-0", "/1", "E+10", "e10", " ext 5", "x5", "转801", "#5", ";5", " 5", "\n5"]


@settings(deadline=None)
@given(st.sampled_from(sorted(MOBILES.values())), st.sampled_from(LOSSY), st.booleans())
def test_what_stands_behind_a_number_never_becomes_part_of_it(number: str, tail: str, spaced: bool) -> None:
    written = number
    if spaced:
        written = phonenumbers.format_number(phonenumbers.parse(number), FORMATS.INTERNATIONAL)
    assert read("sms", written + tail) is None


@settings(deadline=None)
@given(
    st.sampled_from(sorted(MOBILES.values())),
    st.sampled_from(sorted(MOBILES.values())),
    st.text(" ,;/|、\n", min_size=1),
)
def test_two_numbers_are_none(one: str, other: str, between: str) -> None:
    assert read("sms", one + between + other) is None


_PIECES = st.lists(
    st.one_of(
        st.text("0123456789", min_size=1, max_size=13),
        st.sampled_from([*" +-.,/()'\"#eEx", *MARKS, "00", "(0)", "0086", "+86", "+62 8", "１", "٣", "²", ".0"]),
    ),
    max_size=8,
)


@settings(deadline=None, max_examples=400)
@given(_PIECES.map("".join), st.sampled_from(["CN", "ID", "AT", "US", "HK", "AR"]))
def test_the_digits_that_come_out_are_those_that_went_in(text: str, region: str) -> None:
    """But for a prefix: of a call abroad, of the own country's code, or of calls within a country."""
    found = read("sms", text, region)
    if found is None:
        return
    seen = "".join(str(unicodedata.decimal(c)) for c in text if c.isdecimal())
    code = str(phonenumbers.parse(found).country_code)
    national = found[1:].removeprefix(code)
    heads = rf"(?:(?:00|011|001|008|009)?{code}(?:0|1|8)?|0|1|8|)"
    assert re.fullmatch(heads + national, seen), (text, found)
    assert "." not in text.strip(f". {MARKS}") or text.count(".") > 1 or not re.search(r"\d\.0*\D*\Z", text), text


@settings(deadline=None)
@given(st.sampled_from(["email", "sms", "wecom"]), st.text(max_size=60))
def test_what_is_known_to_be_canonical_is_what_normalising_makes_of_it(channel: str, text: str) -> None:
    if canonical(channel)(text):
        assert normalise(channel, text) == text


@pytest.mark.parametrize("text", ["10086.0", "k\u212a", "ａ@b.cn", "a@b.cn\n", "+8613800138000\n", "13800138000"])
def test_nothing_else_is_known_to_be_canonical(text: str) -> None:
    for channel in ("email", "sms", "wecom"):
        if canonical(channel)(text):
            assert normalise(channel, text) == text


@pytest.mark.parametrize("channel", ["email", "sms", "wecom"])
@pytest.mark.parametrize("text", ["(" * 300, "x " * 5_000, "1" * 100_000, "<" * 900, "a@" * 400, "\u200b" * 100_000])
def test_long_nonsense_is_refused_without_being_pored_over(channel: str, text: str) -> None:
    assert read(channel, text) is None
