"""How much of its weight an account gets for codes to a country: less while fewer of its codes are entered than of the
other accounts' in the same minutes, and back once as many are. Pure.

The trace counts, by country and five minutes, how many codes of a template went through an account, and how many of
these were entered. A code counts in the five minutes in which its time is over, whether it was entered or not: what
lies behind is complete, and no code is judged that somebody may still enter.

Accounts are compared within a template and five minutes alone, and these comparisons are added up
(Cochran-Mantel-Haenszel): neither a night of bots, nor a template whose people are in no hurry, nor a change of weights
moves anything as long as it is the same for all accounts.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from math import sqrt
from typing import Final

from msgspec import Struct
from pydantic import ConfigDict, Field

from shared.model.base import Model
from shared.model.words import Stage

STEPS: Final = (1.0, 0.5, 0.2, 0.1)
"""Shares of its weight that an account may have. By the least it still sends enough to show that it does well again."""
BUCKET_MS: Final = 300_000
KEEP_S: Final = 2 * 86_400
GRACE_MS: Final = 60_000
"""How long after the end of five minutes these are complete: what was entered takes some seconds to be counted."""
WINDOWS_MS: Final = tuple(minutes * 60_000 for minutes in (15, 30, 60, 180, 360))
"""What is looked at, the shortest first: an account that goes silent must not live on what it did in the morning."""
LOOK_BACK_MS: Final = WINDOWS_MS[-1]
PAUSE_MS: Final = 15 * 60_000
"""The least time between two shifts of an account."""
REST_MS: Final = 30 * 60_000
"""How long an account must have been on its step to get back more."""
RETRIAL_MS: Final = 12 * 3_600_000
"""After so long an account of which too little is known to judge it gets a step back."""
MIN_CODES: Final = 20
"""So few codes, of the account or of the others, say nothing."""
WORSE: Final = 0.75
"""An account loses a step if less than this part of what the others come to is entered of its codes; beneath a third
of that, two."""
SURE: Final = 4.5
"""And only if chance would have to be so many standard deviations away. Looked at every minute for years, that does not
happen by itself."""
AS_GOOD: Final = 0.9
"""From this part on it gets a step back."""
DOUBT: Final = 2.0
"""If nothing speaks against it by so many standard deviations."""

_MARK = "/"
Buckets = Mapping[int, Mapping[str, int]]
"""What was counted of a country, by five minutes since the epoch and `name_of`."""


class ConversionShift(Model):
    """How much of its weight an account has for codes to a country."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    factor: float = 1.0
    """One of `STEPS`."""
    since: int = 0
    """Milliseconds since the epoch."""
    reason: str = ""
    """Why it was shifted last, with the figures in words."""
    codes: int = 0
    """`codes` and `entered`: of the account; `others` and `others_entered`: of those that it was compared with."""
    entered: int = 0
    others: int = 0
    others_entered: int = 0


