"""Messages that events ask for, against moto: what is accepted, what is set aside and why, what is tried again."""

import json
import logging
from hashlib import blake2b
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from functions.ingest.consumer import BadEvents, EventConsumer, EventNotAcceptedError
from shared.model.envelope import Envelope
from shared.model.ids import new_base
from shared.model.tenants import TenantSettings
from shared.model.words import KeyKind
from shared.store.idempotency import Fingerprint, Slot
from shared.store.texts import DAY_MS, Texts
from tests import samples
from tests.conftest import Aws
from tests.fakes import FakeClock
from tests.integration.functions.ingest.test_service import Flaky, IngestHarness, add_code

FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:mepush-ingest_events"
ID = "6c1f0d6e-0a4b-4d8e-9b3f-5d2f3f1f7a10"
DETAIL: dict[str, Any] = {"template": "welcome", "to": "ann@example.com", "variables": {"name": "Ann"}}


def event(detail: Any = DETAIL, id: Any = ID, **changes: Any) -> dict[str, Any]:
    """An event as EventBridge hands it on."""
    return {
        "version": "0",
        "id": id,
        "detail-type": "mePush send",
        "source": "shop.orders",
        "account": "123456789012",
        "time": "2025-01-15T08:00:00Z",
        "region": "us-east-1",
        "resources": [],
        "detail": detail,
    } | changes


class EventHarness(IngestHarness):
    """The function that takes events, over moto, and a look at what it set aside."""

    def __init__(self, aws: Aws, clock: FakeClock) -> None:
        super().__init__(aws, clock)
        self.dead = self.sqs.create_queue(QueueName="events-dlq")["QueueUrl"]
        self.consumer = EventConsumer(self.ingest, BadEvents(self.sqs, self.dead, clock))

    def put(self, given: Any) -> dict[str, Any]:
        return self.consumer.run(given, "request-1", FUNCTION)

    def set_aside(self) -> list[dict[str, Any]]:
        found = []
        while messages := self.sqs.receive_message(QueueUrl=self.dead).get("Messages"):
            for message in messages:
                found.append(json.loads(message["Body"]))
                self.sqs.delete_message(QueueUrl=self.dead, ReceiptHandle=message["ReceiptHandle"])
        return found


@pytest.fixture
def ingest_harness(aws: Aws, clock: FakeClock) -> EventHarness:
    made = EventHarness(aws, clock)
    made.add_template()
    return made


def _addresses(envelopes: list[Envelope]) -> list[str]:
    return [recipient.address for envelope in envelopes for recipient in envelope.recipients]


def test_an_event_is_sent_as_a_request_would_be(ingest_harness: EventHarness) -> None:
    people = [{"to": "a@example.com", "reference": "order-1"}, {"to": "B@example.com", "variables": {"name": "Bo"}}]
    answer = ingest_harness.put(event({"template": "welcome", "recipients": people, "variables": {"name": "you"}}))
    [envelope] = ingest_harness.envelopes()
    assert answer == {"request_id": envelope.request, "accepted": 2, "rejected": 0}
    assert (envelope.tenant, envelope.kind) == ("default", "live")
    assert _addresses([envelope]) == ["a@example.com", "b@example.com"]
    assert (envelope.recipients[0].reference, envelope.recipients[1].variables) == ("order-1", {"name": "Bo"})
    assert [stage for stage, _ in ingest_harness.events()] == ["accepted", "accepted"]
    assert ingest_harness.set_aside() == []


@pytest.mark.parametrize(
    ("detail", "field"),
    [
        (DETAIL | {"template": "nope"}, "template"),
        (DETAIL | {"variables": {}}, "variables.name"),
        (DETAIL | {"to": "nobody"}, "to"),
        (DETAIL | {"extra": 1}, "extra"),
        (DETAIL | {"ttl": "soon"}, "ttl"),
        (DETAIL | {"send_at": "2099-01-01T00:00:00Z"}, "send_at"),
        (DETAIL | {"recipients": [{"to": "b@example.com"}]}, ""),
        (DETAIL | {"variables": {"name": "x", "other": "y"}}, "variables.other"),
        (DETAIL | {"variables": {"name": "\ud800"}}, ""),
        (DETAIL | {"attachments": [{"id": "01J0000000000000000000000X"}]}, "attachments.0.id"),
        ([DETAIL], "detail"),
        ({}, "template"),
    ],
)
def test_a_bad_event_is_set_aside_at_once_and_once_with_its_fields(
    ingest_harness: EventHarness, detail: Any, field: str
) -> None:
    ingest_harness.aws.client("s3").create_bucket(Bucket="assets")
    bad = event(detail)
    answer = ingest_harness.put(bad)
    [letter] = ingest_harness.set_aside()
    assert letter["responsePayload"] == answer
    assert field in [each["field"] for each in answer["errors"]]
    assert answer["type"] in ("urn:mepush:problem:invalid-request", "urn:mepush:problem:malformed")
    assert letter["requestPayload"] == bad
    assert letter["requestContext"] == {"requestId": "request-1", "functionArn": FUNCTION, "condition": "NotValid"}
    assert ingest_harness.envelopes() == [] and ingest_harness.events() == []


