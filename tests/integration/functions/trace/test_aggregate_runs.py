"""The trace of campaigns: one item per message, and counters that equal the timeline all the same."""

import json
import random
from collections import Counter
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from bench.units import item_bytes
from functions.campaign.run.starting import sizes
from local.timeline_items import is_event
from shared.acceptance.telling import accepted_by_run
from shared.aws.queue import Dispatch
from shared.lifecycle.walk import first_legs
from shared.model.campaigns import MAX_VARIANTS
from shared.model.envelope import Envelope
from shared.model.events import EventRow, FallenTo, StreamRecord, accepted_rows, record_of
from shared.model.ids import Numbering, Tagger
from shared.model.runs import MAX_BLOCK
from shared.model.words import OUTCOMES
from shared.store.counters import MAX_ITEMS, Counters, in_flight, run_scope
from shared.store.timeline import Timeline
from tests.fakes import FakeClock
from tests.integration.functions.trace.test_aggregate import FIRST_SEQUENCE, Fragile, Killed, TraceHarness, rows
from tests.memory import tables
from tests.samples import NOW, REQUEST, envelope, recipients

RUN = "spring.01KAV2M3X80000000000000000"


@pytest.fixture
def harness(clock: FakeClock) -> Iterator[TraceHarness]:
    with tables(clock, "catalog", "timeline", "counters") as dynamodb:
        aws: Any = SimpleNamespace(dynamodb=dynamodb, catalog="catalog")
        yield TraceHarness(aws, clock)


def of_run(size: int, start: int = 0, **changes: Any) -> Envelope:
    return envelope(size, start=start, run=RUN, variant="b", **changes)


def queued(one: Envelope, due_at: int | None = None) -> StreamRecord:
    """What expansion tells of an envelope."""
    return accepted_by_run(Dispatch(one, "", due_at))


def history(count: int = 4, size: int = 30) -> list[tuple[int, StreamRecord]]:
    """Envelopes as expansion and dispatch tell of them, with repeats; one of each is tried again, and one fails."""
    records = []
    for k in range(count):
        one = of_run(size, start=1000 * k)
        via: Any = {"account": f"a{k % 2}", "provider": "smtp", "provider_id": "p"}
        sent, failed = rows(one, "sent", **via), rows(one, "failed", reason="address_unknown", **via)
        again = rows(one, "retrying", 1, reason="throttled", **via)
        both = record_of(one, accepted_rows(one) + failed[:1] + sent[1:-1] + again[-1:])
        last = record_of(one.child("r1", one.recipients[-1:]), sent[-1:])
        # Whether expansion came to tell it is not sure: dispatch states it as well.
        records += [*([queued(one)] * (k % 3)), both, last, both]
    return list(enumerate(records, FIRST_SEQUENCE))


def ids_of(one: Envelope) -> list[str]:
    number = Numbering(one.root)
    return [number(r.index) + r.tag for r in one.recipients]


def told(harness: TraceHarness) -> Counter[str]:
    """What the timeline says of all messages, by stage, as whoever asks for each of them reads it."""
    timeline = Timeline(harness.aws.dynamodb, "timeline")
    found: Counter[str] = Counter()
    for item in harness.aws.dynamodb.scan(TableName="timeline")["Items"]:
        if "h" in item:
            for id in json.loads(item["d"]["S"]):
                found.update(event.stage for event in timeline.events("default", id))
    return found


def balanced(harness: TraceHarness, envelopes: int, size: int) -> None:
    expected = Counter(
        {
            "accepted": envelopes * size,
            "sent": envelopes * (size - 1),
            "failed": envelopes,
            "retrying": envelopes,
        }
    )
    assert told(harness) == expected
    assert harness.counters() == expected
    assert harness.counters(run_scope("default", RUN, "b")) == expected
    assert harness.counters(run_scope("default", RUN)) == expected | {"failed:address_unknown": envelopes}


def test_counters_equal_the_timeline(harness: TraceHarness) -> None:
    harness.aggregate(history())
    balanced(harness, 4, 30)


