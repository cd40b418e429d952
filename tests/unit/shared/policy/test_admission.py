"""Which numbers texts may go to: mobiles of countries that are allowed, and nothing that charges or reaches nobody."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.model.address import canonical
from shared.model.reasons import Reason
from shared.model.words import Channel
from shared.policy.admission import Gate, RefusedError

COUNTRIES = frozenset({"AU", "CA", "CN", "DE", "FR", "GB", "HK", "IN", "JP", "KR", "NZ", "SG", "TW", "US"})


def gate(region: str = "CN", *, countries: frozenset[str] = COUNTRIES) -> Gate:
    return Gate(region, None, countries)


def refusal(raw: str, region: str = "CN", **given: frozenset[str]) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        gate(region, **given).admit("to", Channel.SMS, raw)
    assert caught.value.field == "to"
    return caught.value


@pytest.mark.parametrize(
    "number",
    [
        *("+8613800138000", "+8619912345678", "+8614512345678", "+8617012345678", "+85251234567", "+886912345678"),
        *("+819012345678", "+821012345678", "+6581234567", "+919876543210", "+61412345678", "+64211234567"),
        *("+447400123456", "+4915123456789", "+33612345678", "+12015550123", "+15062345678"),
    ],
)
def test_mobiles_are_admitted(number: str) -> None:
    assert gate().admit("to", Channel.SMS, number) == number


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        # Landlines.
        ("+861062345678", "a landline"),
        ("010-62345678", "a landline"),
        ("+85221234567", "a landline"),
        ("+886221234567", "a landline"),
        ("+6561234567", "a landline"),
        ("+442071234567", "a landline"),
        # Numbers whose owners are paid for each call or text.
        ("+85290012345678", "a premium-rate number"),
        ("+19005551234", "a premium-rate number"),
        ("+449098765432", "a premium-rate number"),
        ("+448712345678", "a premium-rate number"),
        ("+499001234567", "a premium-rate number"),
        ("+33891123456", "a premium-rate number"),
        ("+81990123456", "a premium-rate number"),
        ("+611900123456", "a premium-rate number"),
        ("+447011223344", "a personal number, which is charged like a premium one"),
        ("+15005550006", "a personal number, which is charged like a premium one"),
        ("+864008000000", "a shared-cost number"),
        ("+491801234567", "a shared-cost number"),
        # Numbers of companies.
        ("+868008100000", "a toll-free number"),
        ("+18005551234", "a toll-free number"),
        ("+81120123456", "a toll-free number"),
        ("+911800123456", "a toll-free number"),
        ("+443001231234", "a universal access number"),
        # Numbers of the internet, and pagers.
        ("+815012345678", "an internet telephone's number"),
        ("+827012345678", "an internet telephone's number"),
        ("+6531234567", "an internet telephone's number"),
        ("+445601234567", "an internet telephone's number"),
        ("+447640123456", "a pager's number"),
        # Satellites: Iridium, Inmarsat, Thuraya, and those with numbers of a country.
        ("+881612345678", "a satellite telephone's number"),
        ("+870773111632", "a satellite telephone's number"),
        ("+8821612345678", "a number of an international network"),
        ("+883510012345", "a number of an international network"),
        ("+8613491234567", "a satellite telephone's number"),
        ("13491234567", "a satellite telephone's number"),
        ("+8617401234567", "a satellite telephone's number"),
        ("17491234567", "a satellite telephone's number"),
        # Of no country.
        ("+80012345678", "a toll-free number of no country"),
        ("+80812345678", "a shared-cost number of no country"),
        ("+979123456789", "an international premium-rate number"),
    ],
)
def test_what_is_no_mobile_is_refused_by_its_kind_though_its_country_is_allowed(raw: str, words: str) -> None:
    found = refusal(raw)
    assert found.reason is Reason.NUMBER_TAKES_NO_TEXTS
    assert found.detail == f"The number is {words}, which gets no texts. Give a mobile number."


@pytest.mark.parametrize(
    ("raw", "region"),
    [("10086", "CN"), ("95588", "CN"), ("12306", "CN"), ("110", "CN"), ("40404", "US"), ("911", "US"), ("70017", "GB")],
)
def test_short_codes_are_refused_and_called_so(raw: str, region: str) -> None:
    found = refusal(raw, region)
    assert found.reason is Reason.ADDRESS_INVALID
    assert "a short one, such as a service's, which gets no texts" in found.detail


def test_a_short_number_of_a_country_that_has_such_is_no_short_code() -> None:
    # Niue's landlines have four digits.
    assert refusal("4002", "NU").reason is Reason.NUMBER_TAKES_NO_TEXTS


@pytest.mark.parametrize(
    ("raw", "region"), [("106575258123", "CN"), ("+1065752581", "CN"), ("+8610086", "CN"), ("+140404", "US")]
)
def test_a_services_number_is_read_as_no_other(raw: str, region: str) -> None:
    assert refusal(raw, region).reason is Reason.ADDRESS_INVALID


@pytest.mark.parametrize(
    ("number", "region", "countries", "admitted"),
    [
        ("+8613800138000", "CN", "", True),
        ("+85251234567", "CN", "", False),
        ("+85251234567", "HK", "", True),
        # A list is whole: the own country is on it or not.
        ("+8613800138000", "CN", "HK", False),
        # Countries that share a code.
        ("+15062345678", "US", "US", False),
        ("+18762101234", "US", "US", False),
        ("+447797712345", "GB", "GB", False),
        ("+447624400000", "GB", "GB", False),
        ("+447624400000", "GB", "GB IM", True),
        ("+77710009998", "RU", "RU", False),
    ],
)
def test_mobiles_of_countries_that_are_not_allowed_are_refused(
    number: str, region: str, countries: str, admitted: bool
) -> None:
    allowed = frozenset(countries.split())
    if admitted:
        assert gate(region, countries=allowed).admit("to", Channel.SMS, number) == number
    else:
        assert refusal(number, region, countries=allowed).reason is Reason.COUNTRY_NOT_ALLOWED


@given(st.from_regex(r"\+861[0-9]{10}", fullmatch=True) | st.sampled_from(["+8613491234567", "+8617401234567"]))
def test_what_runs_of_campaigns_do_not_ask_about_is_what_would_be_admitted(number: str) -> None:
    assert gate(countries=frozenset()).admits_all(Channel.SMS)
    assert not gate("US", countries=frozenset()).admits_all(Channel.SMS)
    if canonical(Channel.SMS)(number):
        assert gate().admit("to", Channel.SMS, number) == number
