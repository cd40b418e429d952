from collections.abc import Mapping

import pytest

from shared.policy.landing.findings import Record, Sender, State
from shared.policy.landing.spf import check
from tests.unit.shared.policy.landing.zones import Names

D = "shop.test"


def codes(zone: Mapping[str, object], sender: Sender | None = None, failing: frozenset[str] = frozenset()) -> list[str]:
    return [each.code for each in check(D, sender or Sender(), Names(zone, failing))]


@pytest.mark.parametrize(
    ("record", "code"),
    [
        ("v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/32 -all", "spf_ok"),
        ("v=spf1 a mx:mail.shop.test a/24 ~all", "spf_ok"),
        ("V=SPF1 IP4:192.0.2.1 ~ALL", "spf_ok"),
        ("v=spf1 exp=why.shop.test ~all", "spf_ok"),
        ("v=spf1 exists:%{i}._spf.shop.test -all", "spf_ok"),
        ("v=spf1 ip4:192.0.2.1 +all", "spf_all"),
        ("v=spf1 all", "spf_all"),
        ("v=spf1 ip4:192.0.2.1 ?all", "spf_open"),
        ("v=spf1 ip4:192.0.2.1", "spf_open"),
        ("v=spf1 ptr -all", "spf_ptr"),
        ("v=spf1 ip4:192.0.2.300 -all", "spf_syntax"),
        ("v=spf1 ip4:2001:db8:: -all", "spf_syntax"),
        ("v=spf1 ipv4:192.0.2.1 -all", "spf_syntax"),
        ("v=spf1 include: -all", "spf_syntax"),
        ("v=spf1 include:shop.test -all", "spf_loop"),
        ("v=spf1 include:gone.test -all", "spf_include_empty"),
        # Nothing after `all` is looked at.
        ("v=spf1 -all include:gone.test", "spf_ok"),
        ("v=spf10 -all", "spf_missing"),
    ],
)
def test_a_record_is_judged(record: str, code: str) -> None:
    zone = {D: {"TXT": record, "A": "192.0.2.1", "MX": "10 mail"}, "mail.shop.test": {"MX": "10 mail"}}
    assert codes(zone) == [code]


def test_two_records_count_for_nothing_and_none_is_missing() -> None:
    assert codes({D: ("v=spf1 -all", "v=spf1 ~all", "google-site-verification=1")}) == ["spf_several"]
    (missing,) = check(D, Sender(include="spf.provider.test"), Names({D: "something else"}))
    assert (missing.code, missing.record) == ("spf_missing", Record(D, "TXT", "v=spf1 include:spf.provider.test ~all"))


def includes(count: int) -> dict[str, object]:
    terms = " ".join(f"include:s{n}.test" for n in range(count))
    return {D: f"v=spf1 {terms} -all", **{f"s{n}.test": "v=spf1 ip4:192.0.2.1 -all" for n in range(count)}}


def test_ten_look_ups_are_taken_and_eleven_are_not() -> None:
    assert codes(includes(10)) == ["spf_ok"]
    (found,) = check(D, Sender(), Names(includes(11)))
    assert (found.code, found.facts["count"]) == ("spf_lookups", "11")


def test_look_ups_of_included_records_count_too() -> None:
    zone = includes(6) | {"s0.test": "v=spf1 a:x.test a:x.test a:x.test a:x.test a:x.test -all", "x.test": {"A": "1"}}
    assert codes(zone) == ["spf_lookups"]


def test_a_record_without_end_is_not_followed_without_end() -> None:
    names = Names(
        {D: "v=spf1 include:a0.test -all", **{f"a{n}.test": f"v=spf1 include:a{n + 1}.test" for n in range(99)}}
    )
    assert [each.code for each in check(D, Sender(), names)] == ["spf_lookups"]
    assert len(names.asked) <= 12


def test_two_names_without_records_are_taken_and_three_are_not() -> None:
    assert codes({D: "v=spf1 a:x.test a:y.test ip4:192.0.2.1 -all"}) == ["spf_ok"]
    assert codes({D: "v=spf1 a:x.test a:y.test mx:z.test -all"}) == ["spf_void"]
    assert codes({D: "v=spf1 a:x.test a:y.test a:z.test -all", "z.test": {"AAAA": "2001:db8::1"}}) == ["spf_ok"]


def test_a_redirect_says_how_it_ends() -> None:
    assert codes({D: "v=spf1 redirect=_spf.test", "_spf.test": "v=spf1 ip4:192.0.2.1 -all"}) == ["spf_ok"]
    assert codes({D: "v=spf1 redirect=_spf.test", "_spf.test": "v=spf1 +all"}) == ["spf_all"]


def test_the_senders_servers_have_to_be_in_it() -> None:
    sender = Sender(include="amazonses.com")
    zone: dict[str, object] = {D: "v=spf1 include:other.test ~all", "other.test": "v=spf1 -all"}
    (found,) = check(D, sender, Names(zone))
    assert (found.code, found.state) == ("spf_not_included", State.FAILED)
    assert found.record == Record(D, "TXT", "v=spf1 include:amazonses.com include:other.test ~all")
    nested = zone | {"other.test": "v=spf1 include:AmazonSES.com -all", "amazonses.com": "v=spf1 -all"}
    assert codes(nested, sender) == ["spf_ok"]


def test_what_nobody_answered_is_not_said_to_be_missing() -> None:
    assert codes({}, failing=frozenset({D})) == ["no_answer"]
    assert codes({D: "v=spf1 include:x.test -all"}, failing=frozenset({"x.test"})) == ["spf_unanswered"]
