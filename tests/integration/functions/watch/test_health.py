"""What the platform says of its own health, from real tables and queues."""

import json
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest

from functions.watch import afterwards
from functions.watch.findings import MEANINGS, SILENT_SENT
from functions.watch.health import judge
from functions.watch.unreported import tells
from shared.api.kit import Api
from shared.aws.stream import StreamLag
from shared.lifecycle.tail import tail
from shared.model.accounts import Account
from shared.model.events import record_of
from shared.model.letters import Letter
from shared.model.webhooks import Stopped, Webhook, WebhookState
from shared.model.words import Channel
from shared.policy.routing import Shift
from tests.conftest import Aws
from tests.fakes import FakeClock
from tests.integration.functions.watch.harness import HOUR_S, WatchHarness, rows_of
from tests.samples import NOW, change, envelope


@pytest.fixture
def harness(aws: Aws, clock: FakeClock) -> WatchHarness:
    return WatchHarness(aws, clock)


def ask(harness: WatchHarness, tenant: str = "default") -> dict[str, Any]:
    caller = {"tenant": tenant, "key_id": "k", "kind": "live", "scopes": "read", "problem": ""}
    event = {"routeKey": "GET /v1/health", "headers": {}, "requestContext": {"authorizer": {"lambda": caller}}}
    answer = Api(harness.health().operations())(event)
    assert answer["statusCode"] == 200, answer["body"]
    found: dict[str, Any] = json.loads(answer["body"])
    return found


def problems(health: dict[str, Any]) -> str:
    return " ".join(finding["problem"] for finding in health["findings"])


def account(harness: WatchHarness, name: str) -> None:
    harness.catalog.create_account(
        Account(id=name, tenant="default", name=name, channel=Channel.EMAIL, provider="smtp", settings={},
                created_at=NOW, updated_at=NOW),
        change(),
    )  # fmt: skip


def test_a_platform_that_is_well(harness: WatchHarness) -> None:
    account(harness, "main")
    one = envelope(5)
    harness.accept(one)
    harness.close(one, rows_of(one, "sent", account="main", provider="smtp")[:4])
    harness.sweep()
    harness.clock.advance(30)
    health = ask(harness)
    assert (health["verdict"], health["findings"]) == ("healthy", [])
    assert health["balance"] == {"accepted": 5, "redriven": 0, "outcomes": 4, "in_flight": 1}
    assert (health["oldest_in_flight"], health["in_flight_too_long"]) == (None, 0)
    assert (health["sweep"]["age_seconds"], health["sweep"]["failed"]) == (30, [])
    assert [q["name"] for q in health["queues"]] == list(harness.urls)
    assert health["stream"] == [{"shard": "shardId-0", "lag_seconds": 0.0}]
    [found] = health["accounts"]
    assert (found["account"], found["verdict"], found["sent"], found["state"]) == ("main", "healthy", 4, "active")


def test_what_is_stuck_is_said_with_its_age_and_with_what_to_do(harness: WatchHarness) -> None:
    harness.accept(envelope(3))
    harness.clock.advance(4 * HOUR_S)
    harness.sweep()
    health = ask(harness)
    assert health["verdict"] == "unhealthy"
    assert datetime.fromisoformat(health["oldest_in_flight"]) == datetime.fromtimestamp(NOW / 1000, UTC)
    assert health["in_flight_too_long"] == 3 and health["sweep"]["found"] == {"waiting": 3}
    assert problems(health) == "3 messages have been in flight for too long: 3 wait on a queue."
    assert all(finding["action"] for finding in health["findings"])
    # Another tenant's are none of its business.
    harness.catalog.ensure_tenant("other")
    assert ask(harness, "other")["verdict"] == "healthy"


