"""Which prefixes the guard holds, with its real store: others speak for a prefix, and one process holds it."""

from collections.abc import Iterator
from typing import Any

import pytest

from functions.ingest.guard_limits import Start
from functions.ingest.holds import Holds
from shared.errors import TooManyError
from shared.model.pumping import PrefixState, VerificationGuard
from shared.store.pumping import Pumping, approval
from shared.store.pumping_hours import PumpingHours
from tests.fakes import FakeClock, out_of_reach
from tests.memory import tables

HEADS = ("6281", "6285", "6287")
"""Three first digits of a country; the first one is attacked."""


class Metrics:
    """What was told to alarms."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def add_metric(self, name: str, **_: Any) -> None:
        self.told.append(name)

    def add_dimension(self, **_: Any) -> None:
        """Of no interest."""

    def flush_metrics(self) -> None:
        """Of no interest."""


class World:
    """Processes that share a table."""

    def __init__(self, client: Any, clock: FakeClock) -> None:
        self.client, self.clock, self.metrics = client, clock, Metrics()
        self.pumping = Pumping(client, "guard", "catalog", clock)
        self.processes = [self.process(), self.process()]

    def process(self) -> Holds:
        hours = PumpingHours(self.client, "guard", self.pumping, self.clock)
        return Holds(self.pumping, hours, self.clock, self.metrics, "test")  # type: ignore[arg-type]  # counts what it is told

    def ask(self, digits: str, process: int = 0, *, known: bool = False) -> bool:
        """Whether a code is sent."""
        holds, now = self.processes[process], self.clock.now_ms()
        start = Start("default", digits, "ID", known, None, VerificationGuard(), now)
        try:
            holds.check_rules(start)
            holds.count(start)
        except TooManyError:
            return False
        return True

    def some(self, head: str, count: int, entered: int) -> None:
        for n in range(count):
            assert self.ask(f"{head}234{n:05d}")
            if n < entered:
                update = approval("guard", "default", f"{head}234", self.clock.now_ms(), 1, self.clock.now_ms())
                self.client.transact_write_items(TransactItems=[update])

    def days(self, entered: int) -> None:
        """People in the other two, for long enough that as many are usual."""
        for _ in range(3):
            for head in HEADS[1:]:
                self.some(head, 25, 20)
            self.clock.advance(86_400)
        for head in HEADS[1:]:
            self.some(head, 25, entered)


@pytest.fixture
def world(clock: FakeClock) -> Iterator[World]:
    with tables(clock, "guard", "catalog") as client:
        yield World(client, clock)


@pytest.mark.parametrize(("entered", "held"), [(20, True), (1, False), (0, False)], ids=["well", "badly", "not at all"])
def test_others_speak_for_a_prefix(world: World, entered: int, held: bool) -> None:
    world.days(entered)
    world.some(HEADS[0], 40, 1)
    world.clock.advance(130)
    assert world.ask(f"{HEADS[0]}23490000") is not held
    assert (world.metrics.told.count("PrefixesHeld") == 1) is held


def test_every_process_follows_within_ten_seconds_and_one_writes_the_record(world: World) -> None:
    assert world.ask(f"{HEADS[0]}99900000", 1)
    world.some(HEADS[0], 40, 0)
    world.clock.advance(130)
    assert [world.ask(f"{HEADS[0]}2349{n:04d}", n % 2) for n in range(4)] == [False] * 4
    assert world.metrics.told.count("PrefixesHeld") == 1
    assert world.ask(f"{HEADS[0]}23490000", known=True)
    held = world.pumping.overview("default").rules["6281234"]
    assert (held.state, held.country, held.times) == (PrefixState.HELD, "ID", 1)
    refused = world.pumping.recent("default", HEADS[0], world.clock.now_ms()).refused
    assert sum(counts["234"] for counts in refused.values()) == 4


def test_rules_that_were_read_last_count_while_none_can_be_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.some(HEADS[0], 40, 0)
    world.clock.advance(130)
    assert not world.ask(f"{HEADS[0]}23490000")
    assert not world.ask(f"{HEADS[0]}23490001")

    def broken(*_: Any) -> Any:
        raise out_of_reach("dynamodb")

    world.clock.advance(30)
    monkeypatch.setattr(Pumping, "overview", broken)
    assert not world.ask(f"{HEADS[0]}23490002")
    assert world.ask(f"{HEADS[1]}99900000", 1)
