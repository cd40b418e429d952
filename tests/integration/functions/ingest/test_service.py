"""Accepting messages, against moto: what is queued, what is refused, what a repeat answers."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from threading import Lock
from types import SimpleNamespace
from typing import Any

import pytest
from aws_lambda_powertools.metrics import EphemeralMetrics
from botocore.exceptions import EndpointConnectionError
from msgspec.structs import replace

from functions.ingest.deps import ingest_of
from functions.ingest.function import IngestSettings
from shared.api.kit import Api
from shared.model.content import Content, EmailContent, SmsContent
from shared.model.envelope import Envelope, read_envelope
from shared.model.ids import new_base
from shared.model.keys import ApiKey
from shared.model.sizes import json_size
from shared.model.templates import Fallback
from shared.model.tenants import TenantSettings
from shared.model.words import KeyKind, MessageClass, Scope
from shared.store.catalog import Catalog
from shared.store.idempotency import Fingerprint, Idempotency, Slot
from shared.wiring.parts import Parts
from tests import samples
from tests.conftest import Aws
from tests.fakes import FakeClock, out_of_reach

QUEUE = "email.notification"
DLQ = "arn:aws:sqs:us-east-1:123456789012:schedules-dlq"


class IngestHarness:
    """The ingest function over moto, and a look at what it wrote."""

    def __init__(self, aws: Aws, clock: FakeClock) -> None:
        self.aws, self.clock = aws, clock
        self.sqs, self.kinesis, self.scheduler = (aws.client(s) for s in ("sqs", "kinesis", "scheduler"))
        names = (QUEUE, "sms.verification", "email.marketing")
        self.urls = {n: self.sqs.create_queue(QueueName=n.replace(".", "-"))["QueueUrl"] for n in names}
        self.kinesis.create_stream(StreamName="events", ShardCount=1)
        self.scheduler.create_schedule_group(Name="mepush")
        settings = IngestSettings(
            catalog_table=aws.catalog,
            guard_table=aws.guard,
            stream_name="events",
            queue_urls=json.dumps(self.urls),
            schedule_group="mepush",
            schedule_role_arn="arn:aws:iam::123456789012:role/schedules",
            schedule_dlq_arn=DLQ,
            assets_bucket="assets",
            upload_endpoint="",
        )
        parts = Parts(settings, client=aws.client, clock=clock)
        self.catalog, self.queues = parts.catalog, parts.queues
        self.catalog.ensure_tenant("default")
        self.caller = {"tenant": "default", "key_id": "k", "kind": "live", "scopes": "send", "problem": ""}
        metrics = EphemeralMetrics(namespace="mePush", service="ingest")
        self.ingest = ingest_of(parts, metrics)
        self.api = Api({"send_messages": self.ingest.send_messages})

    def add_template(self, content: Content = samples.EMAIL, **changes: Any) -> None:
        head, version = samples.template(content, **changes)
        version = version.model_copy(update={"template": head.id})
        self.catalog.create_template(head, version, samples.change())

    def send(self, body: Any, **headers: str) -> tuple[int, Any]:
        text = body if isinstance(body, str) else json.dumps(body)
        event = {
            "routeKey": "POST /v1/messages",
            "headers": {"content-type": "application/json"} | {k.replace("_", "-"): v for k, v in headers.items()},
            "body": text,
            "requestContext": {"authorizer": {"lambda": self.caller}},
        }
        answer = self.api(event)
        return answer["statusCode"], json.loads(answer["body"])

    def envelopes(self, queue: str = QUEUE) -> list[Envelope]:
        found = []
        while messages := self.sqs.receive_message(QueueUrl=self.urls[queue], MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                found.append(read_envelope(message["Body"]))
                self.sqs.delete_message(QueueUrl=self.urls[queue], ReceiptHandle=message["ReceiptHandle"])
        return sorted(found, key=lambda e: e.id)

    def events(self) -> list[tuple[str, str]]:
        shard = self.kinesis.describe_stream(StreamName="events")["StreamDescription"]["Shards"][0]["ShardId"]
        iterator = self.kinesis.get_shard_iterator(
            StreamName="events", ShardId=shard, ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        records = self.kinesis.get_records(ShardIterator=iterator)["Records"]
        return [(e["s"], e.get("to", "")) for r in records for e in json.loads(r["Data"])["events"]]


@pytest.fixture
def ingest_harness(aws: Aws, clock: FakeClock) -> IngestHarness:
    made = IngestHarness(aws, clock)
    made.add_template()
    return made


def test_a_thousand_recipients_become_ten_envelopes(ingest_harness: IngestHarness) -> None:
    body = {
        "template": "welcome",
        "recipients": [{"to": f"u{i}@example.com", "variables": {"name": f"n{i}"}} for i in range(1000)],
    }
    status, answer = ingest_harness.send(body)
    assert status == 202 and answer["accepted"] == 1000 and answer["rejected"] == answer["not_queued"] == 0
    envelopes = ingest_harness.envelopes()
    assert [len(e.recipients) for e in envelopes] == [100] * 10
    # Ids follow from the request's base: recipient 734 is the 34th of the eighth envelope.
    assert (
        answer["messages"][734]["message_id"][:26]
        == answer["request_id"][:22] + answer["messages"][734]["message_id"][22:26]
    )
    assert envelopes[7].recipients[34].address == "u734@example.com"
    assert envelopes[7].id == answer["messages"][700]["message_id"][:26]
    assert len({m["message_id"] for m in answer["messages"]}) == 1000
    assert ingest_harness.events().count(("accepted", "u***@example.com")) == 1000


def test_one_recipient_in_the_short_form(ingest_harness: IngestHarness) -> None:
    status, answer = ingest_harness.send(
        {"template": "welcome", "to": " Ann@Example.com ", "variables": {"name": "Ann"}}
    )
    assert status == 202
    [envelope] = ingest_harness.envelopes()
    assert envelope.recipients[0].address == "ann@example.com"
    assert envelope.variables == {"name": "Ann"}
    assert answer["messages"] == [
        {"index": 0, "message_id": envelope.id + envelope.recipients[0].tag, "status": "accepted"}
    ]


def test_broken_addresses_are_rejected_one_by_one_and_traced(ingest_harness: IngestHarness) -> None:
    recipients = [{"to": t, "variables": {"name": "n"}} for t in ("a@example.com", "no-at-sign", "b@example.com")]
    status, answer = ingest_harness.send({"template": "welcome", "recipients": recipients})
    assert status == 202 and (answer["accepted"], answer["rejected"]) == (2, 1)
    broken = answer["messages"][1]
    assert (broken["field"], broken["reason"]) == ("recipients.1.to", "address_invalid")
    assert "no-at-sign" not in json.dumps(answer) and "@" in broken["detail"]
    assert [r.index for r in ingest_harness.envelopes()[0].recipients] == [0, 2]
    assert sorted(s for s, _ in ingest_harness.events()) == ["accepted", "accepted", "rejected"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"template": "nope", "to": "a@example.com"}, "template"),
        ({"template": "welcome", "to": "a@example.com"}, "variables.name"),
        ({"template": "welcome", "to": "nobody", "variables": {"name": "n"}}, "to"),
        ({"template": "welcome", "to": "a@example.com", "variables": {"name": None}}, "variables.name"),
        ({"template": "welcome", "to": "a@example.com", "variables": {"name": "n", "x": 1}}, "variables.x"),
        ({"template": "welcome", "recipients": [{"to": "a@example.com"}]}, "recipients.0.variables.name"),
        (
            {"template": "welcome", "recipients": [{"to": "a@example.com", "variables": {"name": "n", "y": 1}}]},
            "recipients.0.variables.y",
        ),
        ({"template": "welcome", "to": "a@example.com", "variables": {"name": "n"}, "version": 9}, "version"),
        ({"template": "welcome", "to": "a@example.com", "variables": {"name": "n" * 95_000}}, "variables"),
        (
            {
                "template": "welcome",
                "to": "a@example.com",
                "variables": {"name": "n"},
                "send_at": "2099-01-01T00:00:00Z",
            },
            "send_at",
        ),
        (
            {
                "template": "welcome",
                "to": "a@example.com",
                "variables": {"name": "n"},
                "send_at": "2025-01-01T00:00:00",
            },
            "send_at",
        ),
        ({"template": "welcome"}, ""),
        ({"template": "welcome", "to": "a@example.com", "extra": 1}, "extra"),
        ({"template": "welcome", "recipients": [{"to": "a@example.com"}] * 1001}, "recipients"),
        ({"template": "welcome", "recipients": [{"to": "a@example.com", "extra": 1}]}, "recipients.0.extra"),
        ({"template": "welcome", "to": "a@example.com", "ttl": 1}, "ttl"),
    ],
)
def test_bad_input_names_its_field_and_queues_nothing(ingest_harness: IngestHarness, body: Any, field: str) -> None:
    status, answer = ingest_harness.send(body)
    assert status == 422, answer
    assert field in [e["field"] for e in answer["errors"]]
    assert ingest_harness.envelopes() == [] and ingest_harness.events() == []


def test_a_template_that_is_not_published_or_archived_is_not_sent(ingest_harness: IngestHarness) -> None:
    ingest_harness.add_template(id="draft", published=None)
    ingest_harness.add_template(id="old", archived=True)
    for name in ("draft", "old"):
        status, answer = ingest_harness.send({"template": name, "to": "a@example.com", "variables": {"name": "n"}})
        assert (status, answer["errors"][0]["field"]) == (422, "template")


def test_what_was_just_changed_elsewhere_refuses_nothing_any_more(
    ingest_harness: IngestHarness, clock: FakeClock
) -> None:
    elsewhere = Catalog(ingest_harness.aws.dynamodb, ingest_harness.aws.catalog, clock)
    body = {"template": "draft", "to": "a@example.com", "variables": {"name": "n"}}
    assert ingest_harness.send(body)[1]["errors"][0]["message"] == "there is no template `draft`"
    head, version = samples.template(samples.EMAIL, id="draft", published=None)
    version = version.model_copy(update={"template": "draft", "published_at": None})
    elsewhere.create_template(head, version, samples.change())
    assert "no published version" in ingest_harness.send(body)[1]["errors"][0]["message"]
    assert "never published" in ingest_harness.send(body | {"version": 1})[1]["errors"][0]["message"]

    def change(**changes: Any) -> None:
        found = elsewhere.load_template("default", "draft")
        assert found is not None
        elsewhere.update_template(found.value.model_copy(update=changes), found.rev, samples.change())

    found, stored = elsewhere.load_template("default", "draft"), elsewhere.load_version("default", "draft", 1)
    assert found is not None and stored is not None
    published = found.value.model_copy(update={"published": 1, "updated_at": 5})
    elsewhere.publish_version(replace(found, value=published), stored, None, samples.change())
    assert ingest_harness.send(body)[0] == 202
    assert ingest_harness.send(body | {"version": 1})[0] == 202
    change(archived=True)
    clock.advance(11)
    assert "archived" in ingest_harness.send(body)[1]["errors"][0]["message"]
    change(archived=False)
    assert ingest_harness.send(body)[0] == 202


def test_variables_are_refused_by_the_version_that_is_published_now(
    ingest_harness: IngestHarness, clock: FakeClock
) -> None:
    assert ingest_harness.send(BODY)[0] == 202
    elsewhere = Catalog(ingest_harness.aws.dynamodb, ingest_harness.aws.catalog, clock)
    head = elsewhere.load_template("default", "welcome")
    first = elsewhere.load_version("default", "welcome", 1)
    assert head is not None and first is not None
    changes = {"version": 2, "required": ["name", "city"], "published_at": None}
    elsewhere.add_version(head, first.value.model_copy(update=changes), samples.change())
    head, second = elsewhere.load_template("default", "welcome"), elsewhere.load_version("default", "welcome", 2)
    assert head is not None and second is not None
    published = head.value.model_copy(update={"published": 2, "updated_at": 5})
    elsewhere.publish_version(replace(head, value=published), second, None, samples.change())
    status, answer = ingest_harness.send(BODY | {"variables": {"name": "n", "city": "Paris"}})
    assert status == 202, answer
    assert sorted(e.version for e in ingest_harness.envelopes()) == [1, 2]


def test_only_a_refusal_reads_again(ingest_harness: IngestHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[bool] = []
    get_item = ingest_harness.aws.dynamodb.get_item

    def counted(**arguments: Any) -> Any:
        reads.append(arguments["ConsistentRead"])
        return get_item(**arguments)

    ingest_harness.send(BODY)
    monkeypatch.setattr(ingest_harness.aws.dynamodb, "get_item", counted)
    assert ingest_harness.send(BODY)[0] == 202
    assert reads == []
    assert ingest_harness.send(BODY | {"variables": {}})[0] == 422
    assert reads == [True]


BODY = {"template": "welcome", "to": "a@example.com", "variables": {"name": "n"}}


def test_a_repeat_under_its_key_gets_the_same_answer_and_is_queued_once(ingest_harness: IngestHarness) -> None:
    first = ingest_harness.send(BODY, idempotency_key="k1")
    ingest_harness.clock.advance(5)
    assert ingest_harness.send(BODY, idempotency_key="k1") == first
    assert len(ingest_harness.envelopes()) == 1
    assert ingest_harness.send(BODY, idempotency_key="k2")[1]["request_id"] != first[1]["request_id"]


def test_a_repeat_after_the_template_was_archived_gets_the_same_answer(ingest_harness: IngestHarness) -> None:
    first = ingest_harness.send(BODY, idempotency_key="k1")
    head = ingest_harness.catalog.load_template("default", "welcome")
    assert head is not None
    ingest_harness.catalog.update_template(head.value.model_copy(update={"archived": True}), head.rev, samples.change())
    assert ingest_harness.send(BODY, idempotency_key="k1") == first
    assert ingest_harness.send(BODY, idempotency_key="k2")[0] == 422


def test_another_body_under_the_same_key_is_refused(ingest_harness: IngestHarness) -> None:
    ingest_harness.send(BODY, idempotency_key="k1")
    status, answer = ingest_harness.send(BODY | {"reference": "x"}, idempotency_key="k1")
    assert (status, answer["errors"][0]["field"]) == (422, "Idempotency-Key")
    assert len(ingest_harness.envelopes()) == 1


def test_a_repeat_may_be_written_otherwise(ingest_harness: IngestHarness) -> None:
    body: dict[str, Any] = {
        **BODY,
        "variables": {"name": "é", "city": {"a": 1, "b": [1, 2]}},
        "send_at": "2025-01-15T12:00:00Z",
    }
    ingest_harness.add_template(EmailContent(subject="{{ name }}", text="{{ city.a }}"), id="city")
    body["template"] = "city"
    first = ingest_harness.send(json.dumps(body), idempotency_key="k1")
    assert first[0] == 202, first
    turned = {name: body[name] for name in reversed(body)}
    turned["variables"] = {"city": {"b": [1, 2], "a": 1}, "name": "é"}
    others = {"version": None, "once_per_reference": False, "send_at": "2025-01-15T20:00:00+08:00"}
    for same in (json.dumps(turned, indent=2), json.dumps(turned, ensure_ascii=False), json.dumps(turned | others)):
        assert ingest_harness.send(same, idempotency_key="k1") == first
    for different in ({"b": [2, 1], "a": 1}, {"b": [1, 2], "a": 1.0}, {"b": [1, 2], "a": True}):
        assert (
            ingest_harness.send(turned | {"variables": {"city": different, "name": "é"}}, idempotency_key="k1")[0]
            == 422
        )


@pytest.mark.parametrize("claim", [{"idempotency_key": "k1"}, {}])
def test_keys_of_each_kind_have_claims_of_their_own(ingest_harness: IngestHarness, claim: dict[str, str]) -> None:
    body = BODY | {"reference": "order-1", "once_per_reference": True}
    team = ApiKey(
        id="k", tenant="default", name="t", kind=KeyKind.TEAM, scopes=[Scope.SEND], hash="x", created_at=0,
        recipients=["email:a@example.com"],
    )  # fmt: skip
    ingest_harness.catalog.create_key(team, samples.change())
    ids = set()
    for kind in ("test", "team", "live"):
        ingest_harness.caller["kind"] = kind
        status, answer = ingest_harness.send(body, **claim)
        assert status == 202, answer
        assert ingest_harness.send(body, **claim)[1] == answer
        ids.add(answer["request_id"])
    assert sorted(e.kind for e in ingest_harness.envelopes()) == ["live", "team", "test"]
    assert len(ids) == 3


def test_a_claim_of_before_is_known_by_its_bytes(ingest_harness: IngestHarness) -> None:
    text = json.dumps(BODY)
    base = new_base(ingest_harness.clock.now_ms())
    slot = Slot("default", KeyKind.LIVE, "k1")
    body_hash = blake2b(text.encode(), digest_size=16).hexdigest()
    ingest_harness.ingest.idempotency.claim(slot, Fingerprint(body_hash, ""), base, 1)
    ingest_harness.ingest.idempotency.finish(slot, done=True)
    assert ingest_harness.send(text, idempotency_key="k1")[1]["request_id"] == base
    assert ingest_harness.envelopes() == []


def test_a_bad_request_does_not_use_its_key_up(ingest_harness: IngestHarness) -> None:
    assert ingest_harness.send(BODY | {"variables": {}}, idempotency_key="k1")[0] == 422
    assert ingest_harness.send(BODY, idempotency_key="k1")[0] == 202


def test_a_twin_waits_and_an_abandoned_claim_is_taken_over_with_its_ids(ingest_harness: IngestHarness) -> None:
    base = new_base(ingest_harness.clock.now_ms())
    body_hash = blake2b(json.dumps(BODY).encode(), digest_size=16).hexdigest()
    ingest_harness.ingest.idempotency.claim(Slot("default", KeyKind.LIVE, "k1"), Fingerprint(body_hash, ""), base, 1)
    assert ingest_harness.send(BODY, idempotency_key="k1")[0] == 409
    ingest_harness.clock.advance(31)
    status, answer = ingest_harness.send(BODY, idempotency_key="k1")
    assert (status, answer["request_id"]) == (202, base)


def test_a_reference_may_serve_as_the_key(ingest_harness: IngestHarness) -> None:
    body = BODY | {"reference": "order-1", "once_per_reference": True}
    first = ingest_harness.send(body)
    assert ingest_harness.send(body) == first
    assert len(ingest_harness.envelopes()) == 1
    status, answer = ingest_harness.send(body | {"to": "b@example.com"})
    assert (status, answer["errors"][0]["field"]) == (422, "reference")
    # Another reference, no wish to be told apart by it, and a key in the header are other requests.
    others = [
        ingest_harness.send(body | {"reference": "order-2"}),
        ingest_harness.send(BODY | {"reference": "order-1"}),
    ]
    others.append(ingest_harness.send(body, idempotency_key="order-1"))
    assert len({answer["request_id"] for _, answer in [first, *others]}) == 4
    status, answer = ingest_harness.send(BODY | {"once_per_reference": True})
    assert status == 422 and "give one" in answer["errors"][0]["message"]


def test_twins_at_the_same_time_are_accepted_once(
    ingest_harness: IngestHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, lock = ingest_harness.aws.dynamodb, Lock()

    def put_item(**arguments: Any) -> Any:
        # moto looks and writes in two steps, DynamoDB in one.
        with lock:
            return client.put_item(**arguments)

    double = SimpleNamespace(put_item=put_item, update_item=client.update_item, exceptions=client.exceptions)
    monkeypatch.setattr(ingest_harness.ingest.idempotency, "_client", double)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ingest_harness.send(BODY, idempotency_key="k1"), range(24)))
    assert {status for status, _ in answers} <= {202, 409}
    assert len({answer["request_id"] for status, answer in answers if status == 202}) == 1
    assert len({e.id for e in ingest_harness.envelopes()}) == 1


def test_a_claim_knows_itself_when_its_answer_was_lost(ingest_harness: IngestHarness) -> None:
    claims = ingest_harness.ingest.idempotency
    slot, body = Slot("default", KeyKind.LIVE, "k1"), Fingerprint("hash", "")
    assert claims.claim(slot, body, "base", 1).mine
    assert claims.claim(slot, body, "base", 1).mine
    assert claims.claim(slot, body, "another", 1).busy


def test_a_table_that_is_down_refuses_before_anything_is_accepted(
    ingest_harness: IngestHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: Any, **__: Any) -> None:
        raise EndpointConnectionError(endpoint_url="http://127.0.0.1")

    monkeypatch.setattr(
        ingest_harness.ingest.idempotency,
        "_client",
        SimpleNamespace(put_item=down, exceptions=ingest_harness.aws.dynamodb.exceptions),
    )
    status, answer = ingest_harness.send(BODY, idempotency_key="k1")
    assert (status, answer["type"]) == (503, "urn:mepush:problem:unavailable")
    assert ingest_harness.envelopes() == []


def test_what_is_queued_stays_accepted_though_the_claim_cannot_be_marked(
    ingest_harness: IngestHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: Any, **__: Any) -> None:
        raise EndpointConnectionError(endpoint_url="http://127.0.0.1")

    with monkeypatch.context() as broken:
        broken.setattr(Idempotency, "finish", down)
        first = ingest_harness.send(BODY, idempotency_key="k1")
    assert first[0] == 202
    assert ingest_harness.send(BODY, idempotency_key="k1")[0] == 409
    ingest_harness.clock.advance(31)
    assert ingest_harness.send(BODY, idempotency_key="k1") == first
    assert len({e.id for e in ingest_harness.envelopes()}) == 1


def test_messages_for_later_are_delayed_or_scheduled(ingest_harness: IngestHarness) -> None:
    now = datetime.fromtimestamp(ingest_harness.clock.now_ms() / 1000, UTC)
    status, answer = ingest_harness.send(BODY | {"send_at": (now + timedelta(days=2)).isoformat()})
    assert status == 202
    [found] = ingest_harness.scheduler.list_schedules(GroupName="mepush")["Schedules"]
    schedule = ingest_harness.scheduler.get_schedule(GroupName="mepush", Name=found["Name"])
    assert schedule["ScheduleExpression"] == "at(2025-01-17T10:00:00)"
    assert schedule["Target"]["DeadLetterConfig"] == {"Arn": DLQ}
    target = json.loads(schedule["Target"]["Input"])
    envelope = read_envelope(target["MessageBody"])
    assert target["QueueUrl"] == ingest_harness.urls[QUEUE] and envelope.request == answer["request_id"]
    assert envelope.expires_at == ingest_harness.clock.now_ms() + 5 * 86_400_000
    assert sorted(s for s, _ in ingest_harness.events()) == ["accepted", "deferred"]
    assert ingest_harness.envelopes() == []


class Flaky:
    """SQS that refuses some entries for some time."""

    def __init__(self, client: Any, refuse: Any) -> None:
        self._client, self._refuse, self.calls = client, refuse, 0

    def send_message_batch(self, **arguments: Any) -> Any:
        self.calls += 1
        entries = arguments["Entries"]
        kept = [e for e in entries if not self._refuse(self.calls, e)]
        answer = self._client.send_message_batch(**arguments | {"Entries": kept}) if kept else {}
        failed = [{"Id": e["Id"], "Code": "InternalError", "SenderFault": False} for e in entries if e not in kept]
        return answer | {"Failed": failed}


MANY = {
    "template": "welcome",
    "recipients": [{"to": f"u{i}@example.com", "variables": {"name": "n"}} for i in range(250)],
}


def test_a_partial_failure_of_the_queue_is_tried_again(ingest_harness: IngestHarness) -> None:
    ingest_harness.queues._client = Flaky(
        ingest_harness.sqs, lambda call, entry: call == 1 and "u150@" in entry["MessageBody"]
    )
    assert ingest_harness.send(MANY)[1]["accepted"] == 250
    assert len(ingest_harness.envelopes()) == 3


def test_what_cannot_be_queued_is_said_per_recipient_and_a_repeat_makes_up_for_it(
    ingest_harness: IngestHarness,
) -> None:
    ingest_harness.queues._client = Flaky(ingest_harness.sqs, lambda call, entry: "u150@" in entry["MessageBody"])
    status, answer = ingest_harness.send(MANY, idempotency_key="k")
    assert status == 202 and (answer["accepted"], answer["not_queued"]) == (150, 100)
    assert {m["index"] for m in answer["messages"] if m["status"] == "not_queued"} == set(range(100, 200))
    assert len([s for s, _ in ingest_harness.events()]) == 150
    ingest_harness.queues._client = ingest_harness.sqs
    status, again = ingest_harness.send(MANY, idempotency_key="k")
    assert again["accepted"] == 250 and again["request_id"] == answer["request_id"]
    assert len({e.id for e in ingest_harness.envelopes()}) == 3


def test_when_nothing_can_be_queued_nothing_is_accepted_and_the_key_is_free_at_once(
    ingest_harness: IngestHarness,
) -> None:
    ingest_harness.queues._client = Flaky(ingest_harness.sqs, lambda call, entry: True)
    assert ingest_harness.send(MANY, idempotency_key="k")[0] == 503
    assert ingest_harness.envelopes() == [] and ingest_harness.events() == []
    ingest_harness.queues._client = ingest_harness.sqs
    assert ingest_harness.send(MANY, idempotency_key="k")[0] == 202


def test_a_stream_that_is_down_does_not_stop_acceptance(
    ingest_harness: IngestHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Down:
        def put_records(self, **_: Any) -> Any:
            raise out_of_reach("kinesis")

    monkeypatch.setattr(ingest_harness.ingest.acceptance.stream, "_client", Down())
    assert ingest_harness.send(BODY)[0] == 202
    assert len(ingest_harness.envelopes()) == 1


def test_a_team_key_reaches_its_list_only(ingest_harness: IngestHarness) -> None:
    key = ApiKey(
        id="k", tenant="default", name="team", kind=KeyKind.TEAM, scopes=[Scope.SEND],
        recipients=["email:ann@example.com"], hash="x", created_at=0,
    )  # fmt: skip
    ingest_harness.catalog.create_key(key, samples.change())
    ingest_harness.caller["kind"] = "team"
    recipients = [{"to": t, "variables": {"name": "n"}} for t in ("Ann@example.com", "bob@example.com")]
    _, answer = ingest_harness.send({"template": "welcome", "recipients": recipients})
    assert [(m["status"], m.get("reason")) for m in answer["messages"]] == [
        ("accepted", None),
        ("rejected", "not_in_team_list"),
    ]
    elsewhere = Catalog(ingest_harness.aws.dynamodb, ingest_harness.aws.catalog, ingest_harness.clock)
    for address in ("bob@example.com", "cy@example.com"):
        stored = elsewhere.load_key("default", "k")
        assert stored is not None
        listed = [*stored.value.recipients, f"email:{address}"]
        elsewhere.update_key(stored.value.model_copy(update={"recipients": listed}), stored.rev, samples.change())
        one = {"template": "welcome", "recipients": [recipients[0], {"to": address, "variables": {"name": "n"}}]}
        assert ingest_harness.send(one)[1]["rejected"] == 0
    alone = {"template": "welcome", "to": "dan@example.com", "variables": {"name": "n"}}
    assert ingest_harness.send(alone)[0] == 422
    stored = elsewhere.load_key("default", "k")
    assert stored is not None
    listed = [*stored.value.recipients, "email:dan@example.com"]
    elsewhere.update_key(stored.value.model_copy(update={"recipients": listed}), stored.rev, samples.change())
    assert ingest_harness.send(alone)[0] == 202


NUMBERS = {
    "CN": "+8613800138000",
    "HK": "+85251234567",
    "US": "+12015550123",
    "CA": "+15062345678",
    "GB": "+447400123456",
    "JE": "+447797712345",
    "RU": "+79123456789",
    "KZ": "+77710009998",
    "none": "+80012345678",
}
"""A number of each region; some share a country code, and one belongs to none."""


def allow(ingest_harness: IngestHarness, *countries: str) -> None:
    """Set the countries that texts may go to, elsewhere than where the requests are taken."""
    elsewhere = Catalog(ingest_harness.aws.dynamodb, ingest_harness.aws.catalog, ingest_harness.clock)
    stored = elsewhere.load_settings("default")
    before, over = (stored.value, stored.rev) if stored else (TenantSettings(), None)
    changed = before.model_copy(update={"version": before.version + 1, "countries": list(countries)})
    elsewhere.save_settings("default", changed, over, samples.change())


def add_code(ingest_harness: IngestHarness) -> None:
    ingest_harness.add_template(samples.SMS, id="code", message_class=MessageClass.VERIFICATION)


def code_to(*regions: str) -> dict[str, Any]:
    return {"template": "code", "recipients": [{"to": NUMBERS[r], "variables": {"code": "1"}} for r in regions]}


@pytest.mark.parametrize("allowed", [*NUMBERS, "CN HK", "US GB RU"])
def test_texts_go_to_the_countries_that_are_allowed(ingest_harness: IngestHarness, allowed: str) -> None:
    add_code(ingest_harness)
    countries = ["FR"] if allowed == "none" else allowed.split()
    allow(ingest_harness, "FR", *countries)
    _, answer = ingest_harness.send(code_to(*NUMBERS))
    if allowed == "none":
        assert [(e["field"], "`countries`" in e["message"]) for e in answer["errors"]] == [
            (f"recipients.{i}.to", region != "none") for i, region in enumerate(NUMBERS)
        ]
        return
    found = {region: (m["status"], m.get("reason")) for region, m in zip(NUMBERS, answer["messages"], strict=True)}
    refused = ("rejected", "country_not_allowed")
    networks = {"none": ("rejected", "number_takes_no_texts")}
    assert found == {r: ("accepted", None) if r in countries else refused for r in NUMBERS} | networks
    rejected = [m for m in answer["messages"] if m["status"] == "rejected"]
    assert {m["field"] for m in rejected} <= {f"recipients.{i}.to" for i in range(len(NUMBERS))}
    assert all("`countries` in the settings" in m["detail"] for m in rejected if m["reason"] == refused[1])
    assert sum(stage == "rejected" for stage, _ in ingest_harness.events()) == len(rejected)


def test_without_a_list_texts_go_to_the_own_country_and_emails_are_not_asked_about(
    ingest_harness: IngestHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_code(ingest_harness)
    _, answer = ingest_harness.send(code_to(*NUMBERS))
    assert [r for r, m in zip(NUMBERS, answer["messages"], strict=True) if m["status"] == "accepted"] == ["CN"]

    def asked(number: str) -> str:
        raise AssertionError("nothing is to be looked up")

    monkeypatch.setattr("shared.policy.admission.takes_texts", asked)
    body = {"template": "welcome", "to": "ann@example.com", "variables": {"name": "n"}}
    assert ingest_harness.send(body)[0] == 202


def test_a_fallback_to_texts_obeys_the_list_too(ingest_harness: IngestHarness) -> None:
    ingest_harness.add_template(samples.SMS, id="code")
    ingest_harness.add_template(id="first", fallback=Fallback(template="code"))
    allow(ingest_harness, "CN")
    variables = {"name": "n", "code": "1"}
    recipients = [
        {"to": f"{region}@example.com".lower(), "fallback": {"sms": NUMBERS[region]}, "variables": variables}
        for region in ("CN", "GB")
    ]
    _, answer = ingest_harness.send({"template": "first", "recipients": recipients})
    assert [(m["status"], m.get("field"), m.get("reason")) for m in answer["messages"]] == [
        ("accepted", None, None),
        ("rejected", "recipients.1.fallback.sms", "country_not_allowed"),
    ]


def test_a_country_that_has_just_been_allowed_refuses_nothing_any_more(ingest_harness: IngestHarness) -> None:
    add_code(ingest_harness)
    allow(ingest_harness, "CN")
    assert ingest_harness.send(code_to("CN", "GB"))[1]["rejected"] == 1
    allow(ingest_harness, "CN", "GB")
    assert ingest_harness.send(code_to("CN", "GB"))[1]["rejected"] == 0
    assert ingest_harness.send(code_to("HK"))[0] == 422
    allow(ingest_harness, "HK")
    assert ingest_harness.send(code_to("HK"))[0] == 202


def test_codes_expire_after_five_minutes_by_default(ingest_harness: IngestHarness) -> None:
    ingest_harness.add_template(SmsContent(text="{{ code }}"), id="otp", message_class=MessageClass.VERIFICATION)
    ingest_harness.send({"template": "otp", "to": "13800138000", "variables": {"code": "1"}})
    [envelope] = ingest_harness.envelopes("sms.verification")
    assert envelope.expires_at == ingest_harness.clock.now_ms() + 300_000
    assert envelope.recipients[0].address == "+8613800138000"


@pytest.mark.parametrize("character", ["a", "汉", "😀", '"', "\x01", "\uffff"])
def test_variables_are_counted_in_the_bytes_that_a_queue_holds(ingest_harness: IngestHarness, character: str) -> None:
    bytes_each = json_size(character) - 2
    later = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    ingest_harness.clock.set(int(later.timestamp() * 1000) - 7_200_000)
    body = {"template": "welcome", "to": "u@example.com", "send_at": later.isoformat(), "variables": {"name": ""}}
    _, answer = ingest_harness.send(body)
    empty = len(_scheduled(ingest_harness)[0])
    for count, status in ((room := (90_000 - empty) // bytes_each), 202), (room + 1, 422):
        body["variables"] = {"name": character * count}
        found, answer = ingest_harness.send(body)
        assert found == status, (count, answer)
    error = answer["errors"][0]
    assert error["field"] == "variables"
    assert (
        f"recipient 0: shared and own variables make a message of {empty + (room + 1) * bytes_each:,} bytes"
        in (error["message"])
    )
    assert len(_scheduled(ingest_harness)) == 2


def _scheduled(ingest_harness: IngestHarness) -> list[bytes]:
    names = [found["Name"] for found in ingest_harness.scheduler.list_schedules(GroupName="mepush")["Schedules"]]
    targets = [ingest_harness.scheduler.get_schedule(GroupName="mepush", Name=name)["Target"] for name in names]
    return [json.loads(target["Input"])["MessageBody"].encode() for target in targets]


def test_a_null_beside_a_long_list_is_no_number_that_is_not_finite(ingest_harness: IngestHarness) -> None:
    """Lists are bounded where a template has loops; this one has none."""
    ingest_harness.add_template(EmailContent(subject="{{ name }}", text="{{ items }}"), id="lists")
    variables: dict[str, Any] = {"name": "null", "items": [None, *range(300)]}
    body = {"template": "lists", "to": "a@example.com", "variables": variables}
    status, answer = ingest_harness.send(body)
    assert status == 202, answer
    for wrong in (float("inf"), [0, {"deep": float("-inf")}]):
        text = json.dumps(body | {"variables": variables | {"name": wrong}}).replace("Infinity", "1e999")
        status, answer = ingest_harness.send(text)
        assert (status, [error["field"] for error in answer["errors"]]) == (422, ["variables"]), answer