def test_queues_and_their_dead_letters_are_counted(harness: WatchHarness) -> None:
    url, dead = harness.urls["sms.marketing"], harness.dlq_urls["sms.marketing"]
    for _ in range(3):
        harness.sqs.send_message(QueueUrl=url, MessageBody="x")
    harness.sqs.send_message(QueueUrl=url, MessageBody="x", DelaySeconds=900)
    harness.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=1)
    for each in (dead, harness.trace_dlq_url, harness.trace_dlq_url):
        harness.sqs.send_message(QueueUrl=each, MessageBody="x")
    harness.sqs.send_message(QueueUrl=harness.schedules_dlq_url, MessageBody="x")
    harness.marks.write_sweep(harness.sweep())
    health = ask(harness)
    [queue] = [q for q in health["queues"] if q["name"] == "sms.marketing"]
    assert queue == {"name": "sms.marketing", "waiting": 2, "hidden": 1, "delayed": 1, "dead": 1}
    assert (health["schedules_dead"], health["trace_dead"]) == (1, 2)
    assert "1 in sms.marketing" in problems(health) and "2 batches" in problems(health)
    assert "1 deferred envelopes" in problems(health)


def test_a_trace_that_is_behind_is_said(harness: WatchHarness) -> None:
    harness.accept(envelope(1))
    harness.sweep()
    one = envelope(1, start=5)
    harness.close(one, rows_of(one, "sent"), told=False)
    harness.tell(tail(one, rows_of(one, "sent")).record)
    harness.clock.advance(301)
    health = ask(harness)
    assert health["stream"][0]["lag_seconds"] == 301
    assert problems(health) == "Timelines and counters are 5 min behind."
    harness.trace()
    assert ask(harness)["stream"][0]["lag_seconds"] == 0


def test_that_nobody_sweeps_is_said(harness: WatchHarness) -> None:
    assert "Nothing has looked for stuck messages yet" in problems(ask(harness))
    harness.sweep()
    assert ask(harness)["verdict"] == "healthy"
    harness.clock.advance(2 * HOUR_S + 60)
    assert "for 2 h 1 min" in problems(ask(harness))
    mark = harness.sweep()
    harness.marks.write_sweep(mark.model_copy(update={"failed": ["redrives"]}))
    assert "broke off in: redrives" in problems(ask(harness))


def test_a_failing_account_is_named(harness: WatchHarness) -> None:
    account(harness, "bad")
    one = envelope(6)
    harness.accept(one)
    rows = rows_of(one, "failed", account="bad", provider="smtp")
    rows[0].stage = "sent"
    harness.close(one, rows)
    harness.sweep()
    health = ask(harness)
    assert (health["accounts"][0]["verdict"], health["accounts"][0]["failed"]) == ("failing", 5)
    assert "The account bad fails: 5 tries went wrong, 1 were sent." in problems(health)
    harness.clock.advance(3 * HOUR_S)
    assert ask(harness)["accounts"][0]["verdict"] == "idle"


def test_an_account_whose_weight_was_taken_away_is_named_with_the_reason(harness: WatchHarness) -> None:
    account(harness, "full")
    account(harness, "shifted")
    harness.sweep()
    shift = Shift(factor=0.02, since=NOW, reason="9 of 9 tries went wrong in the last 30 s")
    harness.routing.shift("default", "shifted", shift, None, change())
    health = ask(harness)
    full, shifted = health["accounts"]
    assert (full["factor"], full["shifted_at"], full["shift_reason"]) == (1.0, None, None)
    assert (shifted["factor"], shifted["shift_reason"]) == (0.02, shift.reason)
    assert datetime.fromisoformat(shifted["shifted_at"]) == datetime.fromtimestamp(NOW / 1000, UTC)
    when = datetime.fromtimestamp(NOW / 1000, UTC).strftime("%H:%M:%S")
    said = f"The account shifted has 2% of its weight since {when} UTC: 9 of 9 tries went wrong in the last 30 s."
    assert problems(health) == said and health["verdict"] == "unhealthy"
    # While nobody sends nothing changes, and that is no news after a while.
    harness.clock.advance(2 * HOUR_S)
    harness.sweep()
    assert ask(harness)["accounts"][1]["factor"] == 0.02 and problems(ask(harness)) == ""
    harness.routing.shift("default", "shifted", Shift(factor=1.0, since=NOW + 1, reason="well"), 1, change())
    assert problems(ask(harness)) == ""


