"""Thirty days of codes by SMS before the guard against pumping: `python -m bench guard`.

The real decisions (`functions/ingest/holds.py`, `shared/policy/pumping.py`) on counts in memory; a sample goes through
the real store on the in-memory DynamoDB, too, and must come to the same. Prints what comes, good or bad.
"""

import heapq
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.figures import Figure
from bench.guard_counts import CountedHours, CountedPumping, Moved, real_store
from bench.guard_world import BY_NAME, DAY, HOUR, LAUNCH, OUTAGES, Asked, Attack, Country, People, fraud
from functions.ingest.guard_limits import Start
from functions.ingest.holds import Holds
from shared.errors import ForbiddenError, TooManyError
from shared.model.pumping import VerificationGuard

SEED = 45
DAYS = 30
BEGIN_MS = 1_767_225_600_000
"""2026-01-01T00:00:00Z, a Thursday; the world's weeks begin then."""
SMALL = tuple(f"small-{n:02d}" for n in range(10))
"""Tenants with little traffic, in one country."""
_ID, _EG, _PH, _PK = (BY_NAME[name] for name in ("ID", "EG", "PH", "PK"))
_NEW = Country("TG", "228", 0, 0, 0.0, 0.32)
"""One to which nobody had sent codes."""
SLOW = tuple(f"639{1000 + 7 * n}" for n in range(300))


_COMMON = People("big", Random(SEED)).prefixes["ID"][0]
"""One that many people have."""
ATTACKS = (
    Attack("sequential numbers", _EG, ("2010931",), 3600, 8 * DAY + 3 * HOUR, 8 * DAY + 9 * HOUR, sequential=True),
    Attack("one prefix", _ID, (_COMMON,), 1200, 10 * DAY + HOUR, 11 * DAY + HOUR),
    Attack("many prefixes, slowly", _PH, SLOW, 300, 21 * DAY, 26 * DAY),
    Attack("many tenants", _PK, ("9230055",), 40, 9 * DAY, 10 * DAY, tenants=SMALL),
    Attack("premium ranges", _NEW, ("2289012", "2289013", "2289771"), 900, 27 * DAY, 27 * DAY + 12 * HOUR),
)
"""Five shapes; each in a country, and on days, of its own."""


@dataclass(slots=True)
class Outcome:
    """What became of an attack, or of people. asked, sent: texts. before: sent until the first was refused."""

    asked: int = 0
    sent: int = 0
    before: int | None = None
    fees_asked: float = 0.0
    fees_sent: float = 0.0

    def note(self, each: Asked, went: bool) -> None:
        """Count one."""
        self.asked += 1
        self.fees_asked += each.country.fee
        if went:
            self.sent += 1
            self.fees_sent += each.country.fee
        elif self.before is None:
            self.before = self.sent


@dataclass(slots=True)
class Played:
    """A simulation. kept: what is let through, in order, for comparing two of them."""

    attacks: dict[str, Outcome] = field(default_factory=dict)
    people: Outcome = field(default_factory=Outcome)
    held: Counter[str] = field(default_factory=Counter)
    """People refused, by what was going on."""
    kept: list[bool] = field(default_factory=list)


class _Silent:
    """Metrics that nobody reads."""

    def __getattr__(self, name: str) -> Any:
        return lambda **given: None


def play(events: Iterator[Asked], pumping: Any, hours: Any, clock: Moved, guard: VerificationGuard) -> Played:
    """Let them all ask, each in its time, and enter what they get."""
    result, entered = Played(), list[tuple[float, int, Asked]]()
    holds = Holds(pumping, hours, clock, _Silent(), "bench")  # type: ignore[arg-type]  # tells nobody
    for n, each in enumerate(events):
        while entered and entered[0][0] <= each.at:
            right = heapq.heappop(entered)[2]
            pumping.approve(right.tenant, right.digits, BEGIN_MS + round(right.at * 1000), right.texts)
        clock.now = BEGIN_MS + round(each.at * 1000)
        went = _asked(holds, each, clock.now, guard)
        if went and each.delay_s is not None:
            heapq.heappush(entered, (each.at + each.delay_s, n, each))
        outcome = result.attacks.setdefault(each.attack, Outcome()) if each.attack else result.people
        outcome.note(each, went)
        if not went and not each.attack:
            result.held[_during(each)] += 1
        result.kept.append(went)
    return result


