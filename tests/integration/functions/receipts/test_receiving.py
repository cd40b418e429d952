"""Receipts: early, late, repeated, reordered, forged, for unknown messages, and by the thousand."""

import json
import random
from collections import Counter
from typing import Any

import pytest

from functions.receipts.receiving import KEPT_MS
from shared.model.events import accepted_rows, record_of
from shared.model.ids import tag_of
from shared.model.origin import origin_of, whole_origin
from shared.model.receipts import Waiting, as_json
from shared.model.suppression import SuppressionReason
from shared.model.words import Channel, KeyKind, Stage
from shared.store.suppressions import Suppressions
from tests.conftest import Aws
from tests.fakes import FakeClock
from tests.integration.functions.receipts.harness import ReceiptsHarness, ids, receipt, ses_event
from tests.integration.functions.trace.test_aggregate import Fragile, Killed, rows
from tests.samples import envelope

BOUNCE = SuppressionReason.BOUNCE


@pytest.fixture
def harness(aws: Aws, clock: FakeClock) -> ReceiptsHarness:
    return ReceiptsHarness(aws, clock)


def test_a_receipt_comes_into_the_timeline_and_counts(harness: ReceiptsHarness) -> None:
    [message_id] = ids(harness.sent())
    received = harness.receive_bodies(ses_event(message_id))
    harness.tell_all()
    assert harness.stages(message_id) == ["accepted", "sent", "delivered"]
    assert harness.counts() == {"accepted": 1, "sent": 1, "delivered": 1}
    assert (received.told, received.failed) == (Counter({("ses", "delivered"): 1}), [])


def test_repeats_and_any_order_come_to_the_same(harness: ReceiptsHarness) -> None:
    every = [
        receipt(message_id, stage, at=1_736_935_260_000 + 1000 * k, transient=transient)
        for message_id in ids(harness.sent(5))
        for k, (stage, transient) in enumerate(
            [
                (Stage.DELAYED, False),
                (Stage.DELAYED, False),
                (Stage.UNDELIVERED, True),
                (Stage.DELIVERED, False),
                (Stage.UNDELIVERED, False),
                (Stage.COMPLAINED, False),
            ]
        )
    ]
    chance = random.Random(3)
    for _ in range(4):
        chance.shuffle(every)
        harness.receive(*every[: chance.randrange(1, len(every))])
        harness.tell_all()
    harness.receive(*every)
    harness.tell_all()
    once = {"delivered": 5, "undelivered": 5, "undelivered.transient": 5, "complained": 5, "delayed": 10}
    assert harness.counts() == {"accepted": 5, "sent": 5, **once}


def test_one_that_is_early_waits_until_its_message_is_known(harness: ReceiptsHarness) -> None:
    one = envelope(2)
    early, known = ids(one)
    harness.receive(receipt(early), receipt(known))
    [(waiting, delay_s)] = harness.queue.waiting
    assert (len(waiting.waiting), waiting.tries, delay_s) == (2, 1, 1) and harness.stream.records == []
    # Now dispatch has told of one of them.
    harness.tell(record_of(one, rows(one, "sent", account="mail", provider="ses")[1:]))
    harness.clock.advance(1)
    harness.receive_bodies(as_json(waiting))
    harness.tell_all()
    assert harness.stages(known) == ["sent", "delivered"]
    waiting, delay_s = harness.queue.waiting[1]
    assert [each.message_id for each in waiting.waiting] == [early]
    assert (waiting.tries, delay_s, waiting.since) == (2, 3, harness.queue.waiting[0][0].since)


def test_one_for_no_message_of_ours_is_counted_after_an_hour_and_forgotten(harness: ReceiptsHarness) -> None:
    stranger = receipt(ids(envelope(1, start=500))[0])
    harness.receive(stranger)
    delays = []
    for _ in range(20):
        if not harness.queue.waiting:
            break
        waiting, delay_s = harness.queue.waiting.pop()
        delays.append(delay_s)
        harness.clock.advance(delay_s)
        received = harness.receive_bodies(as_json(waiting))
    assert received.unmatched == Counter({"ses": 1})
    assert delays[:5] == [1, 3, 10, 60, 300] and 3600 <= sum(delays) < 3600 + 900
    assert harness.stream.records == [] and harness.listed() == {}