@pytest.mark.parametrize(
    ("counts", "verdict"),
    [({}, "idle"), ({"sent": 1}, "healthy"), ({"failed": 2}, "healthy"), ({"failed": 3}, "failing"),
     ({"retrying": 2, "unknown": 1}, "failing"), ({"sent": 5, "retrying": 5}, "healthy"),
     ({"sent": 5, "retrying": 4, "dead_lettered": 2}, "failing")],
)  # fmt: skip
def test_the_verdict_on_an_account(counts: dict[str, int], verdict: str) -> None:
    assert judge(Counter({"sent": 0} | counts)) == verdict


def test_every_kind_that_counts_as_too_long_has_words(harness: WatchHarness) -> None:
    assert set(MEANINGS) >= {"waiting", "lease_expired", "retry_overdue", "untraced", "not_found", "overcounted"}


class Kinesis:
    """Answers a shard's reads by a script; of several shards a page each."""

    def __init__(self, *answers: dict[str, Any]) -> None:
        self.answers = list(answers)
        self.places: list[dict[str, Any]] = []

    def list_shards(self, **given: Any) -> Any:
        if "NextToken" in given:
            # AWS refuses the stream's name beside a token.
            assert given == {"NextToken": "more"}
            return {"Shards": [{"ShardId": "b"}]}
        return {"Shards": [{"ShardId": "a"}], "NextToken": "more"}

    def get_shard_iterator(self, **place: Any) -> Any:
        self.places.append(place)
        return {"ShardIterator": "i"}

    def get_records(self, **_: Any) -> Any:
        return self.answers.pop(0)


def record(at_ms: int) -> dict[str, Any]:
    return {"Records": [{"ApproximateArrivalTimestamp": datetime.fromtimestamp(at_ms / 1000, UTC)}]}


def nothing(behind: int, following: str | None = "i") -> dict[str, Any]:
    return {"Records": [], "MillisBehindLatest": behind, "NextShardIterator": following}


@pytest.mark.parametrize(
    ("answers", "lag"),
    [
        ([record(NOW - 5000)], 5000),
        ([record(NOW + 5)], 0),
        ([nothing(0)], 0),
        ([nothing(9000), nothing(8000), record(NOW - 4000)], 4000),
        ([nothing(9000)] * 10, 9000),
        ([nothing(9000, None)], 0),
    ],
)
def test_the_lag_is_that_of_the_first_record_beyond_the_checkpoint(answers: list[dict[str, Any]], lag: int) -> None:
    kinesis = Kinesis(*answers, nothing(0))
    found = StreamLag(kinesis, "events").by_shard(lambda shard: 7 if shard == "events/a" else -1, NOW)
    assert found == {"a": lag, "b": 0}
    assert [place["ShardIteratorType"] for place in kinesis.places] == ["AFTER_SEQUENCE_NUMBER", "TRIM_HORIZON"]
    assert kinesis.places[0]["StartingSequenceNumber"] == "7"


def warned(health: dict[str, Any]) -> str:
    assert all(each["action"] for each in health["warnings"])
    return " ".join(each["problem"] for each in health["warnings"])


def keep_letters(harness: WatchHarness, count: int) -> None:
    facts: Any = {"tenant": "default", "channel": "email", "message_class": "marketing", "template": "welcome"}
    facts |= {"version": 1, "request": "r", "kind": "live", "account": "main", "reason": "timed_out", "code": ""}
    facts |= {"recipients": 1, "generation": 0, "dead_at": NOW, "changed_at": NOW}
    for number in range(count):
        harness.parts.letters.keep(Letter(id=f"l{number}", **facts), "{}")


