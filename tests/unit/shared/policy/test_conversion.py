"""Routing by conversion: who loses weight, who does not, and how it comes back; on a made-up month of codes."""

import random
from collections import Counter, defaultdict
from collections.abc import Callable
from itertools import pairwise

import pytest

from shared.dispatch.accounts import choose
from shared.model.words import Stage
from shared.policy.conversion import (
    BUCKET_MS,
    GRACE_MS,
    LOOK_BACK_MS,
    PAUSE_MS,
    RETRIAL_MS,
    STEPS,
    ConversionShift,
    CountryShifts,
    due_shift,
    name_of,
)

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
VALID = 10 * MINUTE
START = 1_790_000_000_000 // BUCKET_MS * BUCKET_MS
Counts = dict[int, Counter[str]]
Entered = Callable[[str, int, str], float]
"""(account, milliseconds since the start, template) -> how likely a code is entered."""


class World:
    """Codes to one country through accounts that share by weight, and what routing makes of them."""

    def __init__(self, entered: Entered, *, weights: dict[str, int] | None = None, seed: int = 1) -> None:
        self.entered, self.weights = entered, weights or {"a": 100, "b": 100}
        self.chance = random.Random(seed)
        self.counts: Counts = defaultdict(Counter)
        self.shifts = CountryShifts()
        self.told: list[tuple[int, str, ConversionShift]] = []
        self.sent: list[tuple[int, str]] = []

    def send(self, at: int, template: str = "login") -> None:
        factors = self.shifts.factors()
        weights = {id: weight * factors.get(id, 1.0) for id, weight in self.weights.items()}
        account = choose(weights, str(len(self.sent)))
        self.sent.append((at, account))
        bucket = (START + at + VALID) // BUCKET_MS
        self.counts[bucket][name_of(Stage.SENT, template, account)] += 1
        if self.chance.random() < self.entered(account, at, template):
            self.counts[bucket][name_of(Stage.VERIFIED, template, account)] += 1

    def look(self, at: int) -> None:
        now = START + at
        oldest = (now - LOOK_BACK_MS) // BUCKET_MS - 1
        for bucket in [each for each in self.counts if each < oldest]:
            del self.counts[bucket]
        due = due_shift(self.shifts, self.counts, now, "TH")
        if due is not None:
            self.shifts = CountryShifts(accounts={**self.shifts.accounts, due[0]: due[1]})
            self.told.append((at, *due))

    def run(
        self, until: int, every: int, start: int = 0, look_every: int = 5 * MINUTE, template: str = "login"
    ) -> None:
        """A code every so many milliseconds."""
        looked = start
        for at in range(start, until, every):
            self.send(at, template)
            if at - looked >= look_every:
                self.look(at)
                looked = at

    def factor(self, account: str) -> float:
        return self.shifts.factors().get(account, 1.0)


def silent_from(begins: int, ends: int = 10**12) -> Entered:
    return lambda account, at, template: 0.02 if account == "a" and begins <= at < ends else 0.8


@pytest.mark.parametrize(("every", "most"), [(30_000, 90), (6_000, 300)])
def test_an_account_that_goes_silent_loses_its_weight_within_so_many_codes(every: int, most: int) -> None:
    world = World(silent_from(6 * HOUR))
    world.run(6 * HOUR + most * every, every, look_every=MINUTE)
    assert [account for _, account, _ in world.told] == ["a"] and world.factor("a") <= 0.5
    world.run(8 * HOUR, every, start=6 * HOUR + most * every, look_every=MINUTE)
    assert world.factor("a") == STEPS[-1] and world.factor("b") == 1.0, "never to nothing, and the other one keeps its"
    late = Counter(account for at, account in world.sent if at > 7 * HOUR)
    assert 0 < late["a"] < 0.15 * late.total()