@pytest.mark.parametrize(
    "forged",
    [
        {"account": "another"},
        {"provider": "smtp"},
        {"tenant": "stranger"},
        {"message_id": "no id at all"},
        {"message_id": "0" * 42},
        {"message_id": None, "provider_id": "p-2"},
    ],
    ids=str,
)
def test_a_receipt_that_does_not_fit_its_message_is_not_believed(
    harness: ReceiptsHarness, forged: dict[str, Any]
) -> None:
    [message_id] = ids(harness.sent())
    true: dict[str, Any] = {"message_id": message_id, "stage": Stage.UNDELIVERED, "suppresses": BOUNCE}
    harness.receive(receipt(**true | forged))
    assert harness.stream.records == [] and harness.listed() == {}
    assert len(harness.queue.waiting) == 1


def test_a_thousand_at_once_take_few_requests_and_few_records(harness: ReceiptsHarness) -> None:
    every = [id for k in range(10) for id in ids(harness.sent(100, start=100 * k))]
    counting = Fragile(harness.aws.dynamodb)
    receiver = harness.receiver(counting)
    for start in range(0, 1000, 100):
        harness.receive_bodies(*(ses_event(id) for id in every[start : start + 100]), receiver=receiver)
    assert counting.calls == 10, "a hundred events by a read"
    assert len(harness.stream.records) <= 2 * 10
    harness.tell_all()
    assert harness.counts()["delivered"] == 1000


def test_what_cannot_be_read_comes_back_alone(harness: ReceiptsHarness) -> None:
    [message_id] = ids(harness.sent())
    unknown = json.dumps({"source": "aws.other", "detail": {}})
    broken = json.dumps({"source": "aws.ses", "detail": {"eventType": "Delivery", "mail": {"tags": {}}}})
    odd = json.dumps({"source": "aws.ses", "detail": {"eventType": "Bounce", "bounce": 7, "mail": {"tags": []}}})
    bodies = ["", "{", "[]", "null", "{}", unknown, broken, odd, ses_event(message_id)]
    received = harness.receive_bodies(*bodies)
    assert received.failed == [str(i) for i in range(8)]
    assert received.told == Counter({("ses", "delivered"): 1})


def test_an_event_that_says_nothing_of_a_message_is_nothing(harness: ReceiptsHarness) -> None:
    [message_id] = ids(harness.sent())
    received = harness.receive_bodies(ses_event(message_id, "Send"), ses_event(message_id, "Something New"))
    assert (received.failed, harness.stream.records, harness.queue.waiting) == ([], [], [])


def test_by_a_topic_of_sns_it_is_the_same(harness: ReceiptsHarness) -> None:
    [message_id] = ids(harness.sent())
    event = json.dumps(json.loads(ses_event(message_id))["detail"])
    harness.receive_bodies(json.dumps({"Type": "Notification", "MessageId": "m", "Message": event}))
    harness.tell_all()
    assert harness.stages(message_id) == ["accepted", "sent", "delivered"]


def test_whoever_bounced_is_on_the_list_once_and_with_the_message(harness: ReceiptsHarness) -> None:
    one, two = ids(harness.sent(2))
    bounce = receipt(one, Stage.UNDELIVERED, suppresses=BOUNCE, address="u0@example.com", code="550 5.1.1")
    for _ in range(2):
        harness.receive(bounce, bounce, receipt(two))
    assert harness.listed() == {"u0@example.com": [BOUNCE]}
    store = Suppressions(harness.aws.dynamodb, "catalog", harness.clock)
    [entry] = store.find("default", Channel.EMAIL, [tag_of(one)])[tag_of(one)]
    assert (entry.by, entry.message, entry.note, entry.scope) == ("receipt", one, "550 5.1.1", "all")


def test_a_test_keys_messages_list_nobody(harness: ReceiptsHarness) -> None:
    [message_id] = ids(harness.sent(kind=KeyKind.TEST))
    harness.receive(receipt(message_id, Stage.UNDELIVERED, suppresses=BOUNCE, address="u0@example.com"))
    assert harness.listed() == {}


