"""The guard against SMS pumping: which prefixes are held, on which figures, and when they are let go. Pure.

A prefix is held when it has several times its usual starts **and** few of its codes are entered, unless as few are
entered elsewhere: then something else is wrong. After a hold comes a trial: few codes, whose fate decides.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from shared.model.pumping import (
    SHORTEST,
    Counts,
    Figures,
    PrefixState,
    Recent,
    Rule,
    VerificationGuard,
    suffixes_of,
)

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 86_400_000
MATURE_MS: Final = 60_000
"""So long after its minute a start counts as one whose code could have been entered."""
LEAST_MATURED: Final = 20
"""Fewer say nothing about a prefix."""
LEAST_OF_PEERS: Final = 30
"""Fewer say nothing about the other prefixes."""
PEERS_SHARE: Final = 0.5
"""A prefix with at least this part of the others' conversion is not held: what ails it ails them too."""
DAY_FACTOR: Final = 4
"""So many times `least_started` a prefix must have in a day to be held for the day's figures."""
FIRST_HOLD_MS: Final = 15 * MINUTE_MS
LONGEST_HOLD_MS: Final = 12 * HOUR_MS
"""Each hold is twice as long as the one before, up to this."""
TRIAL_STARTS: Final = 10
"""Codes that are sent on trial before what becomes of them is known."""
TRIAL_MS: Final = HOUR_MS
"""After so long without them a trial has gone well: nobody asks any more."""
REMEMBERED_MS: Final = DAY_MS
"""So long after a hold another one counts as its successor."""
WAIT_S: Final = 60
"""When those may come again for whom there is no place in a trial."""


class Window(Struct, frozen=True):
    """What a prefix had in a time."""

    started: int = 0
    matured: int = 0
    approved: int = 0
    """Of the matured ones."""
    refused: int = 0


