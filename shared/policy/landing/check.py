"""The whole check of a sender's domain."""

from enum import StrEnum

from shared.net.dns import Lookups
from shared.policy.landing import dkim, dmarc, spf
from shared.policy.landing.findings import Check, Finding, Record, Sender, State


class Verdict(StrEnum):
    """Whether mail from the domain will land, by what its records say."""

    READY = "ready"
    CAREFUL = "careful"
    """Nothing is wrong that large receivers refuse today, and something that they may."""
    NOT_READY = "not_ready"
    UNKNOWN = "unknown"
    """The DNS did not answer."""


FREE_MAIL = frozenset(
    [
        "qq.com",
        "vip.qq.com",
        "foxmail.com",
        "163.com",
        "126.com",
        "yeah.net",
        "139.com",
        "189.cn",
        "sina.com",
        "sohu.com",
        "aliyun.com",
        "gmail.com",
        "outlook.com",
        "hotmail.com",
        "live.com",
        "yahoo.com",
        "icloud.com",
    ]
)
"""Domains of mailboxes that anybody may have."""


def check_domain(domain: str, sender: Sender, lookups: Lookups) -> list[Finding]:
    """All that is found of a domain. domain: in lower case, internationalised ones in ASCII."""
    if domain in FREE_MAIL:
        return [Finding(Check.DOMAIN, State.WARNING, "free_mail", facts={"name": domain})]
    envelope = sender.envelope or domain
    found = [
        *spf.check(envelope, sender, lookups),
        *dkim.check(domain, sender, lookups),
        *_dmarc(domain, sender, lookups),
    ]
    if sender.envelope and sender.feedback:
        found.append(_feedback(sender, lookups))
    return [*found, _mx(domain, lookups), _tls(domain, lookups), _bimi(domain, lookups)]


def verdict(findings: list[Finding]) -> Verdict:
    """What findings come to."""
    states = {finding.state for finding in findings}
    if State.FAILED in states:
        return Verdict.NOT_READY
    if State.UNKNOWN in states:
        return Verdict.UNKNOWN
    return Verdict.CAREFUL if State.WARNING in states else Verdict.READY


def _dmarc(domain: str, sender: Sender, lookups: Lookups) -> list[Finding]:
    try:
        policy = dmarc.policy_of(domain, lookups)
    except dmarc.Unanswered as error:
        return [Finding(Check.DMARC, State.UNKNOWN, "no_answer", facts={"name": str(error)})]
    found = dmarc.check(domain, policy)
    return [*found, dmarc.alignment(domain, sender, policy, lookups)] if isinstance(policy, dmarc.Policy) else found


def _feedback(sender: Sender, lookups: Lookups) -> Finding:
    """Whether bounces come back to the provider: it falls back to its own domain otherwise."""
    answer = lookups.find(sender.envelope, "MX")
    facts = {"name": sender.envelope, "host": sender.feedback}
    if answer.failed:
        return Finding(Check.MAIL_FROM, State.UNKNOWN, "no_answer", facts=facts)
    hosts = [record.partition(" ")[2].lower() for record in answer.records]
    if hosts == [sender.feedback]:
        return Finding(Check.MAIL_FROM, State.OK, "mail_from_ok", answer.records[0], facts)
    record = Record(sender.envelope, "MX", f"10 {sender.feedback}")
    return Finding(Check.MAIL_FROM, State.FAILED, "mail_from_mx", " | ".join(answer.records), facts, record)


def _mx(domain: str, lookups: Lookups) -> Finding:
    answer = lookups.find(domain, "MX")
    facts = {"name": domain}
    if answer.failed:
        return Finding(Check.MX, State.UNKNOWN, "no_answer", facts=facts)
    hosts = [record.partition(" ")[2] for record in answer.records]
    found = ", ".join(hosts)
    if any(hosts):
        return Finding(Check.MX, State.OK, "mx_ok", found, facts)
    return Finding(Check.MX, State.WARNING, "mx_null" if hosts else "mx_missing", found, facts)


def _tls(domain: str, lookups: Lookups) -> Finding:
    answer = lookups.find(f"_mta-sts.{domain}", "TXT")
    has = any(text.lower().startswith("v=stsv1") for text in answer.records)
    return Finding(
        Check.TLS, State.NOTE, "tls_sts" if has else "tls_none", " | ".join(answer.records), {"name": domain}
    )


def _bimi(domain: str, lookups: Lookups) -> Finding:
    answer = lookups.find(f"default._bimi.{domain}", "TXT")
    has = any(text.lower().startswith("v=bimi1") for text in answer.records)
    return Finding(Check.BIMI, State.NOTE, "bimi" if has else "bimi_none", " | ".join(answer.records), {"name": domain})
