"""The messages of a template, or of an account, in numbers: from its counters. Pure."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from shared.api.stats import (
    AccountStats,
    CountryStats,
    GroupStats,
    Latencies,
    Latency,
    LinkStats,
    ReasonStats,
    Span,
    StatsSpan,
    TemplateStats,
)
from shared.model.reasons import EXPLANATIONS, Reason
from shared.model.reasons_zh import meaning_zh
from shared.model.words import Stage
from shared.policy.latency import counted, percentile
from shared.store.counters import HOUR_MS, REPORTED, Group, code_name, in_flight, unreported

Counts = Mapping[tuple[int, Group | None], Counter[str]]
"""By cohort hour and group; those from before there were groups have none."""
Targets = Mapping[int, Sequence[str]]
"""Version -> where its links lead, by number from 1."""
MOST_LINKS = 20
MOST_VERSIONS = 50
"""Whose links are named, the newest first."""

_SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


def statistics(
    template: str,
    counts: Counts,
    by: Span,
    zone: str,
    targets: Targets,
    providers: Mapping[str, str] | None = None,
) -> TemplateStats:
    """What a template's counts come to.

    zone: in which days begin. targets: where links lead. providers: of the accounts that there are.
    """
    total, known = _total(counts), providers or {}
    return TemplateStats(
        template=template,
        stages=stages_of(total),
        in_flight=in_flight(total),
        no_receipt=unreported(total),
        **_shares(total),
        latency=_latencies(total),
        reasons=_reasons(total),
        links=_links(counts, targets),
        versions=_grouped(counts, targets, lambda group: str(group.version)),
        accounts=_grouped(counts, targets, lambda group: group.account),
        providers=_grouped(counts, targets, lambda group: known.get(group.account or "")),
        countries=_countries(total),
        runs=_grouped(counts, targets, lambda group: group.run),
        variants=_grouped(counts, targets, lambda group: group.variant),
        spans=_spans(counts, by, zone),
    )


def account_statistics(
    account: str, provider: str, hours: Mapping[int, Counter[str]], by: Span, zone: str
) -> AccountStats:
    """What an account's counts by cohort hour come to. zone: in which days begin."""
    counts: Counts = {(hour, None): each for hour, each in hours.items()}
    total = _total(counts)
    return AccountStats(
        account=account,
        provider=provider,
        stages=stages_of(total),
        no_receipt=unreported(total),
        **_shares(total),
        latency=_latencies(total),
        reasons=_reasons(total),
        countries=_countries(total),
        spans=_spans(counts, by, zone),
    )


def _total(counts: Counts) -> Counter[str]:
    total: Counter[str] = Counter()
    for each in counts.values():
        total.update(each)
    return total


def stages_of(counts: Mapping[str, int]) -> dict[str, int]:
    """Those counts that are of stages, with what is counted apart of one (such as `opened.machine`) behind it."""
    found = {name: n for name, n in counts.items() if n and _is_stage(name)}
    rank = {stage.value: i for i, stage in enumerate(Stage)}
    return dict(sorted(found.items(), key=lambda pair: (rank[pair[0].partition(".")[0]], pair[0])))


def _is_stage(name: str) -> bool:
    return not set(":@/&") & set(name) and name.partition(".")[0] in Stage.__members__.values()


def _reported(counts: Mapping[str, int]) -> int:
    return sum(counts.get(name, 0) for name in REPORTED)


def _shares(counts: Mapping[str, int]) -> dict[str, float | None]:
    """The fields of `Shares`."""
    sent = counts.get(Stage.SENT, 0)
    # Who was delivered and came back is counted as both: never more have a receipt than were sent, or may have been.
    reported = min(_reported(counts), sent + counts.get(Stage.UNKNOWN, 0))
    of_sent = _share(counts.get(Stage.DELIVERED, 0), sent if reported else 0)
    return {
        "delivered_share": of_sent,
        "delivered_share_of_reported": _share(counts.get(Stage.DELIVERED, 0), reported),
        "verified_share": _share(_codes(counts, Stage.VERIFIED).total(), _codes(counts, Stage.SENT).total()),
    }


def _codes(counts: Mapping[str, int], stage: Stage) -> Counter[str]:
    """How many messages that carried a verification came to a stage, by country; empty for what was no text."""
    start = code_name(stage, None)
    return Counter({name.removeprefix(start): n for name, n in counts.items() if name.startswith(start)})


