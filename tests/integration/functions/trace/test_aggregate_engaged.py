"""Openings and clicks: counters equal what all of them come to together, whatever is repeated, reordered or cut."""

import json
import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from functions.trace import aggregate
from shared.model.content import EmailContent
from shared.model.engagement import number_of
from shared.model.envelope import Envelope
from shared.model.events import EventRow, StreamRecord, accepted_rows, record_of
from shared.policy.engagement import counted
from shared.store.kept_events import KeptEvent, read_event, revised_key
from tests.conftest import Aws
from tests.fakes import FakeClock
from tests.integration.functions.trace.test_aggregate import FIRST_SEQUENCE, Fragile, Killed, TraceHarness
from tests.samples import change, envelope, template

PEOPLE = 4


@pytest.fixture
def harness(aws: Aws, clock: FakeClock) -> TraceHarness:
    return TraceHarness(aws, clock)


def told(one: Envelope, index: int, stage: str, second: int, place: int = 0, account: str | None = "a") -> StreamRecord:
    """One opening or click, with what says that it happened at all."""
    recipient = one.recipients[index]
    row = EventRow(
        index=recipient.index,
        tag=recipient.tag,
        stage=stage,
        nth=number_of(second, place, False),
        at=one.accepted_at + 1000 * second,
        account=account,
        link=place or None,
    )
    mark = EventRow(index=recipient.index, tag=recipient.tag, stage=stage, nth=0, at=row.at, account=account)
    return record_of(one, [mark, row])


def acts(chance: random.Random, one: Envelope, count: int) -> list[StreamRecord]:
    """People and scanners, some told through another account, or before it was known by which they were sent."""
    return [
        told(
            one,
            chance.randrange(PEOPLE),
            chance.choice(("opened", "clicked", "clicked")),
            chance.randrange(1, 60),
            chance.randrange(1, 6),
            chance.choice(("a", "a", "b", None)),
        )
        for _ in range(count)
    ]


def kept(harness: TraceHarness, one: Envelope) -> Iterator[list[KeptEvent]]:
    """The openings and clicks of each message, as they were told."""
    for each in one.recipients:
        items = harness.aws.dynamodb.query(
            TableName="timeline",
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": f"default#{each.tag}"}},
        )["Items"]
        yield [event for item in items if (event := read_event(item["d"]["S"])).stage in ("opened", "clicked")]


def check(harness: TraceHarness, one: Envelope) -> Counter[str]:
    """The counters are what the timeline comes to: in all, by account, and by link."""
    total: Counter[str] = Counter()
    by_account: Counter[tuple[str | None, str]] = Counter()
    for events in kept(harness, one):
        for event, name in counted(events):
            total[name] += 1
            by_account[event.account, name] += 1
    stages = Counter({name: n for name, n in total.items() if "/" not in name})
    assert +harness.counters() == stages
    assert +harness.counters("default#template#welcome") == total
    for account in ("a", "b"):
        of_account = {name: n for (by, name), n in by_account.items() if by == account and "/" not in name}
        assert +harness.counters(f"default#account#{account}") == of_account
    return total


def numbered(records: list[StreamRecord]) -> list[tuple[int, StreamRecord]]:
    return list(enumerate(records, FIRST_SEQUENCE))


def test_clicks_that_turn_out_to_be_a_scanners_are_taken_back(harness: TraceHarness) -> None:
    one = envelope(PEOPLE)
    person = told(one, 0, "clicked", 400, 2)
    first, *rest = (told(one, 0, "clicked", 30, place) for place in (1, 2, 3))
    seen = []
    for i, record in enumerate((told(one, 0, "opened", 29), first, *rest, person)):
        harness.aggregate([(FIRST_SEQUENCE + i, record)])
        found = check(harness, one)
        seen.append((found["opened"], found["clicked"], found["clicked.times"], found["clicked.machine"]))
    assert seen == [(1, 0, 0, 0), (1, 1, 1, 0), (1, 1, 2, 0), (0, 0, 0, 3), (0, 1, 1, 3)]
    noted = revised_key("default", one.id + one.recipients[0].tag)
    assert harness.parts().timeline.existing([noted]) == {noted}
    message = harness.api("GET /v1/messages/{id}", path={"id": one.id + one.recipients[0].tag})[1]
    shown = [(e["stage"], e["by_machine"], e["machine_sign"], e["link"]) for e in message["timeline"]]
    assert shown == [
        ("opened", True, "burst", None),
        *(("clicked", True, "burst", place) for place in (1, 2, 3)),
        ("clicked", False, None, 2),
    ]
    assert message["status"] == "clicked" and "than a person follows" in message["timeline"][1]["text"]


