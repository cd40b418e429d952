"""DMARC (RFC 7489, and the walk up the tree of its successor): what receivers do with mail that proves nothing."""

from msgspec import Struct

from shared.net.dns import Lookups
from shared.policy.landing.findings import Check, Finding, Record, Sender, State
from shared.policy.landing.tags import read_tags

_MOST_LOOKUPS = 8
"""Of names up the tree, so that a name of a hundred labels costs no more."""


class Policy(Struct, frozen=True):
    """The record that holds for a domain."""

    at: str
    """The domain that has it."""
    record: str
    tags: dict[str, str]

    def of(self, domain: str) -> str:
        """What is asked of receivers for a domain's mail: `none`, `quarantine` or `reject`."""
        own = self.tags.get("p", "none").lower()
        return own if domain == self.at else self.tags.get("sp", own).lower()


class Unanswered(Exception):
    """The DNS did not answer, so no policy is known; holds the name that was asked for."""


def policy_of(domain: str, lookups: Lookups) -> "Policy | list[str]":
    """The policy of a domain, its own or that of the nearest above it, or the records of the name that has several; an
    empty list without any.

    Raises: Unanswered.
    """
    for name in _upwards(domain):
        answer = lookups.find(f"_dmarc.{name}", "TXT")
        if answer.failed:
            raise Unanswered(f"_dmarc.{name}")
        records = [text for text in answer.records if read_tags(text).get("v", "").lower() == "dmarc1"]
        if len(records) > 1:
            return records
        if records:
            return Policy(name, records[0], read_tags(records[0]))
    return []


def check(domain: str, policy: "Policy | list[str]") -> list[Finding]:
    """What a domain's policy is worth."""
    advised = Record(f"_dmarc.{domain}", "TXT", f"v=DMARC1; p=none; rua=mailto:dmarc@{domain}")
    if not isinstance(policy, Policy):
        code = "dmarc_several" if policy else "dmarc_missing"
        facts = {"name": domain, "count": str(len(policy))}
        return [Finding(Check.DMARC, State.FAILED, code, " | ".join(policy), facts, None if policy else advised)]
    asked = policy.of(domain)
    facts = {"name": domain, "at": policy.at, "policy": asked}
    if asked not in ("none", "quarantine", "reject"):
        return [Finding(Check.DMARC, State.FAILED, "dmarc_policy", policy.record, facts, advised)]
    found = []
    if asked == "none":
        found.append(Finding(Check.DMARC, State.NOTE, "dmarc_none", policy.record, facts))
    if "rua" not in policy.tags:
        found.append(Finding(Check.DMARC, State.NOTE, "dmarc_no_reports", policy.record, facts))
    return [Finding(Check.DMARC, State.OK, "dmarc_ok", policy.record, facts), *found]


def alignment(domain: str, sender: Sender, policy: Policy, lookups: Lookups) -> Finding:
    """Whether what SPF and DKIM prove is about the domain that readers see: one of them has to be."""
    envelope = sender.envelope or domain
    facts = {"name": domain, "envelope": envelope}
    if _aligned(domain, envelope, policy.tags.get("aspf", "r"), lookups):
        return Finding(Check.ALIGNMENT, State.OK, "aligned", facts=facts)
    return Finding(Check.ALIGNMENT, State.NOTE, "aligned_by_dkim", facts=facts)


def _aligned(domain: str, other: str, mode: str, lookups: Lookups) -> bool:
    if domain == other or mode.lower() == "s":
        return domain == other
    # Loosely: both stand below the same domain. Without a list of public suffixes, its top is where the policy is.
    above, below = sorted((domain, other), key=len)
    if below.endswith(f".{above}"):
        return True
    try:
        tops = [policy_of(each, lookups) for each in (domain, other)]
    except Unanswered:
        return False
    first, second = tops
    return isinstance(first, Policy) and isinstance(second, Policy) and first.at == second.at


def _upwards(domain: str) -> list[str]:
    """A domain and those above it, without the last label, and without the middle of a very long name."""
    labels = domain.split(".")
    names = [".".join(labels[at:]) for at in range(max(1, len(labels) - 1))]
    return names if len(names) <= _MOST_LOOKUPS else [names[0], *names[1 - _MOST_LOOKUPS :]]