def test_it_may_die_at_every_call_and_still_come_to_the_same(harness: ReceiptsHarness) -> None:
    every = ids(harness.sent(3))
    batch = [
        receipt(every[0]),
        receipt(every[1], Stage.UNDELIVERED, suppresses=BOUNCE, address="u1@example.com"),
        receipt(every[2], Stage.COMPLAINED, suppresses=SuppressionReason.COMPLAINT, address="u2@example.com"),
        receipt(ids(envelope(1, start=500))[0]),
    ]
    counting = Fragile(harness.aws.dynamodb)
    harness.receive(*batch, receiver=harness.receiver(counting))
    assert counting.calls >= 5
    for at in range(1, counting.calls + 1):
        for after in (False, True):
            try:
                harness.receive(*batch, receiver=harness.receiver(Fragile(harness.aws.dynamodb, at, after)))
            except Killed:
                harness.receive(*batch)
            harness.tell_all()
    assert harness.counts() == {"accepted": 3, "sent": 3, "delivered": 1, "undelivered": 1, "complained": 1}
    assert harness.listed() == {"u1@example.com": [BOUNCE], "u2@example.com": [SuppressionReason.COMPLAINT]}


def test_a_queue_that_takes_nothing_back_has_the_batch_come_again(harness: ReceiptsHarness) -> None:
    harness.queue.broken = True
    with pytest.raises(OSError, match="does not answer"):
        harness.receive(receipt(ids(envelope(1, start=500))[0]))


def test_only_an_accepted_message_takes_a_receipt_too(harness: ReceiptsHarness) -> None:
    """Its answer was lost, and it is tried again: that it was delivered is known before it is said to be sent."""
    one = envelope(1)
    [message_id] = ids(one)
    harness.tell(record_of(one, accepted_rows(one)))
    for tries in (0, 1):
        asking = Fragile(harness.aws.dynamodb)
        harness.receive(receipt(message_id), receiver=harness.receiver(asking), tries=tries)
        assert (harness.stream.records, asking.calls) == ([], 1), "it may be told in a moment"
    harness.receive(receipt(message_id), tries=2)
    harness.tell_all()
    assert harness.stages(message_id) == ["accepted", "delivered"]


def test_what_waits_is_kept_an_hour_from_when_it_first_came() -> None:
    waiting = Waiting(since=7, tries=3, waiting=[])
    assert KEPT_MS == 3_600_000 and json.loads(as_json(waiting))["since"] == 7


def test_what_rode_along_says_all_and_nothing_is_asked(harness: ReceiptsHarness) -> None:
    one = envelope(2, run="spring.01KAV2M3X80000000000000000", variant="b")
    first, second = ids(one)
    origin = whole_origin("default", "mail", origin_of(one))
    counting = Fragile(harness.aws.dynamodb)
    # Neither the trace knows of it, nor does anybody have to.
    receipts = [receipt(first, origin=origin, tenant=None, took_ms=700), receipt(second, origin="?", tenant="default")]
    harness.receive(*receipts, receiver=harness.receiver(counting))
    assert counting.calls == 1, "the other one's is no origin, and is looked up"
    [(waiting, _)] = harness.queue.waiting
    assert [each.message_id for each in waiting.waiting] == [second]
    harness.tell_all()
    [event] = harness.trace.parts().timeline.events("default", first)
    assert (event.stage, event.account, event.run, event.variant, event.took_ms) == (
        *("delivered", "mail", one.run, "b"),
        700,
    )
    assert event.request == one.request


def test_an_origin_is_not_believed_of_another_account(harness: ReceiptsHarness) -> None:
    one = envelope(1)
    origin = whole_origin("default", "mail", origin_of(one))
    harness.receive(receipt(ids(one)[0], origin=origin, account="another"))
    assert harness.stream.records == [] and len(harness.queue.waiting) == 1


def test_a_message_that_tries_a_topic_is_counted_and_keeps_no_receipt_back(harness: ReceiptsHarness) -> None:
    [message_id] = ids(harness.sent())
    tried = "Successfully validated SNS topic for Amazon SES event publishing."
    received = harness.receive_bodies(tried, ses_event(message_id))
    assert (received.notices, received.failed) == (Counter({"topic": 1}), [])
    assert received.told == Counter({("ses", "delivered"): 1})


def test_what_comes_by_eventbridge_and_by_a_topic_counts_once(harness: ReceiptsHarness) -> None:
    [message_id] = ids(harness.sent())
    by_bus = ses_event(message_id)
    by_topic = json.dumps(json.loads(by_bus)["detail"])
    wrapped = json.dumps({"Type": "Notification", "Message": by_topic})
    for body in (by_topic, by_bus, wrapped, by_topic):
        assert harness.receive_bodies(body).failed == []
        harness.tell_all()
    assert harness.counts() == {"accepted": 1, "sent": 1, "delivered": 1}
