"""The trace: counters equal the timeline, whatever is repeated, reordered or cut short."""

import base64
import json
import random
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest

from functions.trace import aggregate
from functions.trace.api_deps import reading_of
from functions.trace.deps import aggregator_of
from functions.trace.function import AggregatorSettings, TraceApiSettings
from local.timeline_items import is_event
from shared.api.kit import Api
from shared.aws.stream import StreamReader
from shared.model.accounts import Account
from shared.model.envelope import Envelope, EnvelopeRecipient
from shared.model.events import EventRow, StreamRecord, accepted_rows, record_of
from shared.model.ids import Numbering, Tagger, new_base
from shared.model.tenants import TenantSettings
from shared.model.veils import Veils
from shared.model.words import Channel
from shared.store.catalog import Catalog
from shared.store.timeline import Timeline
from shared.wiring.parts import Parts
from tests.conftest import Aws
from tests.fakes import FakeClock
from tests.samples import change, envelope, template

# Beyond 2**64 and of different lengths, as Kinesis has them: text would sort them wrongly.
FIRST_SEQUENCE = 10**55 - 3


class Killed(BaseException):
    """The function dies here; nothing may catch it."""


class Fragile:
    """A client that dies before or after its n-th call that writes or reads."""

    def __init__(self, client: Any, at: int = 0, after: bool = False) -> None:
        self._client, self._at, self._after, self.calls = client, at, after, 0
        self.exceptions = client.exceptions

    def __getattr__(self, name: str) -> Any:
        operation = getattr(self._client, name)

        def call(**arguments: Any) -> Any:
            self.calls += 1
            if self.calls == self._at and not self._after:
                raise Killed
            answer = operation(**arguments)
            if self.calls == self._at:
                raise Killed
            return answer

        return call


class Kinesis:
    """Kinesis, as far as it is read: shards that are put together by hand. parents: of a shard."""

    class exceptions:
        class ResourceNotFoundException(Exception):
            pass

    def __init__(self) -> None:
        self.shards: dict[str, dict[int, StreamRecord]] = {}
        self.parents: dict[str, str] = {}
        self.reads = 0

    def reader(self) -> StreamReader:
        return StreamReader(self)

    def put(self, shard: str, records: list[tuple[int, StreamRecord]]) -> None:
        self.shards.setdefault(shard, {}).update(records)

    def list_shards(self, StreamName: str) -> Any:
        found = {*self.shards, *self.parents}
        named = {shard: {"ParentShardId": self.parents[shard]} if shard in self.parents else {} for shard in found}
        return {"Shards": [{"ShardId": shard, **parent} for shard, parent in named.items()]}

    def get_shard_iterator(self, StreamName: str, ShardId: str, **place: str) -> Any:
        self.reads += 1
        if ShardId not in self.shards:
            raise self.exceptions.ResourceNotFoundException
        return {"ShardIterator": f"{ShardId}|{place['StartingSequenceNumber']}"}

    def get_records(self, ShardIterator: str) -> Any:
        shard, _, first = ShardIterator.partition("|")
        # Two at a time, and now and then none.
        numbers = sorted(number for number in self.shards[shard] if number >= int(first))
        found = [
            {
                "SequenceNumber": str(number),
                "Data": self.shards[shard][number].to_json(),
                "PartitionKey": "k",
                "ApproximateArrivalTimestamp": datetime.fromtimestamp(0, UTC),
            }
            for number in numbers[:2]
        ]
        following = f"{shard}|{numbers[min(len(found), len(numbers) - 1)] if numbers[2:] else 10**60}"
        return {"Records": found, "NextShardIterator": following, "MillisBehindLatest": len(numbers[2:])}


class BothSettings(AggregatorSettings, TraceApiSettings):
    """Of both functions."""


