"""Sorting messages: what is asked for, how often, and of whom receipts are expected."""

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from functions.campaign.follow.sorting import HEARD_AFTER, HEARD_BEFORE, Sorter
from shared.model.campaigns import Audience, Follows, Who
from shared.model.ids import Numbering, Tagger
from shared.model.runs import Run
from shared.store.counters import HOUR_MS
from shared.store.dynamo import MAX_GET
from shared.store.kept_events import EventKey, KeptEvent
from tests.fakes import FakeClock
from tests.samples import NOW, TENANT
from tests.unit.functions.campaign.audience import run_of

DAY_S = 86_400
MESSAGES = 1000
HOUR = NOW // HOUR_MS
"""Of the run that is followed."""


class Timeline:
    """Events by key, and how often it was asked for some."""

    def __init__(self) -> None:
        self.events: dict[EventKey, KeptEvent] = {}
        self.notes: set[EventKey] = set()
        self.reads = self.keys = self.whole = 0

    def add(self, message_id: str, *names: str, account: str = "ses") -> None:
        """Events of a message: `undelivered~` is for now, and has another number."""
        for name in names:
            stage, nth = name.rstrip("~"), 9 if name.endswith("~") else 0
            event = KeptEvent(stage=stage, nth=nth, at=NOW, account=account, transient=name.endswith("~"))
            self.events[f"{TENANT.id}#{message_id[26:]}", f"{message_id}#{stage}#{nth}"] = event

    def read(self, keys: Sequence[EventKey]) -> dict[EventKey, KeptEvent]:
        assert len(keys) <= MAX_GET
        assert len(set(keys)) == len(keys)
        self.reads += 1
        self.keys += len(keys)
        return {key: self.events[key] for key in keys if key in self.events}

    def existing(self, keys: Sequence[EventKey]) -> set[EventKey]:
        assert len(keys) <= MAX_GET
        self.reads += 1
        return {key for key in keys if key in self.notes}

    def events_of_many(self, tenant: str, message_ids: Sequence[str]) -> list[list[KeptEvent]]:
        self.whole += len(message_ids)
        return [[e for key, e in self.events.items() if key[1].startswith(id)] for id in message_ids]


class Counts:
    """Counters of hours, by scope."""

    def __init__(self) -> None:
        self.by_scope: dict[str, dict[int, Counter[str]]] = {}
        self.asked: Counter[str] = Counter()

    def read(self, scope: str, first_hour: int, last_hour: int) -> dict[int, Counter[str]]:
        self.asked[scope] += 1
        return {hour: n for hour, n in self.by_scope.get(scope, {}).items() if first_hour <= hour <= last_hour}


class World:
    """A run of many messages, and what is known of them two days later."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self.followed = run_of(b"to\n")
        number, tag = Numbering(self.followed.shard_base(0)), Tagger(TENANT.salt, "email")
        self.ids = [number(i) + tag(f"u{i}@example.com") for i in range(MESSAGES)]
        self.timeline, self.counts = Timeline(), Counts()
        clock = FakeClock(NOW)
        clock.advance(2 * DAY_S)
        self.sorter = Sorter(self.timeline, self.counts, pool, clock)
        self.speak("ses", HOUR)

    def speak(self, account: str, hour: int, stage: str = "delivered") -> None:
        """Have an account's provider have said something of a message of an hour."""
        scope = f"{TENANT.id}#account#{account}"
        self.counts.by_scope.setdefault(scope, {})[hour] = Counter({"sent": 5, stage: 1})

    def sort(self, who: str) -> dict[str, str]:
        audience = Audience(follows=Follows(run=self.followed.id, who=Who(who)))
        run: Run = self.followed.moved(campaign=self.followed.campaign.model_copy(update={"audience": audience}))
        return {id: why.value for id, why in self.sorter.sorting(self.followed, run)(self.ids).items()}


@pytest.fixture
def world() -> Iterator[World]:
    with ThreadPoolExecutor(4) as pool:
        yield World(pool)