class CountryShifts(Model):
    """The last shifts of the accounts that send codes to a country."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    accounts: dict[str, ConversionShift] = Field(default_factory=dict)

    def factors(self) -> dict[str, float]:
        """The share of its weight that each account has; those that are not named have all of it."""
        return {account: shift.factor for account, shift in self.accounts.items()}


FULL: Final = ConversionShift()
"""Of an account that was never shifted."""


def name_of(stage: str, template: str, account: str) -> str:
    """The name by which it counts that a code of a template was sent through an account, or entered."""
    return f"{stage}{_MARK}{template}{_MARK}{account}"


class Compared(Struct, frozen=True):
    """An account beside the others, where both sent codes of the same templates in the same minutes."""

    codes: int = 0
    entered: int = 0
    others: int = 0
    others_entered: int = 0
    ratio: float = 1.0
    """Of the part of its codes that is entered to that of the others."""
    deviations: float = 0.0
    """How far that is from what chance makes of equal ones, in standard deviations; below 0 it does worse."""

    @property
    def says_enough(self) -> bool:
        """Whether there are enough of both to judge by."""
        return min(self.codes, self.others) >= MIN_CODES


def due_shift(last: CountryShifts, buckets: Buckets, now: int, country: str) -> tuple[str, ConversionShift] | None:
    """The account and the shift that is due, one at a time; None if there is none. now: in milliseconds."""
    accounts = sorted({account for counts in buckets.values() for _, _, account in map(_read, counts)})
    tallies = {bucket: _tally(counts) for bucket, counts in buckets.items()}
    found: list[_Due] = []
    for account in sorted({*accounts, *last.accounts}):
        was = last.accounts.get(account, FULL)
        if now - was.since >= PAUSE_MS:
            found += _due(account, was, tallies, now, country)
    # What goes down first is what is surest; the others are judged anew once that is written.
    return min(found, key=lambda each: each[0])[1:] if found else None


_Due = tuple[float, str, ConversionShift]
_Tally = Mapping[str, Mapping[str, tuple[int, int]]]
"""Template -> account -> codes and entered ones."""


def _due(account: str, was: ConversionShift, tallies: Mapping[int, _Tally], now: int, country: str) -> Iterable[_Due]:
    step = STEPS.index(was.factor) if was.factor in STEPS else 0
    for window in WINDOWS_MS:
        found = compared(account, tallies, max(was.since, now - window), now)
        down = steps_down(found)
        if down and step < len(STEPS) - 1:
            factor = STEPS[min(step + down, len(STEPS) - 1)]
            return [(found.deviations, account, _shift(factor, found, window, now, country))]
    if step and now - was.since >= REST_MS:
        # The last one compared is that of the longest window.
        if found.says_enough and found.ratio >= AS_GOOD and found.deviations > -DOUBT:
            return [(0.0, account, _shift(STEPS[step - 1], found, LOOK_BACK_MS, now, country))]
        if not found.says_enough and now - was.since >= RETRIAL_MS:
            return [(0.0, account, _retrial(STEPS[step - 1], found, now, country))]
    return []


def steps_down(found: Compared) -> int:
    """How many steps an account loses."""
    if not found.says_enough or found.ratio >= WORSE or found.deviations > -SURE:
        return 0
    return 2 if found.ratio < WORSE / 3 else 1


def compared(account: str, tallies: Mapping[int, _Tally], after: int, now: int) -> Compared:
    """An account beside the others in those five minutes that became complete after a time, and are so by now."""
    sums = (0, 0, 0, 0)
    own = rest = difference = variance = 0.0
    for bucket, templates in tallies.items():
        complete = (bucket + 1) * BUCKET_MS + GRACE_MS
        if not after < complete <= now:
            continue
        for accounts in templates.values():
            codes, entered = accounts.get(account, (0, 0))
            total, given = (sum(each[i] for each in accounts.values()) for i in (0, 1))
            others, others_entered = total - codes, given - entered
            if not codes or not others:
                continue
            sums = (sums[0] + codes, sums[1] + entered, sums[2] + others, sums[3] + others_entered)
            own += entered * others / total
            rest += others_entered * codes / total
            difference += entered - codes * given / total
            variance += codes * others * given * (total - given) / (total * total * (total - 1))
    return Compared(*sums, own / rest if rest else 1.0, difference / sqrt(variance) if variance else 0.0)


def _tally(counts: Mapping[str, int]) -> _Tally:
    found: dict[str, dict[str, tuple[int, int]]] = defaultdict(dict)
    for name, count in counts.items():
        stage, template, account = _read(name)
        codes, entered = found[template].get(account, (0, 0))
        sent = stage == Stage.SENT
        found[template][account] = (codes + count, entered) if sent else (codes, entered + count)
    # An entered one of which it is not known yet that it was sent is left for later.
    return {t: {a: (codes, min(codes, entered)) for a, (codes, entered) in each.items()} for t, each in found.items()}


def _read(name: str) -> tuple[str, str, str]:
    stage, template, account = name.split(_MARK)
    return stage, template, account


def _figures(found: Compared, over_ms: int, country: str) -> str:
    return (
        f"{found.entered:,} of {found.codes:,} codes to {country} were entered in the last {over_ms // 60_000} min, of "
        f"the other accounts {found.others_entered:,} of {found.others:,}"
    )


def _shift(factor: float, found: Compared, over_ms: int, now: int, country: str) -> ConversionShift:
    return _made(factor, found, now, _figures(found, over_ms, country))


def _retrial(factor: float, found: Compared, now: int, country: str) -> ConversionShift:
    hours = RETRIAL_MS // 3_600_000
    return _made(factor, found, now, f"too few codes went to {country} for {hours} hours to judge it: tried again")


def _made(factor: float, found: Compared, now: int, reason: str) -> ConversionShift:
    return ConversionShift(
        factor=factor,
        since=now,
        reason=reason,
        codes=found.codes,
        entered=found.entered,
        others=found.others,
        others_entered=found.others_entered,
    )