class TraceHarness:
    """The aggregator over moto's tables, and what they hold."""

    def __init__(self, aws: Aws, clock: FakeClock) -> None:
        self.aws, self.clock, self.kinesis = aws, clock, Kinesis()
        self.catalog = Catalog(aws.dynamodb, aws.catalog, clock)
        self.veils: Veils = {}
        self.tenant_settings = TenantSettings()
        self.salt = self.catalog.ensure_tenant("default").salt

    def parts(self, client: Any = None) -> Parts:
        """The parts of both functions. client: of the tables, instead of moto's."""
        tables = client or self.aws.dynamodb
        tables_of: Any = {f"{name}_table": name for name in ("catalog", "guard", "counters", "timeline")}
        settings = BothSettings(**tables_of, deployment="mepush")
        reader = self.kinesis.reader()
        given: Any = {"catalog": self.catalog, "tenants": self, "veils": self}
        return Parts(settings, client=lambda service: tables, clock=self.clock, stream_reader=reader, **given)

    def of(self, tenant: str, ulid: str) -> Veils:
        return self.veils

    def settings(self, tenant: str) -> TenantSettings:
        return self.tenant_settings

    def aggregate(self, records: list[tuple[int, StreamRecord]], client: Any = None, shard: str = "shardId-0") -> Any:
        aggregator = aggregator_of(self.parts(client))
        self.kinesis.put(shard, records)
        return aggregator.run({"Records": [raw(sequence, record.to_json(), shard) for sequence, record in records]})

    def timeline(self) -> Counter[str]:
        items = self.aws.dynamodb.scan(TableName="timeline")["Items"]
        events = [item for item in items if is_event(item["pk"]["S"])]
        return Counter(json.loads(item["d"]["S"])["s"] for item in events)

    def counters(self, scope: str = "default#tenant") -> Counter[str]:
        total: Counter[str] = Counter()
        for counts in self.parts().counters.read(scope, 0, 10**7).values():
            total.update(counts)
        return total

    def api(self, route: str, body: Any = None, tenant: str = "default", **parameters: Any) -> tuple[int, Any]:
        reading = reading_of(self.parts())
        caller = {"tenant": tenant, "key_id": "k", "kind": "live", "scopes": "read", "problem": ""}
        answer = Api(reading.operations())(
            {
                "routeKey": route,
                "headers": {},
                "pathParameters": parameters.pop("path", {}),
                "queryStringParameters": parameters,
                "body": None if body is None else json.dumps(body),
                "requestContext": {"authorizer": {"lambda": caller}},
            }
        )
        return answer["statusCode"], json.loads(answer["body"])


def raw(sequence: int, data: bytes, shard: str = "shardId-0") -> dict[str, Any]:
    return {
        "kinesis": {"sequenceNumber": str(sequence), "data": base64.b64encode(data).decode()},
        "eventID": f"{shard}:{sequence}",
        "eventSourceARN": "arn:aws:kinesis:us-east-1:123456789012:stream/events",
    }


def rows(one: Envelope, stage: str, n: int = 0, **more: Any) -> list[EventRow]:
    common: Any = {"stage": stage, "nth": n, "at": one.accepted_at + 5, **more}
    return [EventRow(index=r.index, tag=r.tag, **common) for r in one.recipients]


def history(count: int = 4, size: int = 30) -> list[tuple[int, StreamRecord]]:
    """Envelopes as ingest and dispatch tell of them, with repeats."""
    records = []
    for k in range(count):
        one = envelope(size, start=1000 * k)
        via: Any = {"account": f"a{k % 2}", "provider": "smtp", "provider_id": "p"}
        accepted, sent = record_of(one, accepted_rows(one)), rows(one, "sent", **via)
        both = record_of(one, accepted_rows(one) + sent[:-1] + rows(one, "retrying", 1, **via)[-1:])
        last = record_of(one.child("r1", one.recipients[-1:]), sent[-1:])
        records += [accepted, both, last, both]
    return list(enumerate(records, FIRST_SEQUENCE))


@pytest.fixture
def harness(aws: Aws, clock: FakeClock) -> TraceHarness:
    return TraceHarness(aws, clock)


def balanced(harness: TraceHarness, messages: int, retries: int) -> None:
    expected = Counter({"accepted": messages, "sent": messages, "retrying": retries})
    assert harness.timeline() == expected
    assert harness.counters() == expected
    # Five milliseconds from acceptance to sending are the ninth bucket.
    assert harness.counters("default#template#welcome") == expected | {"sent@9": messages}
    by_account = harness.counters("default#account#a0") + harness.counters("default#account#a1")
    assert by_account == Counter({"sent": messages, "retrying": retries, "sent@9": messages})


def test_counters_equal_the_timeline(harness: TraceHarness) -> None:
    assert harness.aggregate(history()) == {"batchItemFailures": []}
    balanced(harness, 120, 4)