def _asked(holds: Holds, each: Asked, now: int, guard: VerificationGuard) -> bool:
    """Whether a start is let through."""
    start = Start(each.tenant, each.digits, each.country.name, False, None, guard, now)
    try:
        holds.check_rules(start)
        holds.count(start)
    except (TooManyError, ForbiddenError):
        return False
    return True


def _during(each: Asked) -> str:
    name, begins, ends, _ = LAUNCH
    if each.country.name == name and begins <= each.at < ends + HOUR:
        return "the launch"
    if each.country.begins_day and each.at < (each.country.begins_day + 2) * DAY:
        return "the new country"
    if any(begins <= each.at < ends + HOUR for country, begins, ends in OUTAGES if country in ("*", each.country.name)):
        return "a provider down"
    if any(each.country.code == one.country.code and one.begins <= each.at < one.ends + DAY for one in ATTACKS):
        return "an attack in their country"
    return "nothing"


def events_of(everybody: Sequence[People], attack: Sequence[Attack], random: Random, days: int) -> Iterator[Asked]:
    """All that is asked for, in order of time."""
    sent: dict[str, int] = {}
    later: list[tuple[float, int, Asked]] = []
    n = 0
    for second in range(0, days * DAY, 60):
        for each in [*(a for people in everybody for a in people.minute(second)),
                     *(a for one in attack for a in fraud(one, second, random, sent))]:  # fmt: skip
            n += 1
            heapq.heappush(later, (each.at, n, each))
        while later and later[0][0] < second + 60:
            yield heapq.heappop(later)[2]


def world(days: int = DAYS) -> Iterator[Asked]:
    """A large tenant in twenty countries, ten small ones in two, and the attacks."""
    big = People("big", Random(SEED))
    few = tuple(each for each in BY_NAME.values() if each.name in ("CN", "PK"))
    small = [People(name, Random(SEED + n), 0.01, few) for n, name in enumerate(SMALL, 1)]
    return events_of([big, *small], ATTACKS, Random(SEED - 1), days)


def run(days: int = DAYS) -> list[Figure]:
    """guard_*: what is let through of attacks, and how many people are held."""
    logging.disable(logging.WARNING)
    try:
        clock = Moved()
        counted = CountedPumping()
        result = play(world(days), counted, CountedHours(counted), clock, VerificationGuard())
        differ = _differences()
    finally:
        logging.disable(logging.NOTSET)
    _show(result)
    share = result.people.asked - result.people.sent
    return [
        Figure("guard_people_held", 100 * share / result.people.asked, "% of people's codes", most=0.1),
        Figure("guard_real_store_differs", differ, "decisions of a sample", most=0),
        *(
            Figure(f"guard_{name.replace(',', '').replace(' ', '_')}_sent", 100 * each.sent / each.asked, "% of texts")
            for name, each in result.attacks.items()
        ),
    ]


def _differences() -> int:
    """In how many decisions of a sample the real store differs: six hours with an attack."""

    def sample() -> Iterator[Asked]:
        people = People("big", Random(SEED), 0.2)
        attack = Attack("one", _EG, ("2010931",), 300, 3 * HOUR, 4 * HOUR)
        for each in events_of([people], [attack], Random(1), 1):
            if each.at < 6 * HOUR:
                yield each

    counted, clock = CountedPumping(), Moved()
    ours = play(sample(), counted, CountedHours(counted), clock, VerificationGuard())
    with real_store(clock) as (pumping, hours):
        theirs = play(sample(), pumping, hours, clock, VerificationGuard())
    return sum(a != b for a, b in zip(ours.kept, theirs.kept, strict=True))


def _show(result: Played) -> None:
    console = Console(width=150)
    table = Table("attack", "texts asked", "sent before the first hold", "sent in all", "cost asked", "cost sent")
    for name, each in result.attacks.items():
        table.add_row(name, f"{each.asked:,}", f"{each.before or each.sent:,}", f"{each.sent:,}",
                      f"${each.fees_asked:,.0f}", f"${each.fees_sent:,.0f}")  # fmt: skip
    console.print(table)
    people = result.people
    held = people.asked - people.sent
    console.print(f"people: {people.asked:,} texts asked, {held:,} held ({held / people.asked:.3%})")
    for why, n in result.held.most_common():
        console.print(f"  {n:,} during {why}")