@pytest.mark.parametrize("character", ["a", "汉", "😀", "\x01"])
def test_a_bad_event_that_no_queue_takes_is_set_aside_by_what_it_is_known_by(
    ingest_harness: EventHarness, character: str
) -> None:
    answer = ingest_harness.put(event(DETAIL | {"variables": {"name": character * 1_100_000}}))
    [letter] = ingest_harness.set_aside()
    assert letter["responsePayload"] == answer
    assert answer["errors"][0]["field"] == "variables"
    assert letter["requestPayload"]["id"] == event()["id"]
    assert letter["requestPayload"]["detail"] == "left out: too large for the queue"


@pytest.mark.parametrize(
    "given", [None, "hello", [], {}, {"detail": DETAIL}, event(id=7), event(id="a b"), event(id="")]
)
def test_what_is_no_event_is_set_aside_too(ingest_harness: EventHarness, given: Any) -> None:
    assert ingest_harness.put(given)["errors"][0]["field"] == "id"
    assert [each["requestPayload"] for each in ingest_harness.set_aside()] == [given]
    assert ingest_harness.envelopes() == []


def test_what_is_said_of_a_bad_event_holds_none_of_its_values(
    ingest_harness: EventHarness, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "4711-secret"
    recipients = [{"to": secret}, {"to": "b@example.com", "time_zone": secret}, {"to": 7, "variables": secret}]
    ingest_harness.put(
        event({"template": "welcome", "recipients": recipients, "variables": secret, "ttl": secret, secret: 1})
    )
    ingest_harness.put(event(DETAIL | {"to": secret}))
    ingest_harness.put(event(DETAIL | {"variables": {"name": ["x", float("nan"), secret]}}))
    letters = ingest_harness.set_aside()
    assert len(letters) == 3
    # But for the name of a field that there is not, which the sender has to find.
    words = [e["message"] for each in letters for e in each["responsePayload"]["errors"]]
    words += [each["responsePayload"]["detail"] for each in letters]
    assert secret not in json.dumps(words)
    ours = [record for record in caplog.records if record.levelno > logging.DEBUG]
    assert [record.getMessage() for record in ours] == ["event not valid"] * 3
    assert secret not in "".join(str(vars(record)) for record in ours)


def test_a_replayed_event_sends_nothing_twice(ingest_harness: EventHarness) -> None:
    first = ingest_harness.put(event())
    assert len(ingest_harness.envelopes()) == 1
    # As it may come again: later, and in another order.
    again = event(dict(reversed(DETAIL.items())), time="2025-01-15T08:01:00Z")
    assert ingest_harness.put(again) == first
    assert ingest_harness.envelopes() == [] and ingest_harness.set_aside() == []
    assert ingest_harness.put(event(id="another"))["request_id"] != first["request_id"]
    assert len(ingest_harness.envelopes()) == 1


def test_an_event_is_not_taken_for_a_request_with_its_id_as_key(ingest_harness: EventHarness) -> None:
    raw = json.dumps(DETAIL, sort_keys=True)
    status, sent = ingest_harness.send(raw, idempotency_key=ID)
    assert status == 202 and ingest_harness.send(raw, idempotency_key=ID)[1] == sent
    assert ingest_harness.put(event())["request_id"] != sent["request_id"]
    assert len(ingest_harness.envelopes()) == 2


def test_an_id_and_a_detail_are_enough_as_a_transformer_of_a_rule_writes_them(ingest_harness: EventHarness) -> None:
    first = ingest_harness.put({"id": ID, "detail": DETAIL})
    assert first["accepted"] == 1 and len(ingest_harness.envelopes()) == 1
    assert ingest_harness.put(event()) == first
    assert ingest_harness.envelopes() == []


def test_events_with_one_reference_are_carried_out_once(ingest_harness: EventHarness) -> None:
    detail = DETAIL | {"reference": "order-1", "once_per_reference": True}
    first = ingest_harness.put(event(detail))
    assert ingest_harness.put(event(detail, id="put-again-after-a-time-out")) == first
    assert len(ingest_harness.envelopes()) == 1
    answer = ingest_harness.put(event(detail | {"to": "b@example.com"}, id="third"))
    assert [each["field"] for each in answer["errors"]] == ["reference"]
    assert len(ingest_harness.set_aside()) == 1 and ingest_harness.envelopes() == []


def test_an_id_with_another_detail_is_set_aside(ingest_harness: EventHarness) -> None:
    ingest_harness.put(event())
    answer = ingest_harness.put(event(DETAIL | {"to": "b@example.com"}))
    assert [each["field"] for each in answer["errors"]] == ["id"]
    assert len(ingest_harness.set_aside()) == 1 and len(ingest_harness.envelopes()) == 1


def test_a_bad_event_can_be_mended_and_put_again_under_its_own_id(ingest_harness: EventHarness) -> None:
    ingest_harness.put(event(DETAIL | {"template": "later"}))
    [letter] = ingest_harness.set_aside()
    ingest_harness.add_template(id="later")
    assert ingest_harness.put(letter["requestPayload"])["accepted"] == 1
    assert len(ingest_harness.envelopes()) == 1 and ingest_harness.set_aside() == []


def test_recipients_that_are_rejected_are_traced_and_the_others_sent(ingest_harness: EventHarness) -> None:
    people = [{"to": "no-at-sign"}, {"to": "a@example.com"}]
    answer = ingest_harness.put(event({"template": "welcome", "recipients": people, "variables": {"name": "n"}}))
    assert (answer["accepted"], answer["rejected"]) == (1, 1)
    assert sorted(stage for stage, _ in ingest_harness.events()) == ["accepted", "rejected"]
    assert ingest_harness.set_aside() == []


def test_what_cannot_be_queued_now_is_tried_again_under_the_same_ids(ingest_harness: EventHarness) -> None:
    ingest_harness.queues._client = Flaky(ingest_harness.sqs, lambda call, entry: True)
    with pytest.raises(EventNotAcceptedError, match="503 not-queued"):
        ingest_harness.put(event())
    assert ingest_harness.envelopes() == [] and ingest_harness.set_aside() == []
    ingest_harness.queues._client = ingest_harness.sqs
    ingest_harness.clock.advance(60)
    assert ingest_harness.put(event())["accepted"] == 1
    assert len(ingest_harness.envelopes()) == 1


def test_what_is_queued_in_part_is_completed_and_nothing_of_it_comes_twice(ingest_harness: EventHarness) -> None:
    people = [{"to": f"u{i}@example.com"} for i in range(250)]
    many = {"template": "welcome", "recipients": people, "variables": {"name": "n"}}
    ingest_harness.queues._client = Flaky(ingest_harness.sqs, lambda call, entry: "u150@" in entry["MessageBody"])
    with pytest.raises(EventNotAcceptedError, match="not all"):
        ingest_harness.put(event(many))
    ingest_harness.queues._client = ingest_harness.sqs
    assert ingest_harness.put(event(many))["accepted"] == 250
    # Two are on their queue twice, under their own ids, by which those who send know them.
    assert len({e.id for e in ingest_harness.envelopes()}) == 3
    assert ingest_harness.set_aside() == []


def test_an_event_that_is_just_being_carried_out_comes_again(ingest_harness: EventHarness) -> None:
    base = new_base(ingest_harness.clock.now_ms())
    body_hash = blake2b(json.dumps(DETAIL, sort_keys=True).encode(), digest_size=16).hexdigest()
    ingest_harness.ingest.idempotency.claim(
        Slot("default", KeyKind.LIVE, f"\x1e{ID}"), Fingerprint(body_hash, ""), base, 1
    )
    with pytest.raises(EventNotAcceptedError, match="409"):
        ingest_harness.put(event())
    ingest_harness.clock.advance(60)
    assert ingest_harness.put(event())["request_id"] == base
    assert len(ingest_harness.envelopes()) == 1


def _down(*_: Any, **__: Any) -> Any:
    raise EndpointConnectionError(endpoint_url="http://127.0.0.1/4711-secret")


def test_a_table_that_is_down_is_no_reason_to_set_an_event_aside(
    ingest_harness: EventHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(ingest_harness.catalog, "template", _down)
        with pytest.raises(EventNotAcceptedError) as raised:
            ingest_harness.put(event())
    # Lambda logs it, and puts it on the queue.
    assert str(raised.value) == "EndpointConnectionError"
    assert raised.value.__suppress_context__
    assert ingest_harness.set_aside() == []
    assert ingest_harness.put(event())["accepted"] == 1


def test_a_bad_event_that_cannot_be_set_aside_comes_again(
    ingest_harness: EventHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(ingest_harness.consumer.bad, "_client", SimpleNamespace(send_message=_down))
        with pytest.raises(EventNotAcceptedError, match=r"^EndpointConnectionError$"):
            ingest_harness.put(event({}))
    ingest_harness.put(event({}))
    assert len(ingest_harness.set_aside()) == 1


def test_the_largest_event_that_there_is_can_be_set_aside(ingest_harness: EventHarness) -> None:
    # Of characters that take the most room when they are escaped, and one that SQS does not take as it is.
    bad = event(DETAIL | {"variables": {"name": "\uffff" + "\u00e9" * 120_000, "other": 1}})
    assert 250_000 > len(json.dumps(bad, ensure_ascii=False).encode()) > 240_000
    ingest_harness.put(bad)
    assert [each["requestPayload"] for each in ingest_harness.set_aside()] == [bad]


def _code_to(*numbers: int) -> dict[str, Any]:
    recipients = [{"to": f"+86138{n:08d}", "reference": f"n{n}"} for n in numbers]
    return {"template": "code", "recipients": recipients, "variables": {"code": "1"}}


@pytest.fixture
def limited(ingest_harness: EventHarness) -> EventHarness:
    add_code(ingest_harness)
    ingest_harness.catalog.save_settings(
        "default", TenantSettings(version=1, texts_per_key_per_day=3), None, samples.change()
    )
    return ingest_harness


def test_an_event_beyond_the_limit_of_texts_is_set_aside_and_can_be_put_again_tomorrow(limited: EventHarness) -> None:
    assert limited.put(event(_code_to(1, 2, 3), id="a"))["accepted"] == 3
    beyond = event(_code_to(4, 5), id="b")
    answer = limited.put(beyond)
    [letter] = limited.set_aside()
    assert (letter["requestPayload"], letter["responsePayload"]) == (beyond, answer)
    assert [each["field"] for each in answer["errors"]] == ["recipients.0.to", "recipients.1.to"]
    said = answer["errors"][0]["message"]
    assert "All events together may send 3 texts a day (`texts_per_key_per_day` of the settings)" in said
    assert "2025-01-16T00:00:00" in said
    assert len(limited.envelopes("sms.verification")) == 1
    limited.clock.set((limited.clock.now_ms() // DAY_MS + 1) * DAY_MS)
    assert limited.put(letter["requestPayload"])["accepted"] == 2
    assert len(limited.envelopes("sms.verification")) == 1 and limited.set_aside() == []


def test_an_event_that_is_in_part_beyond_the_limit_is_sent_in_part_and_the_rest_is_traced(
    limited: EventHarness,
) -> None:
    many = event(_code_to(1, 2, 3, 4, 5))
    answer = limited.put(many)
    assert (answer["accepted"], answer["rejected"]) == (3, 2)
    assert sorted(stage for stage, _ in limited.events()) == ["accepted"] * 3 + ["rejected"] * 2
    told = [(e["ref"], e["why"]) for e in _records(limited) if e["s"] == "rejected"]
    assert told == [("n4", "key_limit"), ("n5", "key_limit")]
    [envelope] = limited.envelopes("sms.verification")
    # Replayed, it takes nothing, even when there is room again.
    limited.clock.set((limited.clock.now_ms() // DAY_MS + 1) * DAY_MS)
    assert limited.put(many) == answer
    assert limited.envelopes("sms.verification") == [] and limited.set_aside() == []
    assert len(envelope.recipients) == 3
    assert limited.put(event(_code_to(6, 7, 8), id="b"))["accepted"] == 3


def test_events_count_apart_from_keys_and_together_whatever_their_source(limited: EventHarness) -> None:
    assert limited.send(_code_to(1, 2, 3))[1]["accepted"] == 3
    assert limited.send(_code_to(4))[0] == 422
    for n, source in enumerate(("shop.orders", "shop.forms", "crm")):
        assert limited.put(event(_code_to(10 + n), id=source, source=source))["accepted"] == 1
    assert limited.put(event(_code_to(20), id="more", source="other"))["errors"]
    assert limited.put(event())["accepted"] == 1  # an email


def test_an_event_whose_texts_cannot_be_counted_comes_again(
    limited: EventHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(Texts, "_add", _down)
        with pytest.raises(EventNotAcceptedError, match="503 not-counted"):
            limited.put(event(_code_to(1)))
    assert limited.set_aside() == [] and limited.envelopes("sms.verification") == []
    assert limited.put(event(_code_to(1)))["accepted"] == 1
    assert len(limited.envelopes("sms.verification")) == 1


def _records(ingest_harness: EventHarness) -> list[dict[str, Any]]:
    shard = ingest_harness.kinesis.describe_stream(StreamName="events")["StreamDescription"]["Shards"][0]["ShardId"]
    place = ingest_harness.kinesis.get_shard_iterator(
        StreamName="events", ShardId=shard, ShardIteratorType="TRIM_HORIZON"
    )
    records = ingest_harness.kinesis.get_records(ShardIterator=place["ShardIterator"])["Records"]
    return [event for record in records for event in json.loads(record["Data"])["events"]]