def _countries(counts: Mapping[str, int]) -> list[CountryStats]:
    sent, verified = _codes(counts, Stage.SENT), _codes(counts, Stage.VERIFIED)
    return [
        CountryStats(
            country=country or None,
            sent=sent[country],
            verified=verified[country],
            verified_share=_share(verified[country], sent[country]),
        )
        for country in sorted(sent | verified, key=lambda each: (-sent[each], each))
    ]


def _share(part: int, whole: int) -> float | None:
    return round(min(1.0, part / whole), 4) if whole else None


def _undelivered_for(counts: Mapping[str, int]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for name, n in counts.items():
        stage, _, reason = name.partition(":")
        if reason and stage.partition(".")[0] == Stage.UNDELIVERED:
            found[reason] += n
    return dict(found.most_common())


def _latencies(counts: Mapping[str, int]) -> Latencies:
    return Latencies(sent=_latency(counts, Stage.SENT), delivered=_latency(counts, Stage.DELIVERED))


def _latency(counts: Mapping[str, int], stage: Stage) -> Latency:
    found = {name: percentile(counts, stage, share) for name, share in _SHARES.items()}
    return Latency(messages=counted(counts, stage), **found)


def _reasons(counts: Mapping[str, int]) -> list[ReasonStats]:
    found = []
    for name, n in counts.items():
        stage, mark, reason = name.partition(":")
        if not mark or not n:
            continue
        known = reason in Reason.__members__.values()
        explanation, action = EXPLANATIONS[Reason(reason)] if known else ("", "")
        found.append(
            ReasonStats(
                stage=stage,
                reason=reason,
                messages=n,
                explanation=explanation,
                explanation_zh=meaning_zh(reason),
                action=action,
            )
        )
    return sorted(found, key=lambda each: (-each.messages, each.stage, each.reason))


def versions_followed(counts: Counts) -> set[int]:
    """The versions of which clicks were counted by link."""
    return {group.version for (_, group), names in counts.items() if group and any("/" in each for each in names)}


def _links(counts: Counts, targets: Targets) -> list[LinkStats]:
    """The links that were followed, the most first; of versions whose target is the same they are one."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for (_, group), each in counts.items():
        leads = targets.get(group.version, ()) if group is not None else ()
        for name, n in each.items():
            what, mark, number = name.partition("/")
            if mark:
                at = int(number)
                found[leads[at - 1] if 0 < at <= len(leads) else ""][what] += n
    made = [_link(target, names) for target, names in found.items() if any(names.values())]
    return sorted(made, key=lambda each: (-each.messages, -each.times, -each.by_machine, each.target))[:MOST_LINKS]


def _link(target: str, names: Mapping[str, int]) -> LinkStats:
    clicked = Stage.CLICKED
    return LinkStats(
        target=target,
        messages=names.get(clicked, 0),
        times=names.get(f"{clicked}.times", 0) + names.get(f"{clicked}.anonymous", 0),
        by_machine=names.get(f"{clicked}.machine", 0),
    )


def _grouped(counts: Counts, targets: Targets, name_of: Callable[[Group], str | None]) -> list[GroupStats]:
    """The counts of groups that have the same name, the largest first."""
    found: dict[str, dict[tuple[int, Group | None], Counter[str]]] = defaultdict(dict)
    for (hour, group), each in counts.items():
        name = None if group is None else name_of(group)
        if name is not None:
            found[name][hour, group] = each
    made = [_group(name, some, targets) for name, some in found.items()]
    return sorted(made, key=lambda each: (-sum(each.stages.values()), each.name))


def _group(name: str, counts: Counts, targets: Targets) -> GroupStats:
    total = _total(counts)
    return GroupStats(
        name=name,
        stages=stages_of(total),
        **_shares(total),
        latency=_latencies(total),
        undelivered_for=_undelivered_for(total),
        countries=_countries(total),
        links=_links(counts, targets),
    )


def _spans(counts: Counts, by: Span, zone: str) -> list[StatsSpan]:
    found: dict[datetime, Counter[str]] = defaultdict(Counter)
    for (hour, _), each in counts.items():
        found[_start(hour, by, zone)].update(each)
    return [
        StatsSpan(start=start, stages=stages_of(each), **_shares(each), latency=_latencies(each))
        for start, each in sorted(found.items())
    ]


def _start(hour: int, by: Span, zone: str) -> datetime:
    at = datetime.fromtimestamp(hour * HOUR_MS / 1000, UTC)
    if by is Span.HOUR:
        return at
    return at.astimezone(ZoneInfo(zone)).replace(hour=0, minute=0)