def test_it_gets_its_weight_back_step_by_step_once_it_does_well() -> None:
    world = World(silent_from(HOUR, 5 * HOUR))
    world.run(24 * HOUR, 10_000)
    factors = [shift.factor for _, account, shift in world.told if account == "a"]
    down, up = factors[: factors.index(min(factors)) + 1], factors[factors.index(min(factors)) :]
    assert down == sorted(down, reverse=True) and up == [0.1, 0.2, 0.5, 1.0] and world.factor("a") == 1.0
    assert all(account == "a" for _, account, _ in world.told)
    times = [at for at, _, _ in world.told]
    assert min(b - a for a, b in pairwise(times)) >= PAUSE_MS


def test_equal_accounts_are_not_shifted_in_a_month() -> None:
    world = World(
        lambda account, at, template: 0.8 if at % DAY > 6 * HOUR else 0.3, weights={"a": 100, "b": 40}, seed=7
    )
    world.run(30 * DAY, MINUTE, look_every=15 * MINUTE)
    assert len(world.sent) == 43_200 and not world.told


def test_so_few_codes_say_nothing() -> None:
    world = World(silent_from(0))
    world.run(30 * DAY, 20 * MINUTE)
    assert not world.told, "18 codes in six hours"


def test_a_template_whose_people_enter_less_is_not_held_against_its_account() -> None:
    """`signup` goes mostly by `a`, and a third of it is entered; `login` goes mostly by `b`, and nearly all is."""
    world = World(lambda account, at, template: 0.33 if template == "signup" else 0.9)
    for at in range(0, 2 * DAY, 20_000):
        signup = at % 40_000 == 0
        world.weights = {"a": 90, "b": 10} if signup else {"a": 10, "b": 90}
        world.send(at, "signup" if signup else "login")
        if at % (5 * MINUTE) == 0:
            world.look(at)
    whole = Counter(account for _, account in world.sent)
    assert not world.told and min(whole.values()) > 3000


def test_a_template_with_one_account_is_compared_with_nobody() -> None:
    world = World(lambda account, at, template: 0.9 if account == "b" else 0.0)
    for at in range(0, DAY, 20_000):
        world.weights = {"a": 1} if at % 40_000 else {"b": 1}
        world.send(at, "signup" if at % 40_000 else "login")
        if at % (5 * MINUTE) == 0:
            world.look(at)
    assert not world.told


def test_a_code_is_judged_only_when_its_time_is_over() -> None:
    counts: Counts = defaultdict(Counter)
    bucket = START // BUCKET_MS
    counts[bucket].update({name_of("sent", "login", each): 60 for each in "ab"})
    counts[bucket][name_of("verified", "login", "b")] = 50
    over = START + BUCKET_MS + GRACE_MS
    assert due_shift(CountryShifts(), counts, over - 1, "TH") is None
    found = due_shift(CountryShifts(), counts, over, "TH")
    assert found is not None
    account, shift = found
    assert (account, shift.factor, shift.since) == ("a", 0.2, over)
    assert shift.reason == ("0 of 60 codes to TH were entered in the last 15 min, of the other accounts 50 of 60")
    again = CountryShifts(accounts={account: shift})
    assert due_shift(again, counts, over + PAUSE_MS, "TH") is None, "no code counts for two shifts"


def test_where_nobody_sends_any_more_it_is_tried_again_by_itself() -> None:
    held = CountryShifts(accounts={"a": ConversionShift(factor=0.1, since=START)})
    assert due_shift(held, {}, START + RETRIAL_MS - 1, "TH") is None
    found = due_shift(held, {}, START + RETRIAL_MS, "TH")
    assert found is not None and (found[0], found[1].factor) == ("a", 0.2)
    assert found[1].reason == "too few codes went to TH for 12 hours to judge it: tried again"


def test_a_little_worse_is_not_worse() -> None:
    world = World(lambda account, at, template: 0.75 if account == "a" else 0.8)
    world.run(5 * DAY, 20_000, look_every=15 * MINUTE)
    assert not world.told
