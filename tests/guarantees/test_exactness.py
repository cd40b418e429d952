"""The counters equal the timeline, and both equal what happened, receipts included.

Much is doubled, reordered, struck, cut in two, or given up.
"""

import random
from collections import Counter

from tests.fakes import FakeClock
from tests.guarantees.exactness import World
from tests.guarantees.matrix import report
from tests.guarantees.plain_model import Fact, Place, Story, counters_of, events_of
from tests.guarantees.what_happens import FIRST_MS, envelopes
from tests.memory import tables

ENVELOPES, SAMPLE = 1000, 60
"""Some 240 events each."""
STRUCK_AT = (
    *("after transact_write_items", "before transact_write_items", "before batch_write_item", "after batch_write_item"),
    *("before update_item", "after update_item", "before put_records", "after put_records", "put_records in part"),
    *("before send_message", "after send_message", "before batch_get_item"),
)
"""Between counting and keeping, at the checkpoint, at the stream: each at least once, and many others."""


def test_counters_timelines_and_the_list_say_what_happened(whole: bool) -> None:
    chance = random.Random(20261130)
    sent = list(envelopes(chance, ENVELOPES if whole else SAMPLE))
    stories = [story for one in sent for story in one.stories]
    clock = FakeClock(FIRST_MS + 3 * 86_400_000)
    with tables(clock, "catalog", "guard", "timeline", "counters") as client:
        world = World(client, clock, seed=7)
        world.happen(sent)
        events, took = world.timeline()
        counters, listed = world.counters(), world.listed()

    expected = events_of(stories)
    assert events == expected

    def took_ms(story: Story, fact: Fact) -> int | None:
        found = took[story.id, fact.stage, fact.nth]
        assert found in (fact.took_ms, fact.took_too)
        return found

    assert _differences(counters, counters_of(stories, took_ms)) == {}
    assert listed == {tag: reasons for one in sent for tag, reasons in one.listed.items()}
    assert set(STRUCK_AT) <= set(world.strikes.done)
    report(_figures(len(expected), world))


def _differences(found: dict[Place, Counter[str]], expected: dict[Place, Counter[str]]) -> dict[tuple[Place, str], str]:
    return {
        (place, name): f"counted {there[name]}, happened {wanted[name]}"
        for place in found.keys() | expected.keys()
        for there, wanted in ((found.get(place, Counter()), expected.get(place, Counter())),)
        for name in there | wanted
        if there[name] != wanted[name]
    }


def _figures(events: int, world: World) -> str:
    """What the run came to, in a line."""
    handed, struck = world.handed, world.strikes.done
    return (
        f"exactness: {events:,} events, {handed['records']:,} records and {handed['receipts']:,} receipts handed over, "
        f"{handed['batches']:,} batches of the trace; {struck.total():,} strikes, {handed['cut in two']:,} batches "
        f"cut in two, {handed['given up']:,} given up; counters, timeline and list as expected"
    )