@pytest.mark.parametrize(
    ("who", "usual", "requests", "picked"),
    [
        # Of a hundred messages, how many have which events; requests for 1,000.
        ("failed", {"sent delivered": 98, "failed": 2}, 10 + 2, 20),
        ("undelivered", {"sent delivered": 98, "sent undelivered": 2}, 10 + 1, 20),
        ("no_receipt", {"sent delivered": 95, "sent undelivered": 2, "sent": 3}, 10 + 4, 30),
        ("not_opened", {"sent delivered opened": 30, "sent delivered": 68, "sent undelivered": 2}, 10 + 42 + 3, 680),
        ("not_clicked", {"sent opened clicked": 3, "sent": 95, "sent undelivered": 2}, 10 + 49 + 1, 950),
        # The worst: nobody is settled by the first round.
        ("failed", {"failed": 100}, 10 + 80, 1000),
        ("no_receipt", {"sent": 100}, 10 + 70, 1000),
        ("not_opened", {"sent": 100}, 10 + 60, 1000),
        ("not_opened", {"suppressed": 100}, 10 + 60 + 10, 0),
    ],
)
def test_a_thousand_messages_take_few_requests(
    world: World, who: str, usual: dict[str, int], requests: int, picked: int
) -> None:
    kinds = [names.split() for names, share in usual.items() for _ in range(share)]
    for i, id in enumerate(world.ids):
        world.timeline.add(id, *kinds[i % 100])
    found = world.sort(who)
    assert found.keys() == set(world.ids)
    assert Counter(found.values())["picked"] == picked
    assert (world.timeline.reads, world.timeline.whole) == (requests, 0)


def test_who_only_seemed_to_open_a_message_is_written_to_again(world: World) -> None:
    """A scanner followed three links at once, which the note says; a person opened another message."""
    scanned, opened, *others = world.ids
    for id in world.ids:
        world.timeline.add(id, "sent")
    world.timeline.add(scanned, "opened", "clicked")
    world.timeline.add(opened, "opened")
    world.timeline.notes.add((f"{TENANT.id}#revised#{scanned}", "revised"))
    pk = f"{TENANT.id}#{scanned[26:]}"
    del world.timeline.events[pk, f"{scanned}#opened#0"], world.timeline.events[pk, f"{scanned}#clicked#0"]
    event = KeptEvent(stage="clicked", nth=7, at=NOW, machine=True)
    read = world.timeline.read
    marks = {f"{scanned}#{stage}#0": KeptEvent(stage=stage, nth=0, at=NOW) for stage in ("opened", "clicked")}
    world.timeline.events[pk, f"{scanned}#clicked#7"] = event
    world.timeline.read = lambda keys: {**read(keys), **{key: marks[key[1]] for key in keys if key[1] in marks}}  # type: ignore[method-assign]  # the marks are there, and what reads a message whole leaves them out
    found = world.sort("not_opened")
    assert (found[scanned], found[opened], found[others[0]]) == ("picked", "opened", "picked")
    assert world.timeline.whole == 1


def test_messages_are_read_whole_only_if_some_came_back_for_now(world: World) -> None:
    for i, id in enumerate(world.ids):
        world.timeline.add(id, "sent", *(("delivered",) if i < 990 else ("undelivered~",) if i < 994 else ()))
    # The counters of the run know of none yet, as if they were some seconds behind.
    assert Counter(world.sort("no_receipt").values()) == {"delivered": 990, "picked": 10}
    assert world.timeline.whole == 0
    world.counts.by_scope[f"{TENANT.id}#run#{world.followed.id}"] = {HOUR: Counter({"undelivered.transient": 4})}
    found = Counter(world.sort("no_receipt").values())
    assert found == {"delivered": 990, "undelivered_for_now": 4, "picked": 6}
    assert world.timeline.whole == 10


@pytest.mark.parametrize(
    ("hour", "stage", "speaks"),
    [
        (HOUR, "delivered", True),
        (HOUR - HEARD_BEFORE, "delivered", True),
        (HOUR + HEARD_AFTER, "delivered", True),
        (HOUR - HEARD_BEFORE - 1, "delivered", False),
        (HOUR + HEARD_AFTER + 1, "delivered", False),
        # A provider that says only what came back does not say who got it.
        (HOUR, "undelivered", False),
    ],
)
def test_no_receipt_is_expected_of_accounts_that_never_say_what_was_delivered(
    world: World, hour: int, stage: str, speaks: bool
) -> None:
    for id in world.ids:
        world.timeline.add(id, "sent", account="mail")
    world.speak("mail", hour, stage)
    assert set(world.sort("no_receipt").values()) == {"picked" if speaks else "account_silent"}
    # Each account is looked for once, however many messages it has.
    assert world.counts.asked[f"{TENANT.id}#account#mail"] == 1
    assert set(world.sort("not_opened").values()) == {"picked"}


def test_a_message_without_account_is_none_of_whom_a_receipt_is_expected(world: World) -> None:
    for id in world.ids:
        world.timeline.add(id, "sent", account="")
    assert set(world.sort("no_receipt").values()) == {"account_silent"}


def test_a_message_without_events_is_in_no_set(world: World) -> None:
    for who in Who:
        assert "picked" not in world.sort(who).values()
