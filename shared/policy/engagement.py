"""Judges the openings and clicks of a message together, and says what they count as. Pure.

Whether a machine followed a link is sometimes known only from what follows: scanners go to all links of a message at
once, under the names of browsers. So no class is ever stored as final: it is what this makes of all that is known, as a
status is. What it makes depends on events' stages, numbers and classes alone, so that copies make no difference.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, TypeVar

from msgspec.structs import replace

from shared.model.engagement import MachineSign, place_of, second_of
from shared.model.events import Facts
from shared.model.words import Stage

ENGAGED: Final = frozenset({Stage.OPENED, Stage.CLICKED})
BURST_LINKS: Final = 3
"""So many links of one message, followed within `BURST_S`, are a machine's; who opens links in tabs manages two."""
BURST_S: Final = 2
AROUND_S: Final = 10
"""So close to a burst all is the machine's, such as the picture that it fetched before."""
MOST_LINKS_COUNTED: Final = 60
"""Of a template's version that are counted one by one."""

MOST_KEPT: Final = 500
"""Openings and clicks of one message that are kept and counted; who fetches the same again and again adds no more."""

F = TypeVar("F", bound=Facts)
Act = tuple[str, int]
"""The stage and the number of an opening or a click."""


def is_mark(event: Facts) -> bool:
    """Whether an event says only beside others that a message was opened or clicked at all."""
    return event.stage in ENGAGED and event.nth == 0


def bursts(clicks: Iterable[int]) -> list[tuple[int, int]]:
    """The (first, last) second of each burst. clicks: their numbers, in any order."""
    found: list[tuple[int, int]] = []
    ordered = sorted((second_of(nth), place_of(nth)) for nth in clicks if place_of(nth))
    for i, (start, _) in enumerate(ordered):
        within = _within(ordered, i, start + BURST_S)
        if len({place for _, place in within}) < BURST_LINKS:
            continue
        last = within[-1][0]
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(last, found[-1][1])
        else:
            found.append((start, last))
    return found


def _within(ordered: Sequence[tuple[int, int]], at: int, end: int) -> list[tuple[int, int]]:
    found = []
    while at < len(ordered) and ordered[at][0] <= end:
        found.append(ordered[at])
        at += 1
    return found


def revised(events: Iterable[Facts]) -> set[Act]:
    """Those openings and clicks that looked like a person's, and came with a burst."""
    events = list(events)
    found = bursts(event.nth for event in events if event.stage == Stage.CLICKED)
    if not found:
        return set()
    return {
        (event.stage, event.nth)
        for event in events
        if event.stage in ENGAGED
        and event.nth
        and not event.machine
        and any(first - AROUND_S <= second_of(event.nth) <= last + AROUND_S for first, last in found)
    }


def judged(events: list[F]) -> list[F]:
    """A message's events with the classes as they are known now.

    Marks beside other events of the same stage are left out: what they say follows from the others.
    """
    acts = {event.stage for event in events if event.stage in ENGAGED and event.nth and not event.machine}
    if not acts:
        return events
    machines = revised(events)
    return [
        replace(event, machine=True, sign=MachineSign.BURST) if (event.stage, event.nth) in machines else event
        for event in events
        if not (is_mark(event) and event.stage in acts)
    ]


def counted(events: list[F]) -> Iterator[tuple[F, str]]:
    """What a message's openings and clicks count as: each name with the event that it is counted by.

    `opened` and `clicked` count the message, once; `.times` each time, `.machine` each time by a machine. With
    `/<number>` behind it, the same of one link of the template. events: each only once.
    """
    by_stage: dict[str, list[F]] = defaultdict(list)
    for event in judged(events):
        if event.stage not in ENGAGED:
            continue
        if event.machine:
            yield from _named(event, f"{event.stage}.machine")
        else:
            by_stage[event.stage].append(event)
            if event.nth:
                yield from _named(event, f"{event.stage}.times")
    for stage, found in by_stage.items():
        yield from _once(stage, sorted(found, key=lambda event: event.nth))


def _once(stage: str, persons: list[F]) -> Iterator[tuple[F, str]]:
    yield persons[0], stage
    firsts: dict[str, F] = {}
    for event in persons:
        if event.link is not None:
            firsts.setdefault(link_name(stage, event.link), event)
    for name, event in firsts.items():
        yield event, name


def _named(event: F, name: str) -> Iterator[tuple[F, str]]:
    yield event, name
    if event.link is not None:
        yield event, link_name(name, event.link)


def link_name(name: str, link: int) -> str:
    """The name by which something counts of one link of a template; those that are not told apart are number 0."""
    return f"{name}/{link if link <= MOST_LINKS_COUNTED else 0}"
