"""Messages whose receipts name nothing but the provider's id are found by it, and the counters stay exact."""

import random
from collections.abc import Iterator
from typing import Any

import pytest

from functions.trace.aggregate import MAX_AT_ONCE
from shared.model.envelope import Envelope
from shared.model.events import EventRow, StreamRecord, accepted_rows, record_of
from shared.model.ids import Numbering
from shared.store.timeline import Timeline
from tests.conftest import Aws
from tests.fakes import FakeClock
from tests.integration.functions.trace.test_aggregate import Fragile, Killed, TraceHarness
from tests.memory import tables
from tests.samples import envelope

DAY_S = 86_400


@pytest.fixture
def harness(aws: Aws, clock: FakeClock) -> Iterator[TraceHarness]:
    made = TraceHarness(aws, clock)
    with tables(clock, "timeline", "counters"):
        yield made


def sent(one: Envelope, *, indexed: bool = True, n: int = 0) -> list[EventRow]:
    common: Any = {"stage": "sent", "nth": n, "at": one.accepted_at + 5, "account": "a", "provider": "texts"}
    return [
        EventRow(index=r.index, tag=r.tag, provider_id=f"{one.id}-{r.index}-{n}", indexed=indexed, **common)
        for r in one.recipients
    ]


def ids(one: Envelope) -> list[tuple[str, str]]:
    return [("texts", f"{one.id}-{r.index}-0") for r in one.recipients]


def places(one: Envelope) -> dict[tuple[str, str], tuple[str, str]]:
    number = Numbering(one.id)
    return {key: ("default", number(r.index) + r.tag) for key, r in zip(ids(one), one.recipients, strict=True)}


def told(one: Envelope, **more: bool) -> StreamRecord:
    return record_of(one, accepted_rows(one) + sent(one, **more))


def timeline(harness: TraceHarness) -> Timeline:
    return Timeline(harness.aws.dynamodb, "timeline")


@pytest.mark.parametrize("size", [1, MAX_AT_ONCE + 1], ids=["at once", "counted first"])
def test_a_message_is_found_by_the_providers_id(harness: TraceHarness, size: int) -> None:
    one = envelope(size)
    for sequence in (1, 2):
        harness.aggregate([(sequence, told(one))])

    assert timeline(harness).by_provider_ids([*ids(one), ("texts", "nobody's"), ("mails", ids(one)[0][1])]) == places(
        one
    )
    assert harness.counters() == harness.timeline() == {"accepted": size, "sent": size}


def test_a_message_of_a_campaign_is_found_too(harness: TraceHarness) -> None:
    one = envelope(3, run="run-1")
    harness.aggregate([(1, told(one)), (2, told(one))])
    assert timeline(harness).by_provider_ids(ids(one)) == places(one)
    assert harness.counters() == {"accepted": 3, "sent": 3}


def test_only_what_must_be_found_so_is_kept_so(harness: TraceHarness) -> None:
    one = envelope(2)
    harness.aggregate([(1, told(one, indexed=False))])
    assert timeline(harness).by_provider_ids(ids(one)) == {}


def test_a_message_that_is_sent_again_is_found_by_both_ids(harness: TraceHarness) -> None:
    one = envelope(1)
    harness.aggregate([(1, record_of(one, accepted_rows(one) + sent(one) + sent(one, n=100)))])
    assert set(timeline(harness).by_provider_ids([*ids(one), ("texts", f"{one.id}-0-100")]).values()) == set(
        places(one).values()
    )


def test_what_finds_a_message_goes_when_the_message_goes(harness: TraceHarness, clock: FakeClock) -> None:
    harness.aggregate([(1, told(envelope(1)))])
    items = harness.aws.dynamodb.scan(TableName="timeline")["Items"]
    lives = {item["pk"]["S"].partition(":")[0]: int(item["ttl"]["N"]) for item in items}
    assert set(lives) > {"provider"}
    assert set(lives.values()) == {clock.now_ms() // 1000 + harness.parts().settings.retention_days * DAY_S}


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_wherever_the_function_dies_all_are_found_and_counted_once(harness: TraceHarness, after: bool) -> None:
    chance = random.Random(7)
    some = [envelope(MAX_AT_ONCE + 2, start=1000 * k) for k in range(2)] + [envelope(1, start=9000)]
    batch = [(i + 1, told(one)) for i, one in enumerate(some)]
    for at in range(1, 30):
        fragile = Fragile(harness.aws.dynamodb, at, after)
        try:
            harness.aggregate(batch, fragile)
        except Killed:
            if chance.random() < 0.5:
                harness.aggregate(batch[: chance.randint(1, 3)])
            continue
        if fragile.calls < at:
            break
    else:
        pytest.fail("it never came to its end")
    harness.aggregate(batch)

    wanted = [key for one in some for key in ids(one)]
    assert len(timeline(harness).by_provider_ids(wanted)) == len(wanted)
    assert harness.counters() == harness.timeline() == {"accepted": len(wanted), "sent": len(wanted)}
