"""How much of its weight an account gets: steps down while its tries go wrong, steps back up once they do not. Pure.

The trace counts tries per account in buckets of ten seconds; a shift is decided on those that began after the last one,
so no failure counts twice.
"""

from collections import Counter
from collections.abc import Mapping

from pydantic import ConfigDict

from shared.model.base import Model
from shared.model.events import EventRow
from shared.model.reasons import ACCOUNTS_OWN, Blame, blame_of
from shared.model.words import Stage

STEPS = (1.0, 0.5, 0.2, 0.02)
"""Shares of its weight that an account may have. The least is not nothing: only its tries show that it works again."""
BUCKET_MS = 10_000
LOOK_BACK_MS = 30_000
"""How far back tries count against an account."""
REST_MS = 60_000
"""How long an account must have been without trouble, and on its step, to get back more."""
PAUSE_MS = 15_000
"""The least time between two shifts of an account."""
MIN_TRIES = 20
"""So few tries say nothing about an account."""
SUSPECT_TRIES = 8
"""Of one that has lost weight already. It gets fewer messages than before, so evidence comes more slowly: asked for as
many tries, a dead account with little traffic would keep a fifth of its weight for minutes."""
BAD_SHARE = 0.15
"""From here on an account loses a step."""
BROKEN_SHARE = 0.5
"""From here on it loses two."""
CALM_SHARE = 0.05
"""Up to here it gets a step back."""
SLOW_SHARE = 0.3
"""With so many slow tries it loses a step, and gets none back."""
SLOW_MS = 5000
"""A try that took longer was slow."""

TRIES, SLOW = "tries", "slow"
"""What is counted of an account beside the reasons for which its tries went wrong."""
_TRIED = frozenset({Stage.SENT, Stage.FAILED, Stage.RETRYING, Stage.EXPIRED, Stage.UNKNOWN, Stage.DEAD_LETTERED})
Buckets = Mapping[int, Counter[str]]
"""What was counted of an account, by bucket since the epoch."""


class Shift(Model):
    """How much of its weight an account has."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    factor: float = 1.0
    """One of `STEPS`."""
    since: int = 0
    """Milliseconds since the epoch."""
    reason: str = ""
    """Why it was shifted last, with the figures in words."""
    tries: int = 0
    """`tries`, `bad` and `slow`: on which that rests."""
    bad: int = 0
    slow: int = 0
    cause: str | None = None
    """The most frequent reason of those that went wrong."""


FULL = Shift()
"""Of an account that was never shifted."""


def next_shift(now_factor: float, since: int, buckets: Buckets, now: int) -> Shift | None:
    """The shift that is due; None if there is none. since: when the last one was, 0 for never."""
    if now - since < PAUSE_MS:
        return None
    step = STEPS.index(now_factor) if now_factor in STEPS else 0
    recent = _found(buckets, max(since + 1, now - LOOK_BACK_MS), now)
    down = steps_down(*recent[:3], suspect=step > 0)
    if down and step < len(STEPS) - 1:
        return _shift(STEPS[min(step + down, len(STEPS) - 1)], now, LOOK_BACK_MS, recent)
    rest = _found(buckets, now - REST_MS, now)
    if step and now - since >= REST_MS and _is_calm(*rest[:3]):
        return _shift(STEPS[step - 1], now, REST_MS, rest)
    return None


def steps_down(tries: int, bad: int, slow: int, *, suspect: bool = False) -> int:
    """How many steps an account loses for what became of its tries. suspect: it has lost some already."""
    if tries >= (SUSPECT_TRIES if suspect else MIN_TRIES) and bad >= BROKEN_SHARE * tries:
        return 2
    if tries < MIN_TRIES:
        return 0
    return 1 if bad >= BAD_SHARE * tries or slow >= SLOW_SHARE * tries else 0


def counts_of(row: EventRow) -> list[tuple[str, tuple[str, ...]]]:
    """What an event says of accounts: (account, what is to be counted one up) for each that was tried."""
    found: list[tuple[str, tuple[str, ...]]] = []
    found += [(account, (TRIES, why)) for account, why, _ in row.passed_over if blame_of(why) is not Blame.OURS]
    reason, took_ms = row.reason, row.took_ms
    if row.account is not None and row.stage == Stage.UNDELIVERED and reason in ACCOUNTS_OWN:
        # Its try was counted when the provider took the message, and that it had gone wrong is known only now.
        found.append((row.account, (str(reason),)))
    if row.account is not None and took_ms is not None and row.stage in _TRIED and blame_of(reason) is not Blame.OURS:
        if reason in ACCOUNTS_OWN:
            found.append((row.account, (TRIES, str(reason))))
        else:
            found.append((row.account, (TRIES, SLOW) if took_ms > SLOW_MS else (TRIES,)))
    return found


_Found = tuple[int, int, int, str | None]
"""Tries, those that went wrong, slow ones, and the most frequent reason of those that went wrong."""


def _found(buckets: Buckets, after: int, now: int) -> _Found:
    """What is in the buckets that began at `after` or later."""
    total: Counter[str] = Counter()
    for bucket, counts in buckets.items():
        if after <= bucket * BUCKET_MS <= now:
            total.update(counts)
    tries, slow = total.pop(TRIES, 0), total.pop(SLOW, 0)
    causes = sorted(total, key=lambda cause: (-total[cause], cause))
    return tries, total.total(), slow, causes[0] if causes else None


def _is_calm(tries: int, bad: int, slow: int) -> bool:
    return bad <= CALM_SHARE * tries and (not slow or slow < SLOW_SHARE * tries)


def _shift(factor: float, now: int, over_ms: int, found: _Found) -> Shift:
    tries, bad, slow, cause = found
    reason = f"{bad:,} of {tries:,} tries went wrong in the last {over_ms // 1000} s"
    if cause is not None:
        reason += f", most with {cause}"
    if slow:
        reason += f"; {slow:,} took more than {SLOW_MS // 1000} s"
    return Shift(factor=factor, since=now, reason=reason, tries=tries, bad=bad, slow=slow, cause=cause)
