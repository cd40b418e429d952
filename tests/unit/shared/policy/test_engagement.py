"""Openings and clicks judged together: what people reported of scanners, and that the order makes no difference."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.model.engagement import number_of, place_of, second_of
from shared.model.events import EventRow
from shared.policy.engagement import bursts, counted, judged, link_name

Told = tuple[str, int, int]
"""A stage, the second, the place of the link (0: the picture)."""


def event(stage: str, second: int, place: int = 0, machine: bool = False) -> EventRow:
    number = number_of(second, place, machine)
    link = place if stage == "clicked" else None
    return EventRow(index=0, tag="A" * 16, stage=stage, nth=number, at=0, machine=machine, link=link)


def mark(stage: str) -> EventRow:
    return EventRow(index=0, tag="A" * 16, stage=stage, nth=0, at=0)


def counts(*events: EventRow) -> Counter[str]:
    return Counter(name for _, name in counted(list(events)))


@given(second=st.integers(0, 10**8), place=st.integers(0, 255), machine=st.booleans())
def test_a_number_says_what_it_was_made_of(second: int, place: int, machine: bool) -> None:
    number = number_of(second, place, machine)
    assert (second_of(number), place_of(number)) == (second, place)
    assert second_of(second) == second and place_of(second) == 0
    assert number < 2**40 and number != number_of(second, place, not machine)


@pytest.mark.parametrize(
    ("name", "clicks", "machine"),
    [
        # putyourlightson/craft-campaign, issue 546: nine or ten links within a second, 20 to 60 seconds after sending.
        ("all links within a second", [(37, place) for place in range(1, 11)], True),
        ("over the edge of a second", [(37, 1), (37, 2), (38, 3), (38, 4)], True),
        # gophish, issue 2646: scanners that give the names of browsers; only the speed tells.
        ("three links within two seconds", [(60, 1), (61, 2), (62, 3)], True),
        ("one link again and again", [(60, 1), (61, 1), (62, 1), (63, 1)], False),
        ("two links in two tabs", [(60, 1), (60, 2)], False),
        ("a reader in a hurry", [(60, 1), (62, 2), (65, 3), (67, 4)], False),
        ("links of whose place nothing is known", [(60, 0), (61, 0), (61, 0)], False),
    ],
)
def test_more_links_than_a_person_follows_are_a_machines(
    name: str, clicks: list[tuple[int, int]], machine: bool
) -> None:
    found = judged([event("clicked", second, place) for second, place in clicks])
    assert {each.machine for each in found} == {machine}, name
    assert all((each.sign == "burst") is machine for each in found)


def test_the_picture_that_a_scanner_fetched_before_is_its_own_and_what_comes_later_is_a_persons() -> None:
    # mautic, issue 9798: what comes within ten seconds of such a click is discarded; craft-campaign: pictures precede.
    scanner = [event("opened", 30), *(event("clicked", 40, place) for place in (1, 2, 3))]
    person = [event("opened", 300), event("clicked", 320, 2)]
    found = {(each.stage, second_of(each.nth)): each.machine for each in judged([*scanner, *person])}
    assert found == {
        ("opened", 30): True,
        ("clicked", 40): True,
        ("opened", 300): False,
        ("clicked", 320): False,
    }


def test_a_message_counts_once_and_its_links_too() -> None:
    person = [mark("opened"), event("opened", 30), event("opened", 90)]
    person += [mark("clicked"), event("clicked", 95, 2), event("clicked", 99, 2), event("clicked", 180, 1)]
    assert counts(*person) == {
        **{"opened": 1, "opened.times": 2, "clicked": 1, "clicked.times": 3},
        **{"clicked/1": 1, "clicked/2": 1, "clicked.times/1": 1, "clicked.times/2": 2},
    }


def test_of_a_scanner_alone_nothing_counts_as_a_persons() -> None:
    scanner = [mark("clicked"), mark("opened"), event("opened", 30)]
    scanner += [event("clicked", 31, place) for place in (1, 2, 3)]
    names = {f"clicked.machine/{place}": 1 for place in (1, 2, 3)}
    assert counts(*scanner) == {"opened.machine": 1, "clicked.machine": 3, **names}


def test_what_was_told_before_links_had_places_counts_as_it_did() -> None:
    old = [mark("opened"), mark("clicked")]
    old += [EventRow(index=0, tag="", stage=stage, nth=5, at=0) for stage in ("opened", "clicked")]
    old.append(EventRow(index=0, tag="", stage="opened", nth=6, at=0, machine=True))
    assert counts(*old) == {
        **{"opened": 1, "opened.times": 1, "opened.machine": 1, "clicked": 1, "clicked.times": 1},
    }
    assert counts(mark("opened")) == {"opened": 1}


def test_links_beyond_those_that_are_told_apart_count_as_others() -> None:
    found = counts(event("clicked", 5, 200), event("clicked", 9, 201))
    assert found == {"clicked": 1, "clicked.times": 2, "clicked/0": 1, "clicked.times/0": 2}
    assert link_name("clicked", 60) == "clicked/60"


@given(
    st.lists(
        st.tuples(st.sampled_from(["opened", "clicked"]), st.integers(1, 40), st.integers(0, 4), st.booleans()),
        max_size=25,
        unique=True,
    ),
    st.randoms(use_true_random=False),
)
def test_the_order_makes_no_difference(told: list[tuple[str, int, int, bool]], order: random.Random) -> None:
    events = list({(each.stage, each.nth): each for each in (event(*one) for one in told)}.values())
    shuffled = order.sample(events, len(events))
    assert counts(*events) == counts(*shuffled)
    assert judged(judged(events)) == judged(events)
    by_people = sum(n for name, n in counts(*events).items() if name.endswith(".times"))
    by_machines = sum(n for name, n in counts(*events).items() if name.endswith(".machine"))
    assert by_people + by_machines == len(events)


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(1, 9)), max_size=40))
def test_bursts_are_those_of_the_definition(clicks: list[tuple[int, int]]) -> None:
    found = bursts(number_of(second, place, False) for second, place in clicks)
    within = {
        second
        for start in range(101)
        if len({place for at, place in clicks if start <= at <= start + 2}) >= 3
        for second, _ in clicks
        if start <= second <= start + 2
    }
    assert {second for second, _ in clicks if any(first <= second <= last for first, last in found)} == within