def window(recent: Recent, suffix: str, now: int, after: int = 0, less: Sequence[Rule] = ()) -> Window:
    """What a prefix had in the last hour.

    after: only minutes that begin later count, in milliseconds since the epoch. less: rules of longer prefixes whose
    counts are no concern of this one any more.
    """
    first = max((now - HOUR_MS) // MINUTE_MS + 1, after // MINUTE_MS + 1 if after else 0)
    ripe = (now - MATURE_MS) // MINUTE_MS
    outer = _outermost(less)
    started = matured = approved = refused = 0
    for minute, counts in recent.started.items():
        if minute < first:
            continue
        found = _less(counts, suffix, minute, outer)
        started += found
        if minute < ripe:
            matured += found
            approved += _less(recent.approved.get(minute, {}), suffix, minute, outer)
    for minute, counts in recent.refused.items():
        refused += counts.get(suffix, 0) if minute >= first else 0
    return Window(started, matured, min(approved, matured), refused)


def _outermost(rules: Sequence[Rule]) -> list[tuple[str, int | None]]:
    """(suffix, last minute that is left out, None for all) of rules that lie in no other one."""
    found: list[tuple[str, int | None]] = []
    for rule in sorted(rules, key=lambda each: len(each.prefix)):
        suffix = rule.prefix[SHORTEST:]
        if not any(suffix.startswith(other) for other, _ in found):
            found.append((suffix, rule.since // MINUTE_MS if rule.state is PrefixState.CLEARED else None))
    return found


def _less(counts: Counts, suffix: str, minute: int, outer: Iterable[tuple[str, int | None]]) -> int:
    gone = sum(counts.get(each, 0) for each, last in outer if last is None or minute <= last)
    return counts.get(suffix, 0) - gone


def ruling(digits: str, rules: Mapping[str, Rule], now: int) -> Rule | None:
    """The rule that counts for a number: a person's before the guard's, of several the longest prefix's.

    digits: without the +. now: in milliseconds since the epoch.
    """
    found = [rule for end in range(1, len(digits) + 1) if (rule := rules.get(digits[:end])) is not None]
    hand = [rule for rule in found if rule.by_hand and not is_over(rule, now)]
    if hand:
        return hand[-1]
    own = [rule for rule in found if not rule.by_hand and rule.state in (PrefixState.HELD, PrefixState.TRIAL)]
    return own[-1] if own else None


def is_over(rule: Rule, now: int) -> bool:
    """Whether a rule's time has passed."""
    return rule.until is not None and now >= rule.until


class Suspected(Struct, frozen=True):
    """A prefix that is to be held unless the others do no better."""

    prefix: str
    figures: Figures


def suspected(
    digits: str, recent: Recent, rules: Mapping[str, Rule], guard: VerificationGuard, now: int
) -> Suspected | None:
    """The longest prefix of a number that has too many starts and too few approvals; None if all is well.

    digits: without the +. recent: with the start that is judged. rules: all of the tenant. now: in milliseconds since
    the epoch. What lies in a prefix that is held or was held lately does not count against a shorter one.
    """
    head = digits[:SHORTEST]
    near = [rule for rule in rules.values() if rule.prefix.startswith(head) and not rule.by_hand]
    for suffix in reversed(suffixes_of(digits)):
        prefix = head + suffix
        own = rules.get(prefix)
        if own is not None and own.state is not PrefixState.CLEARED and not own.by_hand:
            return None  # it is held, or on trial: what is around it is judged without it
        after = own.since if own is not None and own.state is PrefixState.CLEARED else 0
        inner = [rule for rule in near if rule.prefix != prefix and rule.prefix.startswith(prefix)]
        figures = _figures(recent, suffix, now, after, inner, guard)
        if figures is not None:
            return Suspected(prefix, figures)
    return None


def _figures(
    recent: Recent, suffix: str, now: int, after: int, inner: Sequence[Rule], guard: VerificationGuard
) -> Figures | None:
    """What speaks against a prefix, in its last hour or its last day."""
    usual = recent.usual.of(suffix)
    about = sum(counts.get(suffix, 0) for counts in recent.started.values())
    if about < guard.least_started and usual.day_started + about < DAY_FACTOR * guard.least_started:
        return None  # of most prefixes that is all there is to see
    found = window(recent, suffix, now, after, inner)
    hour = Figures("hour", found.started, usual.hour, found.matured, found.approved)
    if _too_many(hour, guard.least_started, guard) and _too_few(hour, guard):
        return hour
    if after or inner:
        return None  # the day's sums still hold what was held
    present = now // HOUR_MS * HOUR_MS - 1
    found = window(recent, suffix, now, present)
    matured, approved = usual.day_started + found.matured, usual.day_approved + found.approved
    day = Figures("day", usual.day_started + found.started, usual.day, matured, approved)
    return day if _too_many(day, DAY_FACTOR * guard.least_started, guard) and _too_few(day, guard) else None


def _too_many(figures: Figures, least: int, guard: VerificationGuard) -> bool:
    return figures.started >= max(least, guard.times_usual * figures.usual)


def _too_few(figures: Figures, guard: VerificationGuard) -> bool:
    return figures.matured >= LEAST_MATURED and 100 * figures.approved < guard.least_conversion * figures.matured


def spared(figures: Figures) -> bool:
    """Whether a prefix does as well as the others do just now, so that it is not held; figures: with theirs."""
    if figures.peers_matured < LEAST_OF_PEERS:
        return False
    return figures.conversion >= PEERS_SHARE * figures.peers_approved / figures.peers_matured


def peers_of(recent: Recent, now: int, guard: VerificationGuard, rules: Sequence[Rule] = (), less: str = "") -> Window:
    """What another partition has to say of how codes are entered just now; nothing if it has too many starts itself.

    rules: those of prefixes in it, which say nothing. less: the suffix of the prefix that is judged, if it lies in it.
    """
    found = window(recent, "", now, less=rules)
    if less:
        own = window(recent, less, now)
        found = Window(
            max(0, found.started - own.started),
            max(0, found.matured - own.matured),
            max(0, found.approved - own.approved),
        )
    usual = max(0.0, recent.usual.of("").hour - (recent.usual.of(less).hour if less else 0.0))
    return Window() if found.started >= max(guard.least_started, guard.times_usual * usual) else found


def hold(found: Suspected, before: Rule | None, guard: VerificationGuard, now: int, country: str | None) -> Rule:
    """A prefix is held from now on; before: what was decided of it last."""
    lately = before is not None and not before.by_hand and now < before.since + REMEMBERED_MS
    times = before.times + 1 if before is not None and lately else 1
    return Rule(
        prefix=found.prefix,
        state=PrefixState.HELD,
        since=now,
        until=now + hold_ms(times),
        times=times,
        why=words(found, guard),
        figures=found.figures,
        country=country,
        enforced=guard.mode == "enforce",
    )


def hold_ms(times: int) -> int:
    """How long the how manieth hold is, in milliseconds."""
    return int(min(FIRST_HOLD_MS * 2 ** min(times - 1, 10), LONGEST_HOLD_MS))


def words(found: Suspected, guard: VerificationGuard) -> str:
    """Why a prefix is held, with the figures."""
    f = found.figures
    when = {"hour": "in the last hour", "day": "in the last day", "trial": "since its hold ended"}[f.window]
    usual = "" if f.window == "trial" else f", where about {f.usual:,.0f} are usual"
    text = (
        f"{f.started:,} codes were asked for by SMS to numbers that begin with +{found.prefix} {when}{usual}. "
        f"Of the {f.matured:,} that are older than a minute {f.approved:,} were entered ({f.conversion:.0%}; at least "
        f"{guard.least_conversion}% are expected)."
    )
    if f.peers_matured >= LEAST_OF_PEERS:
        text += f" Elsewhere {f.peers_approved / f.peers_matured:.0%} are."
    return text


def trial(rule: Rule, now: int) -> Rule:
    """A hold is over, and codes are tried again."""
    why = "Its hold is over: some codes are sent again, to see whether they are entered."
    return replace(rule, state=PrefixState.TRIAL, since=now, until=None, why=why, figures=None)


def cleared(rule: Rule, now: int, figures: Figures) -> Rule:
    """A trial went well."""
    why = (
        f"Since its hold ended {figures.started:,} codes were asked for, and {figures.approved:,} of "
        f"{figures.matured:,} were entered."
    )
    return replace(rule, state=PrefixState.CLEARED, since=now, until=now + REMEMBERED_MS, why=why, figures=figures)


class Trial(StrEnum):
    """How a start on trial is answered."""

    GO = "go"
    WAIT = "wait"
    """Too many codes are on their way already: what becomes of them comes first."""
    CLEAR = "clear"
    HOLD = "hold"


def tried(rule: Rule, recent: Recent, guard: VerificationGuard, now: int) -> tuple[Trial, Figures]:
    """What comes of a trial by now. recent: with the start that is judged."""
    found = window(recent, rule.prefix[SHORTEST:], now, rule.since - 1 - MINUTE_MS)
    figures = Figures("trial", found.started, 0, found.matured, found.approved)
    if found.matured >= TRIAL_STARTS:
        few = 100 * found.approved < guard.least_conversion * found.matured
        return (Trial.HOLD if few else Trial.CLEAR), figures
    if now - rule.since >= TRIAL_MS:
        return Trial.CLEAR, figures
    return (Trial.WAIT if found.started > TRIAL_STARTS else Trial.GO), figures


def present(recent: Recent, minute: int, counts: Counts) -> Recent:
    """Recent counts with those of the present minute, which are exact for the prefixes of one number."""
    started = {**recent.started, minute: {**recent.started.get(minute, {}), **counts}}
    return replace(recent, started=started)
