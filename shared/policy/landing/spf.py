"""SPF (RFC 7208): which servers may send for a domain, and what a record costs those who evaluate it."""

import ipaddress
from dataclasses import dataclass, field

from shared.net.dns import Answer, Lookups
from shared.policy.landing.findings import Check, Finding, Record, Sender, State

MAX_LOOKUPS = 10
"""Terms that ask the DNS, in all records that are included (section 4.6.4)."""
MAX_VOID = 2
"""Of them those that find nothing (section 4.6.4)."""
_ASKS = frozenset({"include", "a", "mx", "ptr", "exists"})
_QUALIFIERS = "+-~?"
_MOST_SHOWN = 60
"""Characters of a term that nobody understands."""


@dataclass
class Walk:
    """What evaluating a record meets, if no term decides before the last."""

    lookups: int = 0
    void: int = 0
    included: set[str] = field(default_factory=set)
    wrong: tuple[str, dict[str, str]] | None = None
    """The code and the facts of what makes the whole record count for nothing."""
    unanswered: bool = False
    uses_ptr: bool = False


def check(domain: str, sender: Sender, lookups: Lookups) -> list[Finding]:
    """What the SPF record of a domain is worth. domain: the one of the envelope's sender."""
    answer = lookups.find(domain, "TXT")
    if answer.failed:
        return [Finding(Check.SPF, State.UNKNOWN, "no_answer", facts={"name": domain})]
    records = _records(answer)
    advised = _advised(domain, sender)
    if not records:
        return [Finding(Check.SPF, State.FAILED, "spf_missing", facts={"name": domain}, record=advised)]
    if len(records) > 1:
        facts = {"name": domain, "count": str(len(records))}
        return [Finding(Check.SPF, State.FAILED, "spf_several", " | ".join(records), facts)]
    walk = Walk()
    end = _walk(domain, records[0], lookups, walk, frozenset({domain}))
    return list(_judged(domain, records[0], end, walk, sender))


def _judged(domain: str, record: str, end: str, walk: Walk, sender: Sender) -> list[Finding]:
    def finding(state: State, code: str, found: str = record, **facts: str) -> Finding:
        return Finding(Check.SPF, state, code, found, {"name": domain, **facts})

    if walk.wrong is not None:
        code, facts = walk.wrong
        return [finding(State.FAILED, code, **facts)]
    if walk.lookups > MAX_LOOKUPS:
        return [finding(State.FAILED, "spf_lookups", count=str(walk.lookups))]
    if walk.void > MAX_VOID:
        return [finding(State.FAILED, "spf_void", count=str(walk.void))]
    if end == "+":
        return [finding(State.FAILED, "spf_all")]
    found = []
    if walk.unanswered:
        found.append(finding(State.UNKNOWN, "spf_unanswered"))
    if sender.include and sender.include not in walk.included:
        wanted = _with_include(record, sender.include)
        fix = Record(domain, "TXT", wanted)
        found.append(
            Finding(
                Check.SPF, State.FAILED, "spf_not_included", record, {"include": sender.include, "name": domain}, fix
            )
        )
    if end not in ("-", "~"):
        found.append(finding(State.WARNING, "spf_open"))
    if walk.uses_ptr:
        found.append(finding(State.WARNING, "spf_ptr"))
    return found or [finding(State.OK, "spf_ok", count=str(walk.lookups))]


def _walk(domain: str, record: str, lookups: Lookups, walk: Walk, path: frozenset[str]) -> str:
    """Go through a record and those that it includes; returns the qualifier of its `all`, empty without one."""
    redirect = ""
    for term in record.split()[1:]:
        if walk.wrong is not None or walk.lookups > MAX_LOOKUPS:
            return ""
        name, sign, value = _parted(term)
        if sign == "=":
            redirect = value if name == "redirect" else redirect
            continue
        qualifier = name[0] if name[0] in _QUALIFIERS else "+"
        mechanism = name.lstrip(_QUALIFIERS)
        if mechanism == "all":
            return qualifier
        _mechanism(domain, mechanism, value, lookups, walk, path)
    if redirect and walk.wrong is None:
        walk.lookups += 1
        return _follow(redirect, lookups, walk, path)
    return ""


def _mechanism(domain: str, mechanism: str, value: str, lookups: Lookups, walk: Walk, path: frozenset[str]) -> None:
    if mechanism in ("ip4", "ip6"):
        if not _is_network(value, 4 if mechanism == "ip4" else 6):
            walk.wrong = "spf_syntax", {"term": f"{mechanism}:{value}"[:_MOST_SHOWN]}
        return
    if mechanism not in _ASKS:
        walk.wrong = "spf_syntax", {"term": mechanism[:_MOST_SHOWN]}
        return
    walk.lookups += 1
    walk.uses_ptr = walk.uses_ptr or mechanism == "ptr"
    target = value.partition("/")[0] or domain
    if mechanism in ("include", "exists") and not value:
        walk.wrong = "spf_syntax", {"term": mechanism}
    elif "%" in target or walk.lookups > MAX_LOOKUPS:
        return  # a macro: what is asked depends on the message
    elif mechanism == "include":
        walk.included.add(target.lower())
        _follow(target, lookups, walk, path)
    elif mechanism == "mx":
        _count(lookups.find(target, "MX"), walk)
    elif mechanism == "a":
        found = lookups.find(target, "A")
        _count(found if found.records or found.failed else lookups.find(target, "AAAA"), walk)


def _follow(target: str, lookups: Lookups, walk: Walk, path: frozenset[str]) -> str:
    name = target.lower().rstrip(".")
    if name in path:
        walk.wrong = "spf_loop", {"include": name}
        return ""
    if "%" in name:
        return "?"
    answer = lookups.find(name, "TXT")
    if answer.failed:
        walk.unanswered = True
        return "?"
    _count(answer, walk)
    records = _records(answer)
    if len(records) != 1:
        walk.wrong = ("spf_include_empty" if not records else "spf_include_several"), {"include": name}
        return ""
    return _walk(name, records[0], lookups, walk, path | {name})


def _count(answer: Answer, walk: Walk) -> None:
    walk.unanswered = walk.unanswered or answer.failed
    walk.void += not answer.failed and not answer.records


def _records(answer: Answer) -> list[str]:
    return [text for text in answer.records if text.lower().split(" ")[0] == "v=spf1"]


def _parted(term: str) -> tuple[str, str, str]:
    """A term's name, what follows it (`:`, `/`, `=` or nothing), and its value."""
    for at, character in enumerate(term):
        if character in ":=/":
            # The length of a network belongs to the value: `a/24` is of the domain itself.
            return term[:at].lower(), character, term[at:] if character == "/" else term[at + 1 :]
    return term.lower(), "", ""


def _is_network(value: str, version: int) -> bool:
    try:
        return ipaddress.ip_network(value, strict=False).version == version
    except ValueError:
        return False


def _advised(domain: str, sender: Sender) -> Record | None:
    return Record(domain, "TXT", f"v=spf1 include:{sender.include} ~all") if sender.include else None


def _with_include(record: str, include: str) -> str:
    """The record with one term more, before what ends it."""
    first, *terms = record.split()
    return " ".join([first, f"include:{include}", *terms])
