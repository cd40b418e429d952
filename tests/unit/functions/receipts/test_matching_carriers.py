"""Codes that were given back: which of the messages that were asked for to carry one it is about."""

from collections.abc import Sequence
from typing import Any, cast

import pytest

from functions.receipts.matching import SKEW_MS, Matched, Matcher
from shared.model.events import FallenTo
from shared.model.ids import Numbering
from shared.model.receipts import Receipt
from shared.model.words import Stage
from shared.store.kept_events import KeptEvent, event_key_of
from tests.samples import NOW, REQUEST

TAG = "ABCDEFGHJKMNPQRS"
NUMBERED = Numbering(REQUEST)
FIRST, SECOND = NUMBERED(0) + TAG, NUMBERED(1) + TAG
Kept = dict[str, list[KeptEvent]]


def event(stage: Stage, at: int, account: str = "texts") -> KeptEvent:
    return KeptEvent(stage=stage.value, nth=0, at=at, provider="aws", account=account)


class Timeline:
    """What is known of messages, by id. looked_at: whose events were all read."""

    def __init__(self, kept: Kept) -> None:
        self.kept = kept
        self.looked_at: list[str] = []

    def read(self, keys: Sequence[Any]) -> dict[Any, KeptEvent]:
        found = {
            event_key_of("acme", id, Stage(each.stage)): each for id, events in self.kept.items() for each in events
        }
        return {key: found[key] for key in keys if key in found}

    def events_of_many(self, tenant: str, ids: Sequence[str]) -> list[list[KeptEvent]]:
        self.looked_at += ids
        return [self.kept.get(id, []) for id in ids]


def match(kept: Kept, *carriers: str, thorough: bool = False) -> tuple[Matched | None, list[str]]:
    """What it is about, and what had to be read in full for that."""
    timeline = Timeline(kept)
    receipt = Receipt(stage=Stage.VERIFIED, at=NOW, tenant="acme", message_id=carriers[-1], carriers=carriers)
    found, left = Matcher(cast(Any, timeline), cast(Any, None)).match([receipt], thorough=thorough)
    assert len(found) + len(left) == 1
    return (found[0] if found else None), timeline.looked_at


@pytest.mark.parametrize("told", [False, True])
def test_of_a_single_message_one_read_says_whether_it_was_told_before(told: bool) -> None:
    events = [event(Stage.SENT, NOW - 9_000)] + [event(Stage.VERIFIED, NOW - 1_000)] * told
    found, looked_at = match({FIRST: events}, FIRST)
    assert found is not None and (found.message_id, found.told, found.event.stage) == (FIRST, told, "sent")
    assert looked_at == []


@pytest.mark.parametrize(
    ("second_at", "meant"),
    [(NOW - 2_000, SECOND), (NOW + SKEW_MS, SECOND), (NOW + SKEW_MS + 1, FIRST)],
    ids=["before", "clocks differ", "after"],
)
def test_of_two_it_is_the_last_one_that_was_sent_by_then(second_at: int, meant: str) -> None:
    kept = {FIRST: [event(Stage.SENT, NOW - 60_000)], SECOND: [event(Stage.SENT, second_at)]}
    found, _ = match(kept, FIRST, SECOND)
    assert found is not None and (found.message_id, found.told) == (meant, False)


def test_one_that_failed_carried_nothing() -> None:
    kept = {FIRST: [event(Stage.SENT, NOW - 60_000)], SECOND: [event(Stage.FAILED, NOW - 2_000)]}
    found, _ = match(kept, FIRST, SECOND)
    assert found is not None and found.message_id == FIRST


def test_what_was_told_of_one_message_is_never_told_of_another() -> None:
    """That the second was sent is known later than that the code was given back."""
    first = [event(Stage.SENT, NOW - 60_000), event(Stage.VERIFIED, NOW)]
    found, _ = match({FIRST: first, SECOND: [event(Stage.SENT, NOW - 2_000)]}, FIRST, SECOND)
    assert found is not None and (found.message_id, found.told) == (FIRST, True)


def test_as_long_as_none_is_known_to_be_sent_it_waits_and_is_then_about_the_last() -> None:
    kept = {FIRST: [event(Stage.ACCEPTED, NOW - 60_000)], SECOND: [event(Stage.ACCEPTED, NOW - 2_000)]}
    assert match(kept, FIRST, SECOND)[0] is None
    found, _ = match(kept, FIRST, SECOND, thorough=True)
    assert found is not None and (found.message_id, found.event.stage) == (SECOND, "accepted")


def test_a_code_that_fell_back_came_by_the_message_in_its_place() -> None:
    place = FallenTo(channel="email", template="code", version=1, tag="Z" * len(TAG))
    fell = KeptEvent(stage="failed", nth=0, at=NOW - 9_000, fell_back_to=place)
    beside = FIRST.removesuffix(TAG) + "Z" * len(TAG)
    found, looked_at = match({FIRST: [fell], beside: [event(Stage.SENT, NOW - 5_000, "mail")]}, FIRST)
    assert found is not None and (found.message_id, found.event.account) == (beside, "mail")
    assert looked_at == [FIRST, beside]
