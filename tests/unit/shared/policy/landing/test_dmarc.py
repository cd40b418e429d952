import pytest

from shared.policy.landing.dmarc import Policy, Unanswered, alignment, check, policy_of
from shared.policy.landing.findings import Sender
from tests.unit.shared.policy.landing.zones import Names

D = "news.shop.test"


def codes(zone: dict[str, object]) -> list[str]:
    return [each.code for each in check(D, policy_of(D, Names(zone)))]


@pytest.mark.parametrize(
    ("record", "found"),
    [
        ("v=DMARC1; p=reject; rua=mailto:a@b.test", ["dmarc_ok"]),
        ("v=DMARC1;p=none;rua=mailto:a@b.test", ["dmarc_ok", "dmarc_none"]),
        ("v=DMARC1; p=quarantine", ["dmarc_ok", "dmarc_no_reports"]),
        ("v=DMARC1; p=block; rua=mailto:a@b.test", ["dmarc_policy"]),
        ("v=spf1 -all", ["dmarc_missing"]),
    ],
)
def test_a_record_is_judged(record: str, found: list[str]) -> None:
    assert codes({f"_dmarc.{D}": record}) == found


def test_the_nearest_record_above_holds_with_its_policy_for_what_is_below() -> None:
    zone: dict[str, object] = {"_dmarc.shop.test": "v=DMARC1; p=reject; sp=none; rua=mailto:a@b.test"}
    policy = policy_of(D, Names(zone))
    assert isinstance(policy, Policy)
    assert (policy.at, policy.of(D), policy.of("shop.test")) == ("shop.test", "none", "reject")
    assert codes(zone | {f"_dmarc.{D}": "v=DMARC1; p=reject; rua=mailto:a@b.test"}) == ["dmarc_ok"]


def test_two_records_count_for_nothing() -> None:
    assert codes({f"_dmarc.{D}": ("v=DMARC1; p=none", "v=DMARC1; p=reject")}) == ["dmarc_several"]


def test_a_name_of_many_labels_is_not_asked_for_without_end() -> None:
    names = Names({})
    assert policy_of(".".join(["a"] * 100), names) == []
    assert len(names.asked) == 8


def test_no_answer_is_no_missing_record() -> None:
    with pytest.raises(Unanswered):
        policy_of(D, Names({}, frozenset({f"_dmarc.{D}"})))


@pytest.mark.parametrize(
    ("envelope", "mode", "code"),
    [
        ("", "r", "aligned"),
        ("bounce.news.shop.test", "r", "aligned"),
        ("shop.test", "r", "aligned"),
        ("bounce.shop.test", "r", "aligned"),
        ("bounce.shop.test", "s", "aligned_by_dkim"),
        ("amazonses.com", "r", "aligned_by_dkim"),
        ("myshop.test", "r", "aligned_by_dkim"),
    ],
)
def test_the_envelope_is_of_the_same_domain_or_not(envelope: str, mode: str, code: str) -> None:
    names = Names({"_dmarc.shop.test": f"v=DMARC1; p=none; aspf={mode}", "_dmarc.myshop.test": "v=DMARC1; p=none"})
    policy = policy_of(D, names)
    assert isinstance(policy, Policy)
    assert alignment(D, Sender(envelope=envelope), policy, names).code == code
