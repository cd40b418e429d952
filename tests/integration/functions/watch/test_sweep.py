"""The watch: what is stuck is found, ends honestly, and nothing is sent, lost or counted twice by it."""

import json
from typing import Any

import pytest

from functions.watch import hours
from functions.watch.following import GRACE_MS, LOOK_AGAIN_MS
from local.timeline_items import is_event
from shared.aws.schedules import schedule_name
from shared.lifecycle.tail import tail
from shared.model.envelope import Envelope
from shared.model.events import record_of
from shared.model.ids import ulid_text
from shared.model.letters import letters_of, redriven
from shared.model.reasons import Reason
from shared.model.words import KeyKind, MessageClass
from shared.store.ledger import Entry
from tests.conftest import Aws
from tests.fakes import FakeClock
from tests.integration.functions.watch.harness import DAY_S, HOUR_S, Killed, WatchHarness, rows_of
from tests.samples import NOW, envelope
from tests.unit.shared.dispatch.harness import harness as dispatching

TTL_MS = 3 * 86_400_000


@pytest.fixture
def harness(aws: Aws, clock: FakeClock) -> WatchHarness:
    return WatchHarness(aws, clock)


def later(harness: WatchHarness, seconds: float) -> None:
    harness.clock.advance(seconds)


# Whole ways


def test_a_purged_message_ends_as_expired_after_its_time_to_live_and_the_balance_closes(harness: WatchHarness) -> None:
    one = envelope(60, reference="r")
    harness.accept(one)
    later(harness, 3 * HOUR_S)
    mark = harness.mend()
    assert (mark.found, mark.mended, mark.too_long) == ({"waiting": 60}, {}, 60)
    assert harness.in_flight() == 60
    harness.clock.set(NOW + TTL_MS + GRACE_MS - 1)
    assert harness.mend().mended == {}
    harness.clock.set(NOW + TTL_MS + GRACE_MS + LOOK_AGAIN_MS)
    assert harness.mend().mended == {"ended": 60}
    assert harness.in_flight() == 0 and harness.stages() == {"accepted": 60, "expired": 60}
    assert harness.counts() == harness.stages()
    event = harness.events("expired")[0]
    assert (event.reason, event.template, event.request_reference) == (Reason.EXPIRED, "welcome", "r")
    later(harness, HOUR_S)
    assert (mark := harness.mend()).found == {} and mark.mended == {}
    assert harness.marks.hours("default") == {}


def test_what_was_ended_is_not_sent_when_its_envelope_turns_up_after_all(harness: WatchHarness) -> None:
    # It has time to live by its own account, as if the watch had been wrong about it.
    one = envelope(3, expires_at=NOW + 60_000)
    harness.accept(one)
    later(harness, 4 * HOUR_S)
    harness.mend()
    with dispatching() as w:
        w.clock.set(NOW)
        w.dispatcher._waves._ledger = harness.ledger
        assert w.run(one) == []
        assert w.providers["main"].calls == 0 and w.stages() == {"accepted": 3, "expired": 3}
        for record in w.records:
            harness.tell(record)
    harness.trace()
    assert harness.counts() == {"accepted": 3, "expired": 3}


