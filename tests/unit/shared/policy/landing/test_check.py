from local.sandbox.dns import ZONE
from shared.policy.landing.check import Verdict, check_domain, verdict
from shared.policy.landing.findings import Finding, Sender, State
from tests.unit.shared.policy.landing.zones import Names


def zone(**more: object) -> dict[str, object]:
    whole: dict[str, object] = {name: dict(records) for name, records in ZONE.items()}
    return whole | more


def by_code(findings: list[Finding]) -> dict[str, State]:
    return {finding.code: finding.state for finding in findings}


def test_a_domain_whose_mail_lands() -> None:
    found = check_domain("example.com", Sender(), Names(zone()))
    assert verdict(found) is Verdict.READY
    assert set(by_code(found)) == {"spf_ok", "dkim_ok", "dmarc_ok", "aligned", "mx_ok", "tls_none", "bimi_none"}


def test_a_domain_whose_mail_does_not() -> None:
    found = check_domain("broken.example", Sender(), Names(zone()))
    assert verdict(found) is Verdict.NOT_READY
    assert by_code(found) == {
        "spf_several": State.FAILED,
        "dkim_not_found": State.WARNING,
        "dmarc_missing": State.FAILED,
        "mx_missing": State.WARNING,
        "tls_none": State.NOTE,
        "bimi_none": State.NOTE,
    }


def test_an_envelope_of_its_own_needs_its_records() -> None:
    sender = Sender(include="amazonses.com", envelope="bounce.example.com", feedback="feedback-smtp.eu.amazonses.com")
    there = {"MX": "10 feedback-smtp.eu.amazonses.com", "TXT": "v=spf1 include:amazonses.com ~all"}
    good = by_code(check_domain("example.com", sender, Names(zone(**{"bounce.example.com": there}))))
    assert {"spf_ok": State.OK, "mail_from_ok": State.OK, "aligned": State.OK}.items() <= good.items()
    bad = {each.code: each for each in check_domain("example.com", sender, Names(zone()))}
    assert bad["mail_from_mx"].record is not None
    assert bad["mail_from_mx"].record.value == "10 feedback-smtp.eu.amazonses.com"
    assert bad["spf_missing"].record is not None
    assert bad["spf_missing"].record.value == "v=spf1 include:amazonses.com ~all"


def test_a_domain_that_takes_no_mail() -> None:
    found = by_code(check_domain("example.com", Sender(), Names(zone(**{"example.com": {"MX": "0 "}}))))
    assert found["mx_null"] is State.WARNING


def test_no_answer_is_no_verdict() -> None:
    failing = frozenset({"example.com", "_dmarc.example.com"})
    found = check_domain("example.com", Sender(), Names(zone(), failing))
    assert verdict(found) is Verdict.UNKNOWN


def test_a_domain_of_mailboxes_is_not_judged() -> None:
    names = Names({})
    assert by_code(check_domain("qq.com", Sender(), names)) == {"free_mail": State.WARNING}
    assert names.asked == []
