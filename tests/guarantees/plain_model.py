"""What counters and timelines must hold, worked out in plain Python from what happened to messages.

It is written apart from the platform, and imports nothing of it: what counts where is said here once more.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from math import log2

HOUR_MS = 3_600_000
OUTCOMES = ("sent", "failed", "suppressed", "duplicate", "capped", "recalled", "expired", "unknown", "dead_lettered")
WITH_REASON = (*OUTCOMES, "undelivered")

Place = tuple[str, str]
"""A scope, and an hour or a group in it."""
EventName = tuple[str, str, int]
"""The id of a message, a stage, and which time."""


@dataclass(slots=True)
class Fact:
    """Something that happened to a message. nth: which time; 0 where it can happen once."""

    stage: str
    nth: int = 0
    account: str | None = None
    reason: str | None = None
    took_ms: int | None = None
    """How long that took, where it counts; where providers say it differently, `took_too` is what they say as well."""
    took_too: int | None = None
    transient: bool = False
    machine: bool = False

    @property
    def name(self) -> str:
        """By which it counts."""
        if self.machine:
            return f"{self.stage}.machine"
        if self.transient:
            return f"{self.stage}.transient"
        return f"{self.stage}.times" if self.stage in ("opened", "clicked") and self.nth else self.stage


@dataclass(slots=True)
class Story:
    """A message, and all that happened to it."""

    id: str
    accepted_ms: int
    template: str
    version: int
    run: str | None
    variant: str | None
    facts: list[Fact] = field(default_factory=list)


def events_of(stories: Iterable[Story]) -> set[EventName]:
    """Every event of a timeline."""
    return {(story.id, fact.stage, fact.nth) for story in stories for fact in story.facts}


def counters_of(stories: Iterable[Story], took_ms: Callable[[Story, Fact], int | None]) -> dict[Place, Counter[str]]:
    """Every counter. took_ms: which of two times counts, where providers say it differently."""
    found: dict[Place, Counter[str]] = defaultdict(Counter)
    for story in stories:
        hour = f"{story.accepted_ms // HOUR_MS:08d}"
        for fact in story.facts:
            group = f"{story.version}|{fact.account or ''}|{story.run or ''}|{story.variant or ''}"
            template = found["template#" + story.template, f"{hour}#{group}"]
            places = [template, found["tenant", hour]]
            if fact.account:
                places.append(found["account#" + fact.account, hour])
            if story.run:
                places.append(found["run#" + story.run, hour])
                if story.variant:
                    places.append(found[f"run#{story.run}#variant#{story.variant}", hour])
            for each in places:
                each[fact.name] += 1
            own = [found["account#" + fact.account, hour]] if fact.account else []
            run = [found["run#" + story.run, hour]] if story.run else []
            reason, took = _told_apart(fact, fact.took_ms if fact.took_too is None else took_ms(story, fact))
            for each in [template, *own, *run] if reason else []:
                each[reason] += 1
            for each in [template, *own] if took else []:
                each[took] += 1
    return dict(found)


def _told_apart(fact: Fact, took_ms: int | None) -> tuple[str, str]:
    """By which names a fact counts besides, for its reason and for how long it took; empty for none."""
    reason = f"{fact.name}:{fact.reason}" if fact.reason and fact.stage in WITH_REASON else ""
    timed = took_ms is not None and fact.stage in ("sent", "delivered")
    return reason, f"{fact.stage}@{bucket(took_ms or 0)}" if timed else ""


def bucket(ms: int) -> int:
    """The bucket of a time: four for each doubling, around 1, 1.19, 1.41, 1.68, 2 ... milliseconds."""
    return int(4 * log2(max(1, ms)) + 0.5)