def test_batches_may_be_repeated_bisected_and_cut_anywhere(harness: TraceHarness) -> None:
    records = history()
    chance = random.Random(7)
    for _ in range(5):
        start = chance.randrange(len(records))
        harness.aggregate(records[: start + 1])
        harness.aggregate(records[: (start + 1) // 2 + 1])
    harness.aggregate(records)
    balanced(harness, 120, 4)


@pytest.fixture
def one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """However few they are, events are put after they were counted."""
    monkeypatch.setattr(aggregate, "MAX_AT_ONCE", -1)


def test_a_copy_of_an_event_behind_the_checkpoint_never_counts(harness: TraceHarness, one_by_one: None) -> None:
    one = envelope(3)
    record = record_of(one, accepted_rows(one))
    # The function dies between counting the first and keeping its events.
    client = Fragile(harness.aws.dynamodb, at=4)
    with pytest.raises(Killed):
        harness.aggregate([(5, record)], client)
    assert harness.counters() == {"accepted": 3} and harness.timeline() == {}
    harness.aggregate([(5, record), (12, record)])
    assert harness.counters() == harness.timeline() == {"accepted": 3}


def test_a_batch_that_died_may_come_back_longer(harness: TraceHarness, one_by_one: None) -> None:
    one, other = envelope(3), envelope(2, start=100)
    first, second = (record_of(each, accepted_rows(each)) for each in (one, other))
    # It dies between counting and keeping; what comes back is behind the checkpoint, and what is new comes with it.
    with pytest.raises(Killed):
        harness.aggregate([(5, first)], Fragile(harness.aws.dynamodb, at=4))
    harness.aggregate([(5, first), (6, second)])
    assert harness.counters() == harness.timeline() == {"accepted": 5}


def test_it_may_die_at_every_call_and_still_balance(harness: TraceHarness) -> None:
    records = history(2, 25)
    counting = Fragile(harness.aws.dynamodb)
    harness.aggregate(records, counting)
    points = [(at, after) for at in range(1, counting.calls + 1) for after in (False, True)]
    assert len(points) >= 16
    for at, after in points:
        for table in ("timeline", "counters"):
            for item in harness.aws.dynamodb.scan(TableName=table)["Items"]:
                harness.aws.dynamodb.delete_item(TableName=table, Key={"pk": item["pk"], "sk": item["sk"]})
        with pytest.raises(Killed):
            harness.aggregate(records, Fragile(harness.aws.dynamodb, at, after))
        harness.aggregate(records)
        balanced(harness, 50, 2)


def test_counters_beyond_one_transaction_are_cut_into_parts(harness: TraceHarness) -> None:
    records = []
    for k in range(150):
        one = envelope(1, start=k, template=f"t{k}")
        records.append((100 + k, record_of(one, accepted_rows(one))))
    harness.aggregate(records)
    assert harness.counters() == harness.timeline() == {"accepted": 150}
    assert all(harness.counters(f"default#template#t{k}") == {"accepted": 1} for k in range(150))


def test_shards_do_not_share_checkpoints(harness: TraceHarness) -> None:
    one, two = envelope(2), envelope(2, start=500)
    harness.aggregate([(9, record_of(one, accepted_rows(one)))], shard="shardId-0")
    harness.aggregate([(5, record_of(two, accepted_rows(two)))], shard="shardId-1")
    assert harness.counters() == harness.timeline() == {"accepted": 4}


def test_a_record_that_cannot_be_read_is_reported_alone(harness: TraceHarness) -> None:
    one = envelope(2)
    aggregator = aggregator_of(harness.parts())
    good = record_of(one, accepted_rows(one)).to_json()
    answer = aggregator.run({"Records": [raw(1, good), raw(2, b"{"), raw(3, good)]})
    assert answer == {"batchItemFailures": [{"itemIdentifier": "2"}]}
    assert harness.counters() == {"accepted": 2}


def real(harness: TraceHarness, to: str, at: int) -> Envelope:
    """An envelope of one, tagged with the tenant's own salt."""
    return envelope(
        1,
        id=Numbering(new_base(at))(0),
        accepted_at=at,
        recipients=[EnvelopeRecipient(0, to, Tagger(harness.salt, "email")(to))],
        reference="order-7",
    )


def test_a_message_says_what_happened_and_what_to_do(harness: TraceHarness) -> None:
    one = real(harness, "ann@example.com", harness.clock.now_ms())
    failed = rows(
        one, "failed", account="main", provider="smtp", reason="address_unknown", code="550 5.1.1", took_ms=12
    )
    harness.aggregate([(1, record_of(one, accepted_rows(one) + failed))])
    message_id = one.id + one.recipients[0].tag
    status, found = harness.api("GET /v1/messages/{id}", path={"id": message_id.lower()})
    assert status == 200
    assert (found["status"], found["final"], found["to"]) == ("failed", True, "a***@example.com")
    assert (found["reference"], found["class"], found["template"]) == ("order-7", "notification", "welcome")
    assert "does not exist" in found["explanation"] and "lists" in found["action"]
    assert [e["stage"] for e in found["timeline"]] == ["accepted", "failed"]
    last = found["timeline"][1]
    assert (last["blame"], last["reason_zh"]) == ("recipient", "服务商说该收件人不存在。")
    assert found["timeline"][1]["code"] == "550 5.1.1" and "main" in found["timeline"][1]["text"]
    assert "ann@example.com" not in json.dumps(found)
    assert harness.api("GET /v1/messages/{id}", path={"id": message_id}, tenant="other")[0] == 404
    for wrong in ("x", message_id[:-1], "é" * 42):
        assert harness.api("GET /v1/messages/{id}", path={"id": wrong})[0] == 404


def test_a_message_says_which_accounts_it_was_passed_over_by(harness: TraceHarness) -> None:
    one = real(harness, "ann@example.com", harness.clock.now_ms())
    over = (("main", "balance_exhausted", "arrears"), ("spare", "avoided", ""))
    sent = rows(one, "sent", account="third", provider="smtp", took_ms=12, passed_over=over)
    harness.aggregate([(1, record_of(one, accepted_rows(one) + sent))])
    _, found = harness.api("GET /v1/messages/{id}", path={"id": one.id + one.recipients[0].tag})
    accepted, sent_event = found["timeline"]
    assert accepted["passed_over"] == []
    assert sent_event["passed_over"] == [
        {"account": "main", "reason": "balance_exhausted", "code": "arrears"},
        {"account": "spare", "reason": "avoided", "code": ""},
    ]
    assert sent_event["account"] == "third"
    assert "Account main could not send it (balance_exhausted" in sent_event["text"]


def test_a_recipients_messages_are_found_newest_first_in_pages(harness: TraceHarness) -> None:
    now = harness.clock.now_ms()
    sent = [real(harness, "ann@example.com", now - 60_000 * k) for k in range(5)]
    other = real(harness, "bob@example.com", now)
    harness.aggregate([(k, record_of(e, accepted_rows(e) + rows(e, "sent"))) for k, e in enumerate([*sent, other])])
    route = "POST /v1/messages/query"
    ids = [e.id + e.recipients[0].tag for e in sent]
    found: list[str] = []
    cursor = None
    for size in (2, 2, 1):
        _, page = harness.api(route, {"to": " Ann@Example.com", "limit": 2, "cursor": cursor})
        assert len(page["messages"]) == size and all(m["status"] == "sent" for m in page["messages"])
        found += [m["message_id"] for m in page["messages"]]
        cursor = page["cursor"]
    assert found == ids and cursor is None
    between = {"to": "ann@example.com", "channel": "email", "after": iso(now - 130_000), "before": iso(now - 50_000)}
    assert [m["message_id"] for m in harness.api(route, between)[1]["messages"]] == ids[1:3]
    assert harness.api(route, {"to": "ann@example.com", "channel": "sms"})[0] == 422
    assert harness.api(route, {"to": "ann@example.com", "cursor": "%%"})[1]["errors"][0]["field"] == "cursor"
    assert harness.api(route, {"to": "ann@example.com", "after": "yesterday"})[1]["errors"][0]["field"] == "after"


def test_a_range_that_ends_before_it_begins_is_not_asked_for(
    harness: TraceHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DynamoDB refuses such a range, and moto does not."""
    now = harness.clock.now_ms()
    ann = {"to": "ann@example.com", "channel": "email"}
    message_id = (one := real(harness, "ann@example.com", now)).id + one.recipients[0].tag
    monkeypatch.delattr(Timeline, "newest")
    route = "POST /v1/messages/query"
    status, problem = harness.api(route, ann | {"after": iso(now), "before": iso(now - 1000)})
    assert (status, [error["field"] for error in problem["errors"]]) == (422, ["after"])
    nothing: tuple[int, Any] = (200, {"messages": [], "requests": [], "cursor": None})
    assert harness.api(route, ann | {"after": iso(now + 60_000)}) == nothing
    cursor = base64.urlsafe_b64encode(message_id.encode()).decode()
    assert harness.api(route, ann | {"after": iso(now + 1), "before": iso(now + 2), "cursor": cursor}) == nothing


def iso(ms: int) -> str:
    from shared.model.clock import iso as write

    return write(ms)


def test_a_request_lists_its_messages_in_order_a_page_at_a_time(harness: TraceHarness) -> None:
    records = []
    for k in range(3):
        one = envelope(40, start=100 * k)
        records.append((k, record_of(one, accepted_rows(one) + rows(one, "sent"))))
    harness.aggregate(records)
    request = records[0][1].request
    seen: list[str] = []
    cursor: dict[str, str] = {}
    for _ in range(2):
        status, page = harness.api("GET /v1/requests/{id}", path={"id": request}, limit="100", **cursor)
        assert status == 200
        seen += [m["message_id"] for m in page["messages"]]
        cursor = {"cursor": page["cursor"]} if page["cursor"] else {}
    assert len(seen) == 120 and seen == sorted(seen) and not cursor
    assert harness.api("GET /v1/requests/{id}", path={"id": request[:-1] + "Z"})[0] == 404
    assert (
        harness.api("GET /v1/requests/{id}", path={"id": request}, limit="0")[1]["errors"][0]["field"] == "query.limit"
    )
    bad = harness.api("GET /v1/requests/{id}", path={"id": request}, cursor="%%")
    assert bad[1]["errors"][0]["field"] == "query.cursor"


def test_the_balance_holds_hour_by_hour(harness: TraceHarness) -> None:
    done, waiting = envelope(5), envelope(3, start=500)
    harness.aggregate(
        [
            (1, record_of(done, accepted_rows(done) + rows(done, "sent")[:3] + rows(done, "dead_lettered")[3:])),
            (2, record_of(waiting, accepted_rows(waiting) + rows(waiting, "retrying", 1, due_at=1))),
        ]
    )
    status, balance = harness.api("GET /v1/balance")
    assert status == 200
    assert (balance["accepted"], balance["in_flight"]) == (8, 3)
    assert balance["outcomes"] == {"sent": 3, "dead_lettered": 2}
    [hour] = balance["hours"]
    assert hour["accepted"] == 8 and hour["hour"] == "2025-01-15T10:00:00Z"
    assert harness.api("GET /v1/balance", after="2026-01-01T00:00:00Z", before="2025-01-01T00:00:00Z")[0] == 422
    assert harness.api("GET /v1/balance", after="2020-01-01T00:00:00Z")[0] == 422


def test_template_statistics(harness: TraceHarness) -> None:
    harness.catalog.create_template(*template(), change())
    one = envelope(4)
    harness.aggregate([(1, record_of(one, accepted_rows(one) + rows(one, "sent")))])
    status, stats = harness.api("GET /v1/stats/templates/{id}", path={"id": "welcome"})
    assert (status, stats["stages"], stats["in_flight"]) == (200, {"accepted": 4, "sent": 4}, 0)
    assert (stats["no_receipt"], stats["delivered_share"]) == (4, None)
    assert stats["latency"]["sent"] == {"messages": 4, "p50": 5, "p95": 5, "p99": 5}
    assert harness.api("GET /v1/stats/templates/{id}", path={"id": "nope"})[0] == 404


def test_account_statistics(harness: TraceHarness) -> None:
    harness.catalog.create_account(
        Account(id="main", tenant="default", name="Main", channel=Channel.EMAIL, provider="smtp", settings={},
                created_at=0, updated_at=0),
        change(),
    )  # fmt: skip
    one = envelope(4)
    via: Any = {"account": "main", "provider": "smtp"}
    arrived, returned = rows(one, "delivered", **via, took_ms=2000)[:2], rows(one, "undelivered", **via)[2:3]
    returned[0].reason = "mailbox_full"
    harness.aggregate([(1, record_of(one, accepted_rows(one) + rows(one, "sent", **via) + arrived + returned))])
    status, stats = harness.api("GET /v1/stats/accounts/{id}", path={"id": "main"}, by="day")
    assert (status, stats["provider"]) == (200, "smtp")
    assert stats["stages"] == {"sent": 4, "delivered": 2, "undelivered": 1}
    assert (stats["no_receipt"], stats["delivered_share"], stats["delivered_share_of_reported"]) == (1, 0.5, 0.6667)
    assert (stats["latency"]["sent"]["messages"], stats["latency"]["delivered"]["p50"]) == (4, 2048)
    assert [(each["reason"], each["messages"]) for each in stats["reasons"]] == [("mailbox_full", 1)]
    [day] = stats["spans"]
    assert (day["delivered_share"], day["latency"]["delivered"]["messages"]) == (0.5, 2)
    assert harness.api("GET /v1/stats/accounts/{id}", path={"id": "nope"})[0] == 404
    assert harness.api("GET /v1/stats/accounts/{id}", path={"id": "main"}, tenant="other")[0] == 404