@pytest.mark.parametrize("seed", range(6))
def test_any_order_any_cut_and_any_repeat_come_to_the_same(harness: TraceHarness, seed: int) -> None:
    chance, one = random.Random(seed), envelope(PEOPLE)
    records = acts(chance, one, 60)
    stream = numbered(records + chance.sample(records, 20))
    at = 0
    while at < len(stream):
        size = chance.randrange(1, 12)
        harness.aggregate(stream[max(0, at - chance.randrange(4)) : at + size])
        at += size
        check(harness, one)
    harness.aggregate(stream)
    assert check(harness, one)["clicked.machine"] > 0


@pytest.mark.parametrize("at_once", [True, False])
def test_it_may_die_at_every_call_and_still_be_exact(
    harness: TraceHarness, monkeypatch: pytest.MonkeyPatch, at_once: bool
) -> None:
    if not at_once:
        monkeypatch.setattr(aggregate, "MAX_AT_ONCE", -1)
    chance, one = random.Random(3), envelope(PEOPLE)
    before, batch = numbered(acts(chance, one, 12)), acts(chance, one, 4)
    scanner = [told(one, 0, "clicked", 31, place) for place in (1, 2, 3)]
    stream = [(FIRST_SEQUENCE + 100 + i, record) for i, record in enumerate([*batch, *scanner])]
    counting = Fragile(harness.aws.dynamodb)
    harness.aggregate(before)
    harness.aggregate(stream[:4], counting)
    harness.aggregate(stream)
    expected = check(harness, one)
    for at in range(1, counting.calls + 1):
        for after in (False, True):
            for table in ("timeline", "counters"):
                for item in harness.aws.dynamodb.scan(TableName=table)["Items"]:
                    harness.aws.dynamodb.delete_item(TableName=table, Key={"pk": item["pk"], "sk": item["sk"]})
            harness.aggregate(before)
            with pytest.raises(Killed):
                harness.aggregate(stream[:4], Fragile(harness.aws.dynamodb, at, after))
            # What comes again brings more.
            harness.aggregate(stream)
            assert check(harness, one) == expected


def test_who_fetches_the_same_for_ever_adds_no_more(harness: TraceHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("functions.trace.engaged.MOST_KEPT", 5)
    one = envelope(PEOPLE)
    stream = numbered([told(one, 0, "clicked", second, 1) for second in range(1, 40, 3)])
    harness.aggregate(stream[:3])
    harness.aggregate(stream)
    assert check(harness, one)["clicked.times"] == 4
    assert sum(map(len, kept(harness, one))) == 5


def test_anonymous_openings_count_each_time_and_are_in_no_timeline(harness: TraceHarness) -> None:
    records = []
    for i in range(3):
        one = envelope(1, start=i)
        row = EventRow(
            index=one.recipients[0].index, tag=f"{i}" * 16, stage="clicked", nth=0, at=5, anonymous=True, link=2
        )
        records.append(record_of(one, [row]))
    stream = numbered([*records, *records])
    harness.aggregate(stream[:4])
    harness.aggregate(stream)
    assert harness.counters() == {"clicked.anonymous": 3}
    assert harness.counters("default#template#welcome") == {"clicked.anonymous": 3, "clicked.anonymous/2": 3}
    # They are kept for as long as something may repeat them, and not with what is told of messages.
    ttls = [int(item["ttl"]["N"]) for item in harness.aws.dynamodb.scan(TableName="timeline")["Items"]]
    assert {ttl - harness.clock.now_ms() // 1000 for ttl in ttls} == {aggregate.ANONYMOUS_S}


def test_the_figures_name_the_links_that_were_followed_most(harness: TraceHarness) -> None:
    html = '<a href="https://a.cn/">A</a><a href="https://a.cn/{{ o }}">B</a>'
    head, first = template(EmailContent(subject="S", html=html))
    harness.catalog.create_template(head, first, change())
    one = envelope(PEOPLE)
    acted = [told(one, 0, "clicked", 30, 2), told(one, 0, "clicked", 90, 2), told(one, 1, "clicked", 30, 1)]
    acted += [told(one, 2, "clicked", 40, place) for place in (1, 2, 3)]
    harness.aggregate(numbered([record_of(one, accepted_rows(one)), *acted]))
    at = {"after": _iso(one.accepted_at - 3_600_000), "before": _iso(one.accepted_at + 3_600_000)}
    status, found = harness.api("GET /v1/stats/templates/{id}", path={"id": "welcome"}, **at)
    assert status == 200, json.dumps(found)
    links = [(each["target"], each["messages"], each["times"], each["by_machine"]) for each in found["links"]]
    assert links == [("https://a.cn/{{ o }}", 1, 2, 1), ("https://a.cn/", 1, 1, 1), ("", 0, 0, 1)]
    assert found["versions"][0]["links"] == found["links"]
    assert all("/" not in name for name in found["stages"])


def _iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat()