def test_a_lost_stream_record_is_told_again(harness: WatchHarness) -> None:
    one = envelope(5)
    harness.accept(one)
    harness.close(one, rows_of(one, "sent", account="main", provider="smtp", provider_id="p-1"), told=False)
    later(harness, 3 * HOUR_S)
    assert harness.mend().mended == {"restated": 5}
    assert harness.counts() == harness.stages() == {"accepted": 5, "sent": 5}
    event = harness.events("sent")[0]
    assert (event.provider_id, event.channel, event.message_class, event.version) == ("p-1", "email", "notification", 1)
    assert harness.counters.read("default#account#main", 0, 10**7)[NOW // 3_600_000]["sent"] == 5
    assert harness.mend().mended == {}


def test_the_receipts_of_a_test_key_are_told_again_with_what_they_follow_from(harness: WatchHarness) -> None:
    one = envelope(5, kind=KeyKind.TEST)
    harness.accept(one)
    sent = rows_of(one, "sent", provider="test", account="test", provider_id="bounced-M")
    harness.close(one, sent, told=False)
    later(harness, 3 * HOUR_S)
    assert harness.mend().mended == {"restated": 10}
    assert harness.counts() == {"accepted": 5, "sent": 5, "undelivered": 5} and harness.in_flight() == 0
    assert harness.mend().mended == {}


def test_what_is_on_its_way_through_the_stream_is_not_told_again(harness: WatchHarness) -> None:
    one = envelope(5)
    harness.accept(one)
    harness.clock.advance(2 * HOUR_S)
    recent: Any = {"at": harness.clock.now_ms() - 60_000}
    harness.close(one, rows_of(one, "sent", **recent), told=False)
    mark = harness.mend()
    assert (mark.mended, mark.found, mark.too_long) == ({}, {"untold": 5}, 0)


def test_a_trace_that_is_behind_is_waited_for_and_its_backlog_not_repeated(harness: WatchHarness) -> None:
    one = envelope(5)
    harness.accept(one)
    harness.tell(tail(one, rows := rows_of(one, "sent")).record)
    harness.close(one, rows, told=False)
    later(harness, 10 * HOUR_S)
    assert harness.sweep().mended == {}
    assert len(harness.shard.records) == 2
    # What the trace has not taken within a day it never will.
    later(harness, 15 * HOUR_S)
    assert harness.sweep().mended == {"restated": 5}
    harness.trace()
    assert harness.counts() == {"accepted": 5, "sent": 5}


def test_a_lease_that_ended_long_ago_is_reported_and_then_taken_over(harness: WatchHarness) -> None:
    one = envelope(4, message_class=MessageClass.VERIFICATION, expires_at=NOW + 300_000)
    harness.accept(one)
    done = rows_of(one, "sent")[:1]
    harness.ledger.acquire(one.id, Entry("dead", NOW + 65_000, done, {"main": [1, 2]}))
    harness.clock.set(NOW + 2 * HOUR_S * 1000)
    mark = harness.mend()
    # Of its hour's end an hour has passed, and of its time to live more than that.
    assert mark.mended == {"ended": 3, "restated": 1}
    assert harness.counts() == {"accepted": 4, "sent": 1, "unknown": 2, "expired": 1}
    event = harness.events("unknown")[0]
    assert (event.reason, event.account) == (Reason.INTERRUPTED, "main")
    entry = harness.ledger.read(one.id)
    assert entry is not None and entry.closed and entry.owner != "dead"


def test_a_lease_that_ended_is_left_to_the_queue_within_the_time_to_live(harness: WatchHarness) -> None:
    one = envelope(4)
    harness.accept(one)
    harness.ledger.acquire(one.id, Entry("dead", NOW + 65_000, [], {"main": [1, 2]}))
    later(harness, 3 * HOUR_S)
    mark = harness.mend()
    assert (mark.found, mark.too_long, mark.mended) == ({"lease_expired": 4}, 4, {})
    entry = harness.ledger.read(one.id)
    assert entry is not None and not entry.closed


def test_what_is_worked_on_is_never_ended(harness: WatchHarness) -> None:
    one = envelope(2, expires_at=NOW + 60_000)
    harness.accept(one)
    later(harness, 5 * HOUR_S)
    harness.ledger.acquire(one.id, Entry("alive", harness.clock.now_ms() + 30_000, [], {"main": [0]}))
    mark = harness.mend()
    assert (mark.found, mark.mended) == ({"leased": 2}, {})


def test_retries_are_followed_and_a_lost_one_is_ended_through_its_own_ledger(harness: WatchHarness) -> None:
    one = envelope(3, expires_at=NOW + 4 * HOUR_S * 1000)
    harness.accept(one)
    until = NOW + 60_000
    first = rows_of(one, "sent")[:1] + rows_of(one, "retrying", 1, due_at=until)[1:2]
    [continuation, retry] = harness.close(one, first)
    assert (continuation.id, retry.id) == (f"{one.id}/c1", f"{one.id}/r1")
    [second] = harness.close(
        retry, rows_of(retry, "retrying", 2, due_at=until + 1000, account="main", ask_account=True)
    )
    assert second.id == f"{one.id}/r1/r2"
    later(harness, 3 * HOUR_S)
    assert harness.mend().found == {"waiting": 1, "retry_overdue": 1}
    later(harness, 4 * HOUR_S)
    assert harness.mend().mended == {"ended": 2}
    assert harness.counts() == harness.stages() == {"accepted": 3, "sent": 1, "retrying": 2, "expired": 1, "unknown": 1}
    for child in (continuation, second):
        entry = harness.ledger.read(child.id)
        assert entry is not None and entry.closed
    # The account may have sent it: nobody can say that it was not.
    assert harness.events("unknown")[0].reason == Reason.LOST_TRACK


def test_a_message_that_may_have_been_sent_before_its_lost_retry_is_unknown(harness: WatchHarness) -> None:
    one = envelope(2, expires_at=NOW + 60_000)
    harness.accept(one)
    rows = rows_of(one, "retrying", 1, due_at=NOW + 1000)
    rows[0].maybe_sent = True
    harness.close(one, rows)
    later(harness, 3 * HOUR_S)
    harness.mend()
    assert harness.counts() == {"accepted": 2, "retrying": 2, "unknown": 1, "expired": 1}


def test_a_retry_is_due_later(harness: WatchHarness) -> None:
    one = envelope(2, message_class=MessageClass.MARKETING)
    harness.accept(one)
    harness.close(one, rows_of(one, "retrying", 1, due_at=NOW + 6 * HOUR_S * 1000))
    later(harness, 3 * HOUR_S)
    mark = harness.mend()
    assert (mark.found, mark.too_long) == ({"retrying": 2}, 0)


def test_dead_letters_are_ends_until_they_are_redriven(harness: WatchHarness) -> None:
    one = envelope(4)
    harness.accept(one)
    rows = rows_of(one, "dead_lettered", reason="throttled", account="main")
    rows[3].account = "spare"
    harness.close(one, rows)
    dead = tail(one, rows).dead
    assert dead is not None
    later(harness, 3 * HOUR_S)
    assert harness.mend().found == {} and harness.in_flight() == 0
    [_, (letter, body)] = letters_of(dead, harness.clock.now_ms())
    child = redriven(letter.model_copy(update={"changed_at": harness.clock.now_ms()}), body)
    harness.tell(record_of(child, rows_of(child, "redriven", 1)))
    harness.trace()
    assert harness.in_flight() == 1
    later(harness, 2 * HOUR_S)
    assert harness.mend().found == {"waiting": 1}
    later(harness, 3 * DAY_S)
    assert harness.mend().mended == {"ended": 1}
    assert harness.in_flight() == 0 and harness.events("expired")[0].nth == 1
    entry = harness.ledger.read(child.id)
    assert entry is not None and entry.closed


def test_a_deferred_message_is_in_flight_by_right_until_it_is_due_and_its_time_to_live_is_over(
    harness: WatchHarness,
) -> None:
    due = NOW + 300 * DAY_S * 1000
    one = envelope(2, expires_at=due + 3_600_000)
    harness.accept(one, due_at=due)
    later(harness, 100 * DAY_S)
    mark = harness.mend()
    assert (mark.found, mark.too_long, mark.mended) == ({"deferred": 2}, 0, {})
    for item in harness.aws.dynamodb.scan(TableName="timeline")["Items"]:
        assert int(item["ttl"]["N"]) >= due // 1000 + 90 * DAY_S
    harness.clock.set(due + 3 * HOUR_S * 1000)
    assert harness.mend().mended == {"ended": 2}
    assert harness.in_flight() == 0 and harness.stages()["expired"] == 2


def test_nothing_is_forgotten_in_forty_days(harness: WatchHarness) -> None:
    one, two = envelope(2), envelope(2, start=500)
    harness.accept(one, two)
    harness.close(two, rows_of(two, "sent"), told=False)
    later(harness, 10 * DAY_S)
    # Nobody watched for ten days, and then for thirty more.
    later(harness, 30 * DAY_S)
    harness.mend()
    assert harness.in_flight() == 0
    # What a ledger would say is gone by then, so nobody can say that nothing was sent.
    assert harness.counts() == {"accepted": 4, "sent": 2, "unknown": 2}


def test_it_says_what_it_cannot_find(harness: WatchHarness) -> None:
    one = envelope(3)
    harness.accept(one)
    for item in harness.aws.dynamodb.scan(TableName="timeline")["Items"]:
        if "#request#" in item["pk"]["S"]:
            harness.aws.dynamodb.delete_item(TableName="timeline", Key={"pk": item["pk"], "sk": item["sk"]})
    later(harness, 3 * HOUR_S)
    mark = harness.mend()
    assert (mark.found, mark.too_long) == ({"not_found": 3}, 3)
    other = envelope(1, start=700)
    harness.tell(tail(other.child("r1", other.recipients), rows_of(other, "sent")).record)
    harness.trace()
    later(harness, 2 * HOUR_S)
    assert harness.mend().found == {"not_found": 2}


def test_more_outcomes_than_messages_are_an_error_of_ours(harness: WatchHarness) -> None:
    one = envelope(2)
    harness.tell(tail(one.child("r1", one.recipients), rows_of(one, "sent")).record)
    harness.trace()
    later(harness, 3 * HOUR_S)
    mark = harness.mend()
    assert (mark.found, mark.too_long) == ({"overcounted": 2}, 2)


def test_events_that_are_gone_are_reported(harness: WatchHarness) -> None:
    one = envelope(2)
    harness.accept(one)
    for item in harness.aws.dynamodb.scan(TableName="timeline")["Items"]:
        if is_event(item["pk"]["S"]):
            harness.aws.dynamodb.delete_item(TableName="timeline", Key={"pk": item["pk"], "sk": item["sk"]})
    later(harness, 5 * DAY_S)
    assert harness.mend().found == {"untraced": 2}


# Which hours


def test_hours_that_are_young_or_balanced_are_not_looked_into(
    harness: WatchHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = envelope(2)
    harness.accept(done)
    harness.close(done, rows_of(done, "sent"))
    later(harness, 5 * HOUR_S)
    young = envelope(2, id=_id_at(harness.clock.now_ms()), accepted_at=harness.clock.now_ms())
    harness.accept(young)
    monkeypatch.setattr(harness.sweeper.hours._timeline, "requests_of_hour", None)
    mark = harness.sweep()
    assert (mark.failed, mark.found) == ([], {})


def test_old_hours_are_read_once_an_hour(harness: WatchHarness) -> None:
    one = envelope(2)
    harness.accept(one)
    harness.close(one, rows_of(one, "sent"))
    later(harness, 20 * DAY_S)
    harness.mend()
    # A change of an old hour: it was redriven.
    harness.tell(record_of(one, rows_of(one, "redriven", 1)))
    harness.trace()
    later(harness, 300)
    assert harness.mend().found == {}
    later(harness, 3600)
    assert harness.mend().found == {"not_found": 2}


def test_a_sweep_goes_on_where_the_time_was_over(harness: WatchHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hours, "PAGE", 2)
    many = [envelope(1, request=f"{k:026d}", id=_id_at(NOW, k), expires_at=NOW) for k in range(40)]
    harness.accept(*many)
    later(harness, 3 * HOUR_S)
    sweeps, calls, unfinished = 0, 0, 0

    def short() -> int:
        nonlocal calls
        calls += 1
        return 240_000 if calls % 12 else 0

    while harness.in_flight():
        sweeps += 1
        assert sweeps < 40
        mark = harness.sweeper.run(short)
        harness.trace()
        later(harness, 300)
        unfinished += mark.unfinished
    assert unfinished > 2
    assert harness.counts() == harness.stages() == {"accepted": 40, "expired": 40}
    later(harness, HOUR_S)
    assert not harness.mend().unfinished and harness.marks.hours("default") == {}


def test_every_tenant_is_looked_after(harness: WatchHarness) -> None:
    harness.catalog.ensure_tenant("other")
    assert harness.catalog.list_tenants() == ["default", "other"]
    one = envelope(2, tenant="other", expires_at=NOW)
    harness.accept(one)
    later(harness, 4 * HOUR_S)
    assert harness.mend().mended == {"ended": 2}


def test_a_part_that_breaks_off_does_not_keep_the_others_back(
    harness: WatchHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness.accept(envelope(2, expires_at=NOW))
    later(harness, 4 * HOUR_S)
    monkeypatch.setattr(harness.sweeper.schedules, "fire", None)
    mark = harness.mend()
    assert (mark.failed, mark.mended) == (["schedules"], {"ended": 2})
    assert harness.marks.sweep() == mark


# Schedules


def schedule(harness: WatchHarness, one: Envelope, due_at: int, url: str | None = None) -> str:
    assert harness.schedules.create(one.id, due_at, url or harness.urls["email.notification"], one.to_json(), "g")
    return schedule_name(one.id, due_at)


def test_an_overdue_schedule_fires_once(harness: WatchHarness) -> None:
    one, two = envelope(1), envelope(1, start=3)
    schedule(harness, one, NOW + 60_000)
    future = schedule(harness, two, NOW + DAY_S * 1000)
    later(harness, 9 * 60)
    assert harness.sweep().mended == {}
    later(harness, 15 * 60)
    assert harness.sweep().mended == {"schedules_fired": 1}
    assert harness.queued() == [one.to_json()] and harness.names() == [future]
    assert harness.sweep().mended == {} and harness.queued() == []


@pytest.mark.parametrize("age_s", [20 * 60, 3 * HOUR_S, 2 * DAY_S, 40 * DAY_S, 200 * DAY_S, 400 * DAY_S])
def test_a_schedule_is_found_however_long_it_is_overdue(harness: WatchHarness, age_s: int) -> None:
    name = schedule(harness, envelope(1), NOW - age_s * 1000)
    assert harness.sweep().mended == {"schedules_fired": 1}
    assert name not in harness.names()


@pytest.mark.parametrize("minute", range(0, 60, 7))
def test_no_schedule_that_is_not_due_is_listed(harness: WatchHarness, minute: int) -> None:
    harness.clock.set(NOW + minute * 60_000)
    schedule(harness, envelope(1), harness.clock.now_ms() - 9 * 60_000)
    schedule(harness, envelope(1, start=1), harness.clock.now_ms() + 60_000)
    assert harness.sweep().mended == {} and len(harness.names()) == 2


def test_the_name_tells_the_minute_and_the_envelope() -> None:
    assert schedule_name("01JZ0000000000000000000000/r1", NOW) == "202501151000.01JZ0000000000000000000000.r1"
    long = "01JZ0000000000000000000000/d0.1/g1/r1/r2/r3/r4/r5"
    assert schedule_name(long, NOW) == schedule_name(long, NOW) != schedule_name(long + ".1", NOW)
    assert len(schedule_name(long, NOW)) <= 64 and schedule_name(long, NOW).startswith("202501151000.01JZ0")


def test_a_schedule_for_another_queue_stays_and_is_reported(harness: WatchHarness) -> None:
    name = schedule(harness, envelope(1), NOW - HOUR_S * 1000, "https://sqs.us-east-1.amazonaws.com/1/elsewhere")
    mark = harness.sweep()
    assert (mark.found, mark.mended, harness.names()) == ({"schedule_unreadable": 1}, {}, [name])


def test_what_a_schedule_could_not_deliver_is_delivered_and_the_rest_stays(harness: WatchHarness) -> None:
    one, url = envelope(1), harness.urls["email.notification"]
    good = json.dumps({"QueueUrl": url, "MessageBody": one.to_json(), "MessageGroupId": "g"})
    others = ["{", "[]", json.dumps({"QueueUrl": url + "x", "MessageBody": "b"}), json.dumps({"QueueUrl": url})]
    for body in (good, *others):
        harness.sqs.send_message(QueueUrl=harness.schedules_dlq_url, MessageBody=body)
    mark = harness.sweep()
    assert (mark.mended, mark.found) == ({"schedules_redelivered": 1}, {"schedule_unreadable": 4})
    assert harness.queued() == [one.to_json()]
    attributes = harness.sqs.get_queue_attributes(QueueUrl=harness.schedules_dlq_url, AttributeNames=["All"])[
        "Attributes"
    ]
    assert attributes["ApproximateNumberOfMessagesNotVisible"] == "4"


# Dying


def everything(harness: WatchHarness) -> list[Envelope]:
    """Something of all that a sweep mends; returns the envelopes that schedules held."""
    purged = envelope(2, expires_at=NOW + 1000)
    broken = envelope(4, start=100, expires_at=NOW + 1000)
    lost = envelope(2, start=200)
    retried = envelope(2, start=300, expires_at=NOW + 1000)
    harness.accept(purged, broken, lost, retried)
    rows = rows_of(broken, "sent")[:1] + rows_of(broken, "retrying", 1, due_at=NOW + 500)[1:2]
    harness.ledger.acquire(broken.id, Entry("dead", NOW + 1, rows, {"main": [2]}))
    harness.close(lost, rows_of(lost, "sent"), told=False)
    harness.close(retried, rows_of(retried, "retrying", 1, due_at=NOW + 500))
    scheduled, undelivered = envelope(1, start=400), envelope(1, start=500)
    schedule(harness, scheduled, NOW + 60_000)
    body = {"QueueUrl": harness.urls["email.notification"], "MessageBody": undelivered.to_json(), "MessageGroupId": "g"}
    harness.sqs.send_message(QueueUrl=harness.schedules_dlq_url, MessageBody=json.dumps(body))
    later(harness, 4 * HOUR_S)
    return [scheduled, undelivered]


CALLS = 15
"""Of that sweep that change something."""
EXPECTED = {"accepted": 10, "sent": 3, "retrying": 3, "expired": 6, "unknown": 1}


def check(harness: WatchHarness, scheduled: list[Envelope]) -> None:
    assert harness.counts() == harness.stages() == EXPECTED
    assert set(harness.outcomes_by_message().values()) == {1}
    # An envelope may be there twice; its ledger has it sent once.
    assert {json.loads(body)["id"] for body in harness.queued()} == {one.id for one in scheduled}
    assert harness.names() == [] and harness.in_flight() == 0


def test_one_sweep_mends_everything(harness: WatchHarness) -> None:
    scheduled = everything(harness)
    harness.mend()
    check(harness, scheduled)
    assert len(harness.fate.names) == CALLS


@pytest.mark.rotates
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(1, CALLS + 1))
def test_it_may_die_at_every_call(harness: WatchHarness, at: int, after: bool) -> None:
    scheduled = everything(harness)
    harness.fate.arm(at, after)
    with pytest.raises(Killed):
        harness.sweep()
    harness.fate.arm(0)
    harness.trace()
    # What was received and not deleted is hidden for a while; SQS goes by its own clock.
    harness.sqs.set_queue_attributes(QueueUrl=harness.schedules_dlq_url, Attributes={"VisibilityTimeout": "0"})
    _show_again(harness)
    later(harness, 2 * HOUR_S)
    harness.mend()
    harness.mend()
    check(harness, scheduled)


def _show_again(harness: WatchHarness) -> None:
    from moto.sqs.models import sqs_backends

    for message in sqs_backends["123456789012"]["us-east-1"].queues["schedules-dlq"]._messages:
        message.change_visibility(0)


def _id_at(ms: int, k: int = 0) -> str:
    return ulid_text(ms << 80 | (k + 1) << 20)
