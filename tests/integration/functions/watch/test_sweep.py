"""The watch: what is stuck is found, ends honestly, and nothing is sent, lost or counted twice by it."""

import json
from typing import Any

import pytest

from functions.watch import hours
from functions.watch.following import GRACE_MS, LOOK_AGAIN_MS
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
from tests.integration.functions.watch.watching import DAY_S, HOUR_S, Killed, World, rows_of
from tests.samples import NOW, envelope
from tests.unit.shared.dispatch.world import world as dispatching

TTL_MS = 3 * 86_400_000


@pytest.fixture
def world(aws: Aws, clock: FakeClock) -> World:
    return World(aws, clock)


def later(world: World, seconds: float) -> None:
    world.clock.advance(seconds)


# Whole ways


def test_a_purged_message_ends_as_expired_after_its_time_to_live_and_the_balance_closes(world: World) -> None:
    one = envelope(60, reference="r")
    world.accept(one)
    later(world, 3 * HOUR_S)
    mark = world.mend()
    assert (mark.found, mark.mended, mark.too_long) == ({"waiting": 60}, {}, 60)
    assert world.in_flight() == 60
    world.clock.set(NOW + TTL_MS + GRACE_MS - 1)
    assert world.mend().mended == {}
    world.clock.set(NOW + TTL_MS + GRACE_MS + LOOK_AGAIN_MS)
    assert world.mend().mended == {"ended": 60}
    assert world.in_flight() == 0 and world.stages() == {"accepted": 60, "expired": 60}
    assert world.counts() == world.stages()
    event = world.events("expired")[0]
    assert (event.reason, event.template, event.request_reference) == (Reason.EXPIRED, "welcome", "r")
    later(world, HOUR_S)
    assert (mark := world.mend()).found == {} and mark.mended == {}
    assert world.marks.hours("default") == {}


def test_what_was_ended_is_not_sent_when_its_envelope_turns_up_after_all(world: World) -> None:
    # It has time to live by its own account, as if the watch had been wrong about it.
    one = envelope(3, expires_at=NOW + 60_000)
    world.accept(one)
    later(world, 4 * HOUR_S)
    world.mend()
    with dispatching() as w:
        w.clock.set(NOW)
        w.dispatcher._waves._ledger = world.ledger
        assert w.run(one) == []
        assert w.providers["main"].calls == 0 and w.stages() == {"accepted": 3, "expired": 3}
        for record in w.records:
            world.tell(record)
    world.trace()
    assert world.counts() == {"accepted": 3, "expired": 3}