def test_dead_letters_that_wait_are_a_warning_that_says_what_to_do(harness: WatchHarness) -> None:
    harness.sweep()
    keep_letters(harness, 2)
    health = ask(harness)
    assert (health["verdict"], health["findings"], health["dead_letters"]) == ("warning", [], 2)
    assert warned(health) == "2 dead letters wait for somebody to decide on them."
    assert "mepush dlq list" in health["warnings"][0]["action"]
    harness.catalog.ensure_tenant("other")
    assert ask(harness, "other")["verdict"] == "healthy"


def test_dead_letters_are_counted_up_to_a_number(harness: WatchHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    harness.sweep()
    keep_letters(harness, 4)
    monkeypatch.setattr(afterwards, "MOST_LETTERS", 3)
    health = ask(harness)
    assert (health["dead_letters"], health["dead_letters_more"]) == (3, True)
    assert warned(health).startswith("3 or more dead letters wait")


def test_what_comes_after_sending_is_a_warning(harness: WatchHarness) -> None:
    harness.sweep()
    for url in (harness.receipts_dlq_url, harness.webhooks_dlq_url, harness.webhooks_dlq_url):
        harness.sqs.send_message(QueueUrl=url, MessageBody="x")
    health = ask(harness)
    assert (health["verdict"], health["findings"]) == ("warning", [])
    assert (health["receipts_dead"], health["webhooks_dead"]) == (1, 2)
    assert "1 receipts cannot be read." in warned(health) and "2 events or batches" in warned(health)


def test_endpoints_that_fail_or_were_stopped_are_warnings(harness: WatchHarness) -> None:
    harness.sweep()
    facts: Any = {"tenant": "default", "url": "https://example.com", "created_at": NOW, "updated_at": NOW}
    gone = {"state": WebhookState.DISABLED, "stopped": Stopped.GONE}
    held = {"state": WebhookState.PAUSED, "stopped": Stopped.PERSON}
    for name, more in (("bad", {}), ("gone", gone), ("held", held), ("good", {})):
        harness.parts.webhooks.save_webhook(Webhook(id=name, **facts, **more), None, change())
    harness.parts.deliveries.failed("default", "bad", 7, NOW)
    assert "bad" not in warned(ask(harness)), "it has only begun"
    harness.clock.advance(1800)
    harness.sweep()
    text = warned(ask(harness))
    assert "The webhook bad has failed for 30 min: 7 tries." in text
    assert "The webhook gone gets no events, since it answered that it is gone." in text
    assert "good" not in text and "held" not in text


def test_an_account_whose_receipts_do_not_come_is_a_warning(harness: WatchHarness) -> None:
    for name, provider in (("mail", "ses"), ("server", "smtp")):
        harness.catalog.create_account(
            Account(id=name, tenant="default", name=name, channel=Channel.EMAIL, provider=provider, settings={},
                    created_at=NOW, updated_at=NOW),
            change(),
        )  # fmt: skip
        one = envelope(SILENT_SENT, start=1000 * len(name))
        harness.accept(one)
        harness.close(one, rows_of(one, "sent", account=name, provider=provider))
    assert warned(ask(harness)) == "", "receipts may be on their way"
    harness.clock.advance(3 * HOUR_S)
    harness.sweep()
    # Mail servers say nothing of what arrives.
    assert warned(ask(harness)) == (
        f"Nothing was reported of any of the {SILENT_SENT} messages that the account mail sent in the last day."
    )
    harness.tell(record_of(one, rows_of(one, "delivered", account="mail", provider="ses")[:1]))
    harness.trace()
    assert ask(harness)["warnings"] == []


def test_which_providers_say_of_each_message_whether_it_arrived() -> None:
    def of(channel: Channel, provider: str) -> bool:
        return tells(Account(id="a", tenant="t", name="a", channel=channel, provider=provider, settings={},
                             created_at=0, updated_at=0))  # fmt: skip

    assert of(Channel.EMAIL, "ses") and of(Channel.SMS, "aws") and of(Channel.SMS, "tencent")
    assert not of(Channel.EMAIL, "smtp") and not of(Channel.WECOM, "app") and not of(Channel.WECOM, "robot")