def test_batches_may_be_repeated_bisected_and_cut_anywhere(harness: TraceHarness) -> None:
    records = history()
    chance = random.Random(7)
    for _ in range(5):
        start = chance.randrange(len(records))
        harness.aggregate(records[: start + 1])
        harness.aggregate(records[: (start + 1) // 2 + 1])
    harness.aggregate(records)
    balanced(harness, 4, 30)


def test_it_may_die_at_every_call_and_still_balance(harness: TraceHarness) -> None:
    records = history(3, 12)
    counting = Fragile(harness.aws.dynamodb)
    harness.aggregate(records, counting)
    points = [(at, after) for at in range(1, counting.calls + 1) for after in (False, True)]
    assert len(points) >= 10
    for at, after in points:
        for table in ("timeline", "counters"):
            for item in harness.aws.dynamodb.scan(TableName=table)["Items"]:
                harness.aws.dynamodb.delete_item(TableName=table, Key={"pk": item["pk"], "sk": item["sk"]})
        with pytest.raises(Killed):
            harness.aggregate(records, Fragile(harness.aws.dynamodb, at, after))
        harness.aggregate(records)
        balanced(harness, 3, 12)


def test_accepted_and_outcome_of_a_message_are_one_item_of_less_than_a_kilobyte(harness: TraceHarness) -> None:
    one = of_run(100)
    via: dict[str, Any] = {"account": "mail-ses-frankfurt", "provider": "ses", "took_ms": 123}
    sent = rows(one, "sent", provider_id="0107019ab7c21f6e-3f0c4b1e-5a0d-4c55-9d3e-8f5b0b2f9f51-000000", **via)
    for row in sent:
        row.reference = "customer-4711-0815"
    harness.aggregate([(1, queued(one)), (2, record_of(one, accepted_rows(one) + sent))])
    items = harness.aws.dynamodb.scan(TableName="timeline")["Items"]
    mine = [item for item in items if is_event(item["pk"]["S"])]
    assert len(mine) == 100
    assert max(item_bytes(item) for item in mine) < 1024
    assert len(items) - len(mine) == 2


def test_a_queued_message_is_found_by_its_id_its_request_and_its_page(harness: TraceHarness) -> None:
    one, other = of_run(3, start=7), of_run(2, start=500)
    harness.aggregate([(1, queued(one)), (2, queued(other, NOW + 3_600_000))])
    ids = ids_of(one)
    for id in ids:
        status, found = harness.api("GET /v1/messages/{id}", path={"id": id})
        assert status == 200
        assert (found["status"], found["run"], found["variant"], found["to"]) == ("accepted", RUN, "b", None)
        assert found["request_id"] == REQUEST
    # The tag of another recipient makes an id that nobody has.
    status, _ = harness.api("GET /v1/messages/{id}", path={"id": ids[0][:26] + ids[1][26:]})
    assert status == 404
    status, page = harness.api("GET /v1/requests/{id}", path={"id": REQUEST})
    assert status == 200
    assert [m["status"] for m in page["messages"]] == ["accepted"] * 5
    [event] = page["messages"][4]["timeline"]
    assert event["until"].startswith("2025-01-15T11:00:00") and "Due at 2025-01-15T11:00:00" in event["text"]


def test_what_dispatch_tells_carries_the_acceptance_along(harness: TraceHarness) -> None:
    one = of_run(2)
    one.recipients[1].tag = Tagger(harness.salt, "email")("u1@example.com")
    harness.aggregate(
        [(1, queued(one)), (2, record_of(one, accepted_rows(one) + rows(one, "sent", account="a", provider="smtp")))]
    )
    id = Numbering(one.id)(1) + one.recipients[1].tag
    status, found = harness.api("GET /v1/messages/{id}", path={"id": id})
    assert status == 200
    assert [event["stage"] for event in found["timeline"]] == ["accepted", "sent"]
    assert found["to"] == "u***@example.com"
    status, page = harness.api("POST /v1/messages/query", {"to": "u1@example.com"})
    assert [event["stage"] for event in page["messages"][0]["timeline"]] == ["accepted", "sent"]


def test_a_request_of_queued_messages_is_read_once(harness: TraceHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    harness.aggregate([(1, queued(of_run(40)))])
    client = Fragile(harness.aws.dynamodb)
    timeline = Timeline(client, "timeline")
    ids = timeline.request_messages("default", REQUEST)
    client.calls = 0
    assert [events[0].stage for events in timeline.events_of_many("default", ids)] == ["accepted"] * 40
    assert client.calls == 41


def test_who_follows_messages_knows_a_queued_one_from_its_envelope(harness: TraceHarness) -> None:
    one, later = of_run(3), of_run(2, start=500)
    harness.aggregate([(1, queued(one)), (2, queued(later, NOW + 7_200_000))])
    legs, untraced = first_legs(Timeline(harness.aws.dynamodb, "timeline"), "default", [REQUEST])
    assert untraced == []
    by_id = {leg.id: leg for leg in legs}
    assert by_id[one.id].due_at == NOW
    assert by_id[later.id].due_at == NOW + 7_200_000
    assert by_id[one.id].expires_at == one.expires_at
    record = by_id[one.id].root.record(one.id, [])
    assert (record.run, record.variant, record.request) == (RUN, "b", REQUEST)


def test_messages_that_fell_back_are_accepted_by_an_item_of_their_own(harness: TraceHarness) -> None:
    one = of_run(2)
    fallen = FallenTo("sms", "text", 1, "0" * 16)
    other = one.child("f1", [replace(one.recipients[0], stands_in_for=one.recipients[0].tag, tag="0" * 16)])
    first: list[EventRow] = accepted_rows(one) + rows(one, "failed", reason="address_unknown")
    first[2].fell_back_to = fallen
    opened = record_of(other, accepted_rows(other))
    sent = record_of(other, accepted_rows(other) + rows(other, "sent", account="a", provider="smtp"))
    [id] = ids_of(other)
    for sequence, record, stages in ((1, opened, ["accepted"]), (2, sent, ["accepted", "sent"])):
        harness.aggregate([(2 * sequence, record_of(one, first)), (2 * sequence + 1, record)])
        _, found = harness.api("GET /v1/messages/{id}", path={"id": id})
        assert [event["stage"] for event in found["timeline"]] == stages
        assert (found["fallback_of"], found["to"]) == (ids_of(one)[0], "u***@example.com")
    assert harness.counters() == {"accepted": 3, "failed": 2, "sent": 1}
    legs, _ = first_legs(Timeline(harness.aws.dynamodb, "timeline"), "default", [REQUEST])
    assert [leg.id for leg in legs] == [one.id, other.id]


def test_a_queued_message_is_found_among_many_envelopes_of_its_block(harness: TraceHarness) -> None:
    """Variants and local times cut a block into envelopes whose messages lie in between each other."""
    every = recipients(240)
    several = []
    for k in range(48):
        mine = [replace(r, index=r.index - k) for r in every[k::48]]
        several.append(of_run(1, start=k, recipients=mine))
    harness.aggregate([(k, queued(one)) for k, one in enumerate(several)])
    client = Fragile(harness.aws.dynamodb)
    timeline = Timeline(client, "timeline")
    ids = [id for one in several for id in ids_of(one)]
    assert len(set(ids)) == 240
    for id in ids:
        client.calls = 0
        assert [event.stage for event in timeline.events("default", id)] == ["accepted"]
        assert client.calls == 2
    assert all(timeline.events_of_many("default", ids))


def test_no_block_is_larger_than_what_is_looked_through_for_a_message() -> None:
    shapes = [(throttle, n, local) for throttle in (None, 1, 600) for n in (1, MAX_VARIANTS) for local in (False, True)]
    assert max(sizes(throttle, n, local=local)[1] for throttle, n, local in shapes) <= MAX_BLOCK


def test_a_message_of_which_others_tell_first_is_accepted_all_the_same(harness: TraceHarness) -> None:
    """A recall, the watch and receipts tell nothing of the acceptance; their records may come before dispatch's."""
    one = of_run(3)
    tag = one.recipients[0].tag = Tagger(harness.salt, "email")("u0@example.com")
    recalled = rows(one, "recalled", reason="recalled", note="key")[:1]
    harness.aggregate(
        [(1, queued(one)), (2, record_of(one, recalled)), (3, record_of(one, rows(one, "delivered")[1:2]))]
    )
    for id, stages in zip(
        ids_of(one), (["accepted", "recalled"], ["accepted", "delivered"], ["accepted"]), strict=True
    ):
        _, found = harness.api("GET /v1/messages/{id}", path={"id": id})
        assert [event["stage"] for event in found["timeline"]] == stages
    _, page = harness.api("POST /v1/messages/query", {"to": "u0@example.com"})
    assert [len(m["timeline"]) for m in page["messages"]] == [2]
    assert page["messages"][0]["message_id"].endswith(tag)
    # Dispatch says the same of the first; nothing is counted anew.
    own = [*recalled, *rows(one, "sent", account="a", provider="smtp")[1:]]
    harness.aggregate([(4, record_of(one, accepted_rows(one) + own))])
    assert harness.counters() == told(harness) == {"accepted": 3, "recalled": 1, "delivered": 1, "sent": 2}


def test_the_events_of_a_campaigns_message_are_those_of_any_other(harness: TraceHarness) -> None:
    """Whatever reads them need not know of what they were put together."""
    plain, campaign = envelope(2, start=10, reference="r"), of_run(2, start=20, reference="r")
    found = []
    for k, one in enumerate((plain, campaign)):
        one.recipients[0].reference = "customer-7"
        sent = rows(one, "sent", account="a", provider="smtp", reference="customer-7")
        harness.aggregate(
            [(2 * k, record_of(one, accepted_rows(one))), (2 * k + 1, record_of(one, accepted_rows(one) + sent))]
        )
        events = Timeline(harness.aws.dynamodb, "timeline").events("default", ids_of(one)[0])
        found.append(sorted(events, key=lambda event: str(event.stage)))
    (accepted, sent_event), (same, with_it) = found
    assert same == replace(accepted, run=RUN, variant="b")
    assert replace(with_it, accepted=None) == replace(sent_event, run=RUN, variant="b")


def test_who_goes_on_in_a_continuation_keeps_the_address(harness: TraceHarness) -> None:
    one = of_run(3)
    sent = rows(one, "sent", account="a", provider="smtp")
    rest = one.child("c1", one.recipients[2:])
    harness.aggregate([(1, queued(one)), (2, record_of(one, accepted_rows(one) + sent[:2]))])
    _, found = harness.api("GET /v1/messages/{id}", path={"id": ids_of(one)[2]})
    assert (found["status"], found["to"]) == ("accepted", "u***@example.com")
    harness.aggregate([(3, record_of(rest, sent[2:]))])
    _, found = harness.api("GET /v1/messages/{id}", path={"id": ids_of(one)[2]})
    assert ([e["stage"] for e in found["timeline"]], found["to"]) == (["accepted", "sent"], "u***@example.com")
    assert harness.counters() == told(harness) == {"accepted": 3, "sent": 3}


class Tally:
    """Counts the calls of a client, by operation."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.exceptions = client.exceptions
        self.calls: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        self.calls[name] += 1
        return getattr(self._client, name)


def test_a_thousand_messages_take_forty_batches_of_writes_and_ten_of_reads(harness: TraceHarness) -> None:
    several = [of_run(100, start=100 * k) for k in range(10)]
    first, second = Tally(harness.aws.dynamodb), Tally(harness.aws.dynamodb)
    harness.aggregate([(k, queued(one)) for k, one in enumerate(several)], first)
    books = {"get_item": 1, "transact_write_items": 1, "update_item": 1}
    assert first.calls == {**books, "batch_get_item": 1, "batch_write_item": 1}
    sent = [record_of(one, accepted_rows(one) + rows(one, "sent", account="a", provider="smtp")) for one in several]
    harness.aggregate([(10 + k, record) for k, record in enumerate(sent)], second)
    assert second.calls == {**books, "batch_get_item": 11, "batch_write_item": 41}
    items = harness.aws.dynamodb.scan(TableName="timeline", Select="COUNT")
    assert harness.counters() == told(harness) == {"accepted": 1000, "sent": 1000}
    assert items["Count"] == 1000 + 10 + 1


def test_runs_with_many_scopes_are_cut_into_parts(harness: TraceHarness) -> None:
    records = []
    for k in range(60):
        one = envelope(1, start=k, run=f"r{k}.01KAV2M3X80000000000000000", variant="b", template=f"t{k}")
        records.append((k, record_of(one, accepted_rows(one) + rows(one, "sent", account=f"a{k}", provider="smtp"))))
    sizes_of: list[int] = []
    add = Counters.add

    def noting(self: Counters, shard: str, old: int, new: int, counts: Any, **more: Any) -> None:
        sizes_of.append(len(counts))
        add(self, shard, old, new, counts, **more)

    with pytest.MonkeyPatch.context() as patching:
        patching.setattr(Counters, "add", noting)
        harness.aggregate(records)
    assert max(sizes_of) <= MAX_ITEMS < sum(sizes_of)
    assert harness.counters() == told(harness) == {"accepted": 60, "sent": 60}
    for k in range(60):
        assert harness.counters(run_scope("default", f"r{k}.01KAV2M3X80000000000000000", "b")) == {
            "accepted": 1,
            "sent": 1,
        }


def test_what_is_in_flight_does_not_follow_from_reasons() -> None:
    assert in_flight({"accepted": 5, "redriven": 1, "failed": 2, "failed:address_unknown": 2, "sent": 1}) == 3


# A random life of a shard of the stream


FATES = ("sent", "failed", "suppressed", "retrying", "", "recalled")


def life(size: int, start: int, fates: list[str], **changes: Any) -> list[StreamRecord]:
    """All that is ever told of an envelope. fates: of its recipients; nothing is told of some by their root."""
    one = envelope(size, start=start, **changes)
    via: Any = {"account": "a", "provider": "smtp", "provider_id": "p"}
    sent = rows(one, "sent", **via)
    own: list[EventRow] = []
    for i, fate in enumerate(fates[:size]):
        why = {"failed": "address_unknown", "suppressed": "bounce", "retrying": "throttled", "recalled": "recalled"}
        more: Any = {"reason": why[fate]} if fate in why else {}
        own += rows(one, fate, int(fate == "retrying"), **more)[i : i + 1] if fate not in ("sent", "") else []
        own += sent[i : i + 1] if fate == "sent" else []
    retried = [row for row, fate in zip(sent, fates, strict=False) if fate == "retrying"]
    left = [row for row, fate in zip(sent, fates, strict=False) if fate == ""]
    accepted = record_of(one, accepted_rows(one)) if one.run is None else queued(one)
    records = [accepted, record_of(one, accepted_rows(one) + own)]
    records += [record_of(one.child("r1", one.recipients), retried)] if retried else []
    records += [record_of(one.child("c1", one.recipients), left)] if left else []
    if stopped := [row for row in own if row.stage == "recalled"]:
        records.append(record_of(one, stopped))
    if "sent" in fates[:size]:
        records.append(record_of(one, rows(one, "delivered")[fates.index("sent") :][:1]))
    return records


def expected(records: list[StreamRecord]) -> dict[str, Counter[str]]:
    """The counters that follow from what was told, by scope."""
    seen: set[tuple[str, str, int]] = set()
    found: dict[str, Counter[str]] = {"default#tenant": Counter()}
    for record in records:
        for id, row in record.message_ids():
            if (key := (id, row.stage, row.nth)) in seen:
                continue
            seen.add(key)
            found["default#tenant"][row.stage] += 1
            if record.run is not None:
                of_it = found.setdefault(run_scope("default", record.run), Counter())
                of_it[row.stage] += 1
                if row.stage in OUTCOMES and row.reason is not None:
                    of_it[f"{row.stage}:{row.reason}"] += 1
                if record.variant is not None:
                    found.setdefault(run_scope("default", record.run, record.variant), Counter())[row.stage] += 1
    return found


ENVELOPES = st.lists(
    st.tuples(
        st.integers(1, 4),
        st.lists(st.sampled_from(FATES), min_size=4, max_size=4),
        st.sampled_from([(None, None), (RUN, None), (RUN, "a"), (RUN, "b")]),
    ),
    min_size=1,
    max_size=5,
)


@settings(deadline=None, max_examples=60)
@given(envelopes=ENVELOPES, data=st.data())
def test_whatever_is_repeated_reordered_or_cut_short_counters_equal_the_timeline(
    envelopes: list[tuple[int, list[str], tuple[str | None, str | None]]], data: st.DataObject
) -> None:
    told_of = [
        record
        for k, (size, fates, (run, variant)) in enumerate(envelopes)
        for record in life(size, 100 * k, fates, run=run, variant=variant)
    ]
    again = data.draw(st.lists(st.sampled_from(told_of), max_size=6))
    log = list(enumerate(data.draw(st.permutations([*told_of, *again])), FIRST_SEQUENCE))
    clock = FakeClock()
    with tables(clock, "catalog", "timeline", "counters") as dynamodb:
        aws: Any = SimpleNamespace(dynamodb=dynamodb, catalog="catalog")
        harness = TraceHarness(aws, clock)
        begin = 0
        while begin < len(log):
            # A batch begins where the last one ended, or before; it may die, and then it comes again, whole or halved.
            start = max(0, begin - data.draw(st.integers(0, 3)))
            end = data.draw(st.integers(begin + 1, len(log)))
            at, after = data.draw(st.integers(1, 9)), data.draw(st.booleans())
            try:
                harness.aggregate(log[start:end], Fragile(dynamodb, at, after))
            except Killed:
                end = data.draw(st.sampled_from([end, (begin + end + 1) // 2]))
                harness.aggregate(log[start:end])
            begin = end
        should = expected(told_of)
        assert {scope: harness.counters(scope) for scope in should} == should
        timeline = Timeline(dynamodb, "timeline")
        ids = timeline.request_messages("default", REQUEST)
        assert len(ids) == sum(size for size, _, _ in envelopes)
        one_by_one = [timeline.events("default", id) for id in ids]
        assert Counter(event.stage for events in one_by_one for event in events) == should["default#tenant"]
        together = timeline.events_of_many("default", ids)
        assert [sorted(map(str, events)) for events in together] == [sorted(map(str, each)) for each in one_by_one]
        legs, untraced = first_legs(timeline, "default", [REQUEST])
        assert untraced == [] and len(legs) == len(envelopes)