def test_a_lost_stream_record_is_told_again(world: World) -> None:
    one = envelope(5)
    world.accept(one)
    world.close(one, rows_of(one, "sent", account="main", provider="smtp", provider_id="p-1"), told=False)
    later(world, 3 * HOUR_S)
    assert world.mend().mended == {"restated": 5}
    assert world.counts() == world.stages() == {"accepted": 5, "sent": 5}
    event = world.events("sent")[0]
    assert (event.provider_id, event.channel, event.message_class, event.version) == ("p-1", "email", "notification", 1)
    assert sum(world.counters.read("default#account#main", 0, 10**7)[NOW // 3_600_000].values()) == 5
    assert world.mend().mended == {}


def test_the_receipts_of_a_test_key_are_told_again_with_what_they_follow_from(world: World) -> None:
    one = envelope(5, kind=KeyKind.TEST)
    world.accept(one)
    sent = rows_of(one, "sent", provider="test", account="test", provider_id="bounced-M")
    world.close(one, sent, told=False)
    later(world, 3 * HOUR_S)
    assert world.mend().mended == {"restated": 10}
    assert world.counts() == {"accepted": 5, "sent": 5, "undelivered": 5} and world.in_flight() == 0
    assert world.mend().mended == {}


def test_what_is_on_its_way_through_the_stream_is_not_told_again(world: World) -> None:
    one = envelope(5)
    world.accept(one)
    world.clock.advance(2 * HOUR_S)
    recent: Any = {"at": world.clock.now_ms() - 60_000}
    world.close(one, rows_of(one, "sent", **recent), told=False)
    mark = world.mend()
    assert (mark.mended, mark.found, mark.too_long) == ({}, {"untold": 5}, 0)


def test_a_trace_that_is_behind_is_waited_for_and_its_backlog_not_repeated(world: World) -> None:
    one = envelope(5)
    world.accept(one)
    world.tell(tail(one, rows := rows_of(one, "sent")).record)
    world.close(one, rows, told=False)
    later(world, 10 * HOUR_S)
    assert world.sweep().mended == {}
    assert len(world.shard.records) == 2
    # What the trace has not taken within a day it never will.
    later(world, 15 * HOUR_S)
    assert world.sweep().mended == {"restated": 5}
    world.trace()
    assert world.counts() == {"accepted": 5, "sent": 5}


def test_a_lease_that_ended_long_ago_is_reported_and_then_taken_over(world: World) -> None:
    one = envelope(4, message_class=MessageClass.VERIFICATION, expires_at=NOW + 300_000)
    world.accept(one)
    done = rows_of(one, "sent")[:1]
    world.ledger.acquire(one.id, Entry("dead", NOW + 65_000, done, {"main": [1, 2]}))
    world.clock.set(NOW + 2 * HOUR_S * 1000)
    mark = world.mend()
    # Of its hour's end an hour has passed, and of its time to live more than that.
    assert mark.mended == {"ended": 3, "restated": 1}
    assert world.counts() == {"accepted": 4, "sent": 1, "unknown": 2, "expired": 1}
    event = world.events("unknown")[0]
    assert (event.reason, event.account) == (Reason.INTERRUPTED, "main")
    entry = world.ledger.read(one.id)
    assert entry is not None and entry.closed and entry.owner != "dead"


def test_a_lease_that_ended_is_left_to_the_queue_within_the_time_to_live(world: World) -> None:
    one = envelope(4)
    world.accept(one)
    world.ledger.acquire(one.id, Entry("dead", NOW + 65_000, [], {"main": [1, 2]}))
    later(world, 3 * HOUR_S)
    mark = world.mend()
    assert (mark.found, mark.too_long, mark.mended) == ({"lease_expired": 4}, 4, {})
    entry = world.ledger.read(one.id)
    assert entry is not None and not entry.closed


def test_what_is_worked_on_is_never_ended(world: World) -> None:
    one = envelope(2, expires_at=NOW + 60_000)
    world.accept(one)
    later(world, 5 * HOUR_S)
    world.ledger.acquire(one.id, Entry("alive", world.clock.now_ms() + 30_000, [], {"main": [0]}))
    mark = world.mend()
    assert (mark.found, mark.mended) == ({"leased": 2}, {})


def test_retries_are_followed_and_a_lost_one_is_ended_through_its_own_ledger(world: World) -> None:
    one = envelope(3, expires_at=NOW + 4 * HOUR_S * 1000)
    world.accept(one)
    until = NOW + 60_000
    first = rows_of(one, "sent")[:1] + rows_of(one, "retrying", 1, due_at=until)[1:2]
    [continuation, retry] = world.close(one, first)
    assert (continuation.id, retry.id) == (f"{one.id}/c1", f"{one.id}/r1")
    [second] = world.close(retry, rows_of(retry, "retrying", 2, due_at=until + 1000, account="main", ask_account=True))
    assert second.id == f"{one.id}/r1/r2"
    later(world, 3 * HOUR_S)
    assert world.mend().found == {"waiting": 1, "retry_overdue": 1}
    later(world, 4 * HOUR_S)
    assert world.mend().mended == {"ended": 2}
    assert world.counts() == world.stages() == {"accepted": 3, "sent": 1, "retrying": 2, "expired": 1, "unknown": 1}
    for child in (continuation, second):
        entry = world.ledger.read(child.id)
        assert entry is not None and entry.closed
    # The account may have sent it: nobody can say that it was not.
    assert world.events("unknown")[0].reason == Reason.LOST_TRACK


def test_a_message_that_may_have_been_sent_before_its_lost_retry_is_unknown(world: World) -> None:
    one = envelope(2, expires_at=NOW + 60_000)
    world.accept(one)
    rows = rows_of(one, "retrying", 1, due_at=NOW + 1000)
    rows[0].maybe_sent = True
    world.close(one, rows)
    later(world, 3 * HOUR_S)
    world.mend()
    assert world.counts() == {"accepted": 2, "retrying": 2, "unknown": 1, "expired": 1}


def test_a_retry_is_due_later(world: World) -> None:
    one = envelope(2, message_class=MessageClass.MARKETING)
    world.accept(one)
    world.close(one, rows_of(one, "retrying", 1, due_at=NOW + 6 * HOUR_S * 1000))
    later(world, 3 * HOUR_S)
    mark = world.mend()
    assert (mark.found, mark.too_long) == ({"retrying": 2}, 0)


def test_dead_letters_are_ends_until_they_are_redriven(world: World) -> None:
    one = envelope(4)
    world.accept(one)
    rows = rows_of(one, "dead_lettered", reason="throttled", account="main")
    rows[3].account = "spare"
    world.close(one, rows)
    dead = tail(one, rows).dead
    assert dead is not None
    later(world, 3 * HOUR_S)
    assert world.mend().found == {} and world.in_flight() == 0
    [_, (letter, body)] = letters_of(dead, world.clock.now_ms())
    child = redriven(letter.model_copy(update={"changed_at": world.clock.now_ms()}), body)
    world.tell(record_of(child, rows_of(child, "redriven", 1)))
    world.trace()
    assert world.in_flight() == 1
    later(world, 2 * HOUR_S)
    assert world.mend().found == {"waiting": 1}
    later(world, 3 * DAY_S)
    assert world.mend().mended == {"ended": 1}
    assert world.in_flight() == 0 and world.events("expired")[0].nth == 1
    entry = world.ledger.read(child.id)
    assert entry is not None and entry.closed


def test_a_deferred_message_is_in_flight_by_right_until_it_is_due_and_its_time_to_live_is_over(world: World) -> None:
    due = NOW + 300 * DAY_S * 1000
    one = envelope(2, expires_at=due + 3_600_000)
    world.accept(one, due_at=due)
    later(world, 100 * DAY_S)
    mark = world.mend()
    assert (mark.found, mark.too_long, mark.mended) == ({"deferred": 2}, 0, {})
    for item in world.aws.dynamodb.scan(TableName="timeline")["Items"]:
        assert int(item["ttl"]["N"]) >= due // 1000 + 90 * DAY_S
    world.clock.set(due + 3 * HOUR_S * 1000)
    assert world.mend().mended == {"ended": 2}
    assert world.in_flight() == 0 and world.stages()["expired"] == 2


def test_nothing_is_forgotten_in_forty_days(world: World) -> None:
    one, two = envelope(2), envelope(2, start=500)
    world.accept(one, two)
    world.close(two, rows_of(two, "sent"), told=False)
    later(world, 10 * DAY_S)
    # Nobody watched for ten days, and then for thirty more.
    later(world, 30 * DAY_S)
    world.mend()
    assert world.in_flight() == 0
    # What a ledger would say is gone by then, so nobody can say that nothing was sent.
    assert world.counts() == {"accepted": 4, "sent": 2, "unknown": 2}


def test_it_says_what_it_cannot_find(world: World) -> None:
    one = envelope(3)
    world.accept(one)
    for item in world.aws.dynamodb.scan(TableName="timeline")["Items"]:
        if "#request#" in item["pk"]["S"]:
            world.aws.dynamodb.delete_item(TableName="timeline", Key={"pk": item["pk"], "sk": item["sk"]})
    later(world, 3 * HOUR_S)
    mark = world.mend()
    assert (mark.found, mark.too_long) == ({"not_found": 3}, 3)
    other = envelope(1, start=700)
    world.tell(tail(other.child("r1", other.recipients), rows_of(other, "sent")).record)
    world.trace()
    later(world, 2 * HOUR_S)
    assert world.mend().found == {"not_found": 2}


def test_more_outcomes_than_messages_are_an_error_of_ours(world: World) -> None:
    one = envelope(2)
    world.tell(tail(one.child("r1", one.recipients), rows_of(one, "sent")).record)
    world.trace()
    later(world, 3 * HOUR_S)
    mark = world.mend()
    assert (mark.found, mark.too_long) == ({"overcounted": 2}, 2)


def test_events_that_are_gone_are_reported(world: World) -> None:
    one = envelope(2)
    world.accept(one)
    for item in world.aws.dynamodb.scan(TableName="timeline")["Items"]:
        if "#request#" not in item["pk"]["S"]:
            world.aws.dynamodb.delete_item(TableName="timeline", Key={"pk": item["pk"], "sk": item["sk"]})
    later(world, 5 * DAY_S)
    assert world.mend().found == {"untraced": 2}


# Which hours


def test_hours_that_are_young_or_balanced_are_not_looked_into(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    done = envelope(2)
    world.accept(done)
    world.close(done, rows_of(done, "sent"))
    later(world, 5 * HOUR_S)
    young = envelope(2, id=_id_at(world.clock.now_ms()), accepted_at=world.clock.now_ms())
    world.accept(young)
    monkeypatch.setattr(world.sweeper.hours._timeline, "requests_of_hour", None)
    mark = world.sweep()
    assert (mark.failed, mark.found) == ([], {})


def test_old_hours_are_read_once_an_hour(world: World) -> None:
    one = envelope(2)
    world.accept(one)
    world.close(one, rows_of(one, "sent"))
    later(world, 20 * DAY_S)
    world.mend()
    # A change of an old hour: it was redriven.
    world.tell(record_of(one, rows_of(one, "redriven", 1)))
    world.trace()
    later(world, 300)
    assert world.mend().found == {}
    later(world, 3600)
    assert world.mend().found == {"not_found": 2}


def test_a_sweep_goes_on_where_the_time_was_over(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hours, "PAGE", 2)
    many = [envelope(1, request=f"{k:026d}", id=_id_at(NOW, k), expires_at=NOW) for k in range(40)]
    world.accept(*many)
    later(world, 3 * HOUR_S)
    sweeps, calls, unfinished = 0, 0, 0

    def short() -> int:
        nonlocal calls
        calls += 1
        return 240_000 if calls % 12 else 0

    while world.in_flight():
        sweeps += 1
        assert sweeps < 40
        mark = world.sweeper.run(short)
        world.trace()
        later(world, 300)
        unfinished += mark.unfinished
    assert unfinished > 2
    assert world.counts() == world.stages() == {"accepted": 40, "expired": 40}
    later(world, HOUR_S)
    assert not world.mend().unfinished and world.marks.hours("default") == {}


def test_every_tenant_is_looked_after(world: World) -> None:
    world.catalog.ensure_tenant("other")
    assert world.catalog.list_tenants() == ["default", "other"]
    one = envelope(2, tenant="other", expires_at=NOW)
    world.accept(one)
    later(world, 4 * HOUR_S)
    assert world.mend().mended == {"ended": 2}


def test_a_part_that_breaks_off_does_not_keep_the_others_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.accept(envelope(2, expires_at=NOW))
    later(world, 4 * HOUR_S)
    monkeypatch.setattr(world.sweeper.schedules, "fire", None)
    mark = world.mend()
    assert (mark.failed, mark.mended) == (["schedules"], {"ended": 2})
    assert world.marks.sweep() == mark


# Schedules


def schedule(world: World, one: Envelope, due_at: int, url: str | None = None) -> str:
    assert world.schedules.create(one.id, due_at, url or world.urls["email.notification"], one.to_json(), "g")
    return schedule_name(one.id, due_at)


def test_an_overdue_schedule_fires_once(world: World) -> None:
    one, two = envelope(1), envelope(1, start=3)
    schedule(world, one, NOW + 60_000)
    future = schedule(world, two, NOW + DAY_S * 1000)
    later(world, 9 * 60)
    assert world.sweep().mended == {}
    later(world, 15 * 60)
    assert world.sweep().mended == {"schedules_fired": 1}
    assert world.queued() == [one.to_json()] and world.names() == [future]
    assert world.sweep().mended == {} and world.queued() == []


@pytest.mark.parametrize("age_s", [20 * 60, 3 * HOUR_S, 2 * DAY_S, 40 * DAY_S, 200 * DAY_S, 400 * DAY_S])
def test_a_schedule_is_found_however_long_it_is_overdue(world: World, age_s: int) -> None:
    name = schedule(world, envelope(1), NOW - age_s * 1000)
    assert world.sweep().mended == {"schedules_fired": 1}
    assert name not in world.names()


@pytest.mark.parametrize("minute", range(0, 60, 7))
def test_no_schedule_that_is_not_due_is_listed(world: World, minute: int) -> None:
    world.clock.set(NOW + minute * 60_000)
    schedule(world, envelope(1), world.clock.now_ms() - 9 * 60_000)
    schedule(world, envelope(1, start=1), world.clock.now_ms() + 60_000)
    assert world.sweep().mended == {} and len(world.names()) == 2


def test_the_name_tells_the_minute_and_the_envelope() -> None:
    assert schedule_name("01JZ0000000000000000000000/r1", NOW) == "202501151000.01JZ0000000000000000000000.r1"
    long = "01JZ0000000000000000000000/d0.1/g1/r1/r2/r3/r4/r5"
    assert schedule_name(long, NOW) == schedule_name(long, NOW) != schedule_name(long + ".1", NOW)
    assert len(schedule_name(long, NOW)) <= 64 and schedule_name(long, NOW).startswith("202501151000.01JZ0")


def test_a_schedule_for_another_queue_stays_and_is_reported(world: World) -> None:
    name = schedule(world, envelope(1), NOW - HOUR_S * 1000, "https://sqs.us-east-1.amazonaws.com/1/elsewhere")
    mark = world.sweep()
    assert (mark.found, mark.mended, world.names()) == ({"schedule_unreadable": 1}, {}, [name])


def test_what_a_schedule_could_not_deliver_is_delivered_and_the_rest_stays(world: World) -> None:
    one, url = envelope(1), world.urls["email.notification"]
    good = json.dumps({"QueueUrl": url, "MessageBody": one.to_json(), "MessageGroupId": "g"})
    others = ["{", "[]", json.dumps({"QueueUrl": url + "x", "MessageBody": "b"}), json.dumps({"QueueUrl": url})]
    for body in (good, *others):
        world.sqs.send_message(QueueUrl=world.schedules_dlq_url, MessageBody=body)
    mark = world.sweep()
    assert (mark.mended, mark.found) == ({"schedules_redelivered": 1}, {"schedule_unreadable": 4})
    assert world.queued() == [one.to_json()]
    attributes = world.sqs.get_queue_attributes(QueueUrl=world.schedules_dlq_url, AttributeNames=["All"])["Attributes"]
    assert attributes["ApproximateNumberOfMessagesNotVisible"] == "4"


# Dying


def everything(world: World) -> list[Envelope]:
    """Something of all that a sweep mends; returns the envelopes that schedules held."""
    purged = envelope(2, expires_at=NOW + 1000)
    broken = envelope(4, start=100, expires_at=NOW + 1000)
    lost = envelope(2, start=200)
    retried = envelope(2, start=300, expires_at=NOW + 1000)
    world.accept(purged, broken, lost, retried)
    rows = rows_of(broken, "sent")[:1] + rows_of(broken, "retrying", 1, due_at=NOW + 500)[1:2]
    world.ledger.acquire(broken.id, Entry("dead", NOW + 1, rows, {"main": [2]}))
    world.close(lost, rows_of(lost, "sent"), told=False)
    world.close(retried, rows_of(retried, "retrying", 1, due_at=NOW + 500))
    scheduled, undelivered = envelope(1, start=400), envelope(1, start=500)
    schedule(world, scheduled, NOW + 60_000)
    body = {"QueueUrl": world.urls["email.notification"], "MessageBody": undelivered.to_json(), "MessageGroupId": "g"}
    world.sqs.send_message(QueueUrl=world.schedules_dlq_url, MessageBody=json.dumps(body))
    later(world, 4 * HOUR_S)
    return [scheduled, undelivered]


CALLS = 15
"""Of that sweep that change something."""
EXPECTED = {"accepted": 10, "sent": 3, "retrying": 3, "expired": 6, "unknown": 1}


def check(world: World, scheduled: list[Envelope]) -> None:
    assert world.counts() == world.stages() == EXPECTED
    assert set(world.outcomes_by_message().values()) == {1}
    # An envelope may be there twice; its ledger has it sent once.
    assert {json.loads(body)["id"] for body in world.queued()} == {one.id for one in scheduled}
    assert world.names() == [] and world.in_flight() == 0


def test_one_sweep_mends_everything(world: World) -> None:
    scheduled = everything(world)
    world.mend()
    check(world, scheduled)
    assert len(world.fate.names) == CALLS


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(1, CALLS + 1))
def test_it_may_die_at_every_call(world: World, at: int, after: bool) -> None:
    scheduled = everything(world)
    world.fate.arm(at, after)
    with pytest.raises(Killed):
        world.sweep()
    world.fate.arm(0)
    world.trace()
    # What was received and not deleted is hidden for a while; SQS goes by its own clock.
    world.sqs.set_queue_attributes(QueueUrl=world.schedules_dlq_url, Attributes={"VisibilityTimeout": "0"})
    _show_again(world)
    later(world, 2 * HOUR_S)
    world.mend()
    world.mend()
    check(world, scheduled)


def _show_again(world: World) -> None:
    from moto.sqs.models import sqs_backends

    for message in sqs_backends["123456789012"]["us-east-1"].queues["schedules-dlq"]._messages:
        message.change_visibility(0)


def _id_at(ms: int, k: int = 0) -> str:
    return ulid_text(ms << 80 | (k + 1) << 20)
