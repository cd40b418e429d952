"""Sent messages that fall back: by a receipt, by the end of their time, once, and whatever breaks in between."""

from contextlib import suppress
from typing import Any

import pytest

from functions.receipts.receiving import Received
from shared.lifecycle.fallback import decide
from shared.lifecycle.tail import tail
from shared.model.address import mask
from shared.model.envelope import Envelope, FallbackLeg
from shared.model.events import fold
from shared.model.ids import ULID_LENGTH, new_base
from shared.model.receipts import Look, as_json
from shared.model.suppression import SuppressionReason
from shared.model.words import Channel, Stage, Until
from shared.store.awaiting import AwaitingStore, What
from tests.conftest import Aws
from tests.fakes import FakeClock
from tests.integration.functions.receipts.harness import ReceiptsHarness, ids, receipt
from tests.integration.functions.trace.test_aggregate import Fragile, Killed, rows
from tests.unit.shared.lifecycle.test_fallback import END, MINUTE, leg, one

EMAIL, SMS = Channel.EMAIL, Channel.SMS


class World(ReceiptsHarness):
    """Messages that were sent, and must come to more than that."""

    def __init__(self, aws: Aws, clock: FakeClock) -> None:
        super().__init__(aws, clock)
        self.store = AwaitingStore(aws.dynamodb, "guard", clock)

    def send(
        self, count: int, until: Until, minutes: int | None = 20, *more: FallbackLeg, kept: bool = True, base: str = ""
    ) -> Envelope:
        """Emails that fall back to SMS: what dispatch records, tells and, unless it died before, keeps of them."""
        changes: dict[str, Any] = {"id": base, "request": base, "accepted_at": self.clock.now_ms()} if base else {}
        parent = one(count, leg(SMS, minutes, until), *more, **changes)
        sent = rows(parent, "sent", account="mail", provider="ses")
        decide(parent, sent)
        done = tail(parent, sent)
        self.tell(done.record)
        assert done.awaited is not None
        self.awaited = done.awaited
        if kept:
            self.store.keep(done.awaited.envelope)
        return parent

    def look(self, parent: Envelope) -> Received:
        return self.receive_bodies(as_json(Look(look=parent.id, due_at=self.awaited.due_at or 0)))

    def time_is_over(self) -> None:
        assert self.awaited.due_at is not None
        self.clock.set(self.awaited.due_at)

    def fell(self, message_id: str) -> list[Any]:
        self.tell_all()
        return [e for e in self.events(message_id) if e.stage == "fell_back"]

    def events(self, message_id: str) -> list[Any]:
        return self.trace.parts().timeline.events("default", message_id)

    def others(self) -> list[tuple[str, list[int]]]:
        """What was queued: ids' endings, and recipients."""
        return [(id.rpartition("/")[2], [r.index for r in e.recipients]) for id, e in sorted(self.queues.sent.items())]


@pytest.fixture
def world(aws: Aws, clock: FakeClock) -> World:
    return World(aws, clock)


def test_who_is_not_heard_of_in_time_gets_the_other_message(world: World) -> None:
    parent = world.send(3, Until.DELIVERED)
    first, second, third = ids(parent)
    world.receive(receipt(second, Stage.DELIVERED))
    world.look(parent)
    assert world.queues.sent == {} and [look.look for look, _ in world.queue.looks] == [parent.id], "it is too early"
    world.time_is_over()
    assert world.look(parent).failed == []
    assert world.others() == [("fl", [0, 2])]
    [other] = world.queues.sent.values()
    assert (other.channel, other.template, other.expires_at, other.fallback) == (SMS, "code-sms", END, [])
    assert (other.accepted_at, other.opens) == (world.clock.now_ms(), True)
    for message_id in (first, third):
        [told] = world.fell(message_id)
        assert (told.reason, told.at) == ("no_delivery_in_time", world.clock.now_ms())
        assert told.fell_back_to.tag in {r.tag for r in other.recipients}
        # What is known of the message itself stays what it is.
        assert fold(world.events(message_id)).state is Stage.SENT
    assert world.fell(second) == []
    assert world.counts()["fell_back"] == 2 and world.counts()["accepted"] == 5
    there = world.events(first[:ULID_LENGTH] + other.recipients[0].tag)
    assert [(e.stage, e.stands_in_for) for e in there] == [("accepted", parent.recipients[0].tag)]
    assert there[0].sealed_address, "who may see whole addresses sees this one, too"


@pytest.mark.parametrize(
    ("until", "stage", "more", "others"),
    [
        (Until.DELIVERED, Stage.DELIVERED, {}, False),
        (Until.DELIVERED, Stage.OPENED, {}, False),
        (Until.DELIVERED, Stage.ACKNOWLEDGED, {}, False),
        (Until.DELIVERED, Stage.COMPLAINED, {}, False),
        (Until.DELIVERED, Stage.DELAYED, {}, True),
        # It may be an out-of-office reply, or a text of which no carrier says anything.
        (Until.DELIVERED, Stage.UNDELIVERED, {"transient": True, "may_arrive": True}, True),
        (Until.ACKNOWLEDGED, Stage.DELIVERED, {}, True),
        (Until.ACKNOWLEDGED, Stage.CLICKED, {}, True),
        (Until.ACKNOWLEDGED, Stage.ACKNOWLEDGED, {}, False),
        (Until.ACKNOWLEDGED, Stage.UNSUBSCRIBED, {}, False),
        # Whoever may not see the app any more did not decide that.
        (Until.ACKNOWLEDGED, Stage.UNSUBSCRIBED, {"suppresses": SuppressionReason.PROVIDER}, True),
        # They do not want to hear of it by another channel either.
        (Until.DELIVERED, Stage.UNDELIVERED, {"reason": "recipient_opted_out"}, False),
    ],
    ids=str,
)
def test_what_is_said_settles_it_or_does_not(
    world: World, until: Until, stage: Stage, more: dict[str, Any], others: bool
) -> None:
    parent = world.send(1, until)
    world.receive(receipt(ids(parent)[0], stage, **more))
    assert world.queues.sent == {}
    world.time_is_over()
    world.look(parent)
    assert bool(world.queues.sent) is others


def test_what_comes_back_falls_back_at_once_and_alone(world: World) -> None:
    parent = world.send(3, Until.ACKNOWLEDGED)
    back = receipt(ids(parent)[1], Stage.UNDELIVERED, reason="address_unknown")
    for _ in range(2):
        world.receive(back)
        world.clock.advance(5)
    assert world.others() == [("fu1", [1])]
    [told] = world.fell(ids(parent)[1])
    assert (told.reason, fold(world.events(ids(parent)[1])).state) == ("address_unknown", Stage.UNDELIVERED)
    world.time_is_over()
    world.look(parent)
    assert world.others() == [("fl", [0, 2]), ("fu1", [1])]


@pytest.mark.parametrize("until", [Until.DELIVERED, Until.ACKNOWLEDGED])
def test_so_does_what_did_not_arrive_at_a_good_address(world: World, until: Until) -> None:
    """Such as a code to a phone without reception: nobody else waits for it."""
    world.receive(receipt(ids(world.send(1, until))[0], Stage.UNDELIVERED, transient=True, reason="mailbox_full"))
    assert world.others() == [("fu0", [0])]


def test_without_minutes_only_what_comes_back_falls_back(world: World) -> None:
    parent = world.send(2, Until.DELIVERED, None)
    assert world.awaited.due_at is None
    world.receive(receipt(ids(parent)[0], Stage.UNDELIVERED, reason="mailbox_full"))
    assert world.others() == [("fu0", [0])]


def test_a_receipt_that_overtakes_the_dispatcher_waits_for_it(world: World) -> None:
    parent = world.send(1, Until.DELIVERED, kept=False)
    back = receipt(ids(parent)[0], Stage.UNDELIVERED, reason="address_unknown")
    world.receive(back)
    assert world.queues.sent == {} and [w.waiting for w, _ in world.queue.waiting] == [[back]]
    world.store.keep(world.awaited.envelope)
    world.receive_bodies(as_json(world.queue.waiting[0][0]))
    assert world.others() == [("fu0", [0])]


def test_a_delivery_that_overtakes_the_dispatcher_counts(world: World) -> None:
    parent = world.send(1, Until.DELIVERED, kept=False)
    world.receive(receipt(ids(parent)[0], Stage.DELIVERED))
    assert world.queue.waiting == []
    world.store.keep(world.awaited.envelope)
    world.time_is_over()
    world.look(parent)
    assert world.queues.sent == {}


def test_a_message_that_is_not_known_to_be_sent_is_waited_for(world: World) -> None:
    """Its acceptance alone does not say where its fallback waits."""
    parent = one(1, leg(SMS, 20, Until.DELIVERED))
    world.tell(tail(parent, []).record)
    world.receive(receipt(ids(parent)[0]), tries=5)
    assert world.stream.records == [] and len(world.queue.waiting) == 1


def test_a_receipt_that_comes_too_late_changes_nothing_and_shows(world: World) -> None:
    parent = world.send(1, Until.DELIVERED)
    world.time_is_over()
    world.look(parent)
    world.clock.advance(60)
    world.receive(receipt(ids(parent)[0], Stage.DELIVERED), receipt(ids(parent)[0], Stage.UNDELIVERED))
    world.look(parent)
    assert world.others() == [("fl", [0])]
    assert [e.stage for e in world.fell(ids(parent)[0])] == ["fell_back"]
    assert {"delivered", "undelivered"} <= {e.stage for e in world.events(ids(parent)[0])}


def test_who_comes_back_while_the_late_are_queued_leaves_them_together(world: World) -> None:
    """All of them were decided on, and none is queued yet: nobody else may make their envelope of some of them."""
    parent = world.send(3, Until.DELIVERED)
    world.time_is_over()
    world.queues.broken = True
    assert world.look(parent).failed == ["0"]
    world.queues.broken = False
    world.receive(receipt(ids(parent)[1], Stage.UNDELIVERED, reason="address_unknown"))
    assert world.queues.sent == {}
    world.look(parent)
    assert world.others() == [("fl", [0, 1, 2])]


def test_nothing_follows_once_the_whole_time_is_over(world: World) -> None:
    parent = world.send(2, Until.DELIVERED)
    world.clock.set(END)
    world.receive(receipt(ids(parent)[0], Stage.UNDELIVERED))
    world.look(parent)
    assert world.queues.sent == {} and world.fell(ids(parent)[1]) == []


def test_who_is_recalled_gets_no_other(world: World) -> None:
    parent = world.send(2, Until.DELIVERED)
    assert world.store.decide(parent.id, [0], What.RECALLED)[0].what is What.RECALLED
    world.receive(receipt(ids(parent)[0], Stage.UNDELIVERED))
    world.time_is_over()
    world.look(parent)
    assert world.others() == [("fl", [1])]


def test_the_next_channel_waits_as_its_own_template_says(world: World) -> None:
    parent = world.send(1, Until.ACKNOWLEDGED, 5, leg(Channel.WECOM, 9, Until.DELIVERED))
    world.time_is_over()
    world.look(parent)
    [other] = world.queues.sent.values()
    [next_leg] = other.fallback
    assert (next_leg.channel, next_leg.until, next_leg.after_s) == (Channel.WECOM, Until.DELIVERED, 540)
    assert other.expires_at == other.accepted_at + 9 * MINUTE and other.waits


def test_a_card_that_one_takes_is_taken_for_all_who_have_it(world: World) -> None:
    parent = world.send(3, Until.ACKNOWLEDGED, kept=False)
    press = receipt(ids(parent)[1], Stage.ACKNOWLEDGED, for_all=True, note="mine", by="u1")
    world.receive(press)
    assert [w.waiting for w, _ in world.queue.waiting] == [[press]], "who else has it is not known yet"
    world.store.keep(world.awaited.envelope)
    for _ in range(2):
        world.receive(press)
    world.time_is_over()
    world.look(parent)
    assert world.queues.sent == {}
    world.tell_all()
    for message_id, person in zip(ids(parent), parent.recipients, strict=True):
        [told] = [e for e in world.events(message_id) if e.stage == "acknowledged"]
        assert (told.note, told.masked_address) == ("mine", mask("email", person.address))
    assert world.counts()["acknowledged"] == 3


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_it_may_die_at_every_call(world: World, after: bool) -> None:
    for at in range(1, 40):
        world.queues.sent.clear()
        parent = world.send(3, Until.DELIVERED, base=new_base(world.clock.now_ms()))
        dying = Fragile(world.aws.dynamodb, at, after)
        with suppress(Killed):
            _go_through(world, parent, dying)
        _go_through(world, parent, None)
        assert world.others() == [("fl", [0]), ("fu1", [1])]
        assert [len(world.fell(id)) for id in ids(parent)] == [1, 1, 0]
        if dying.calls < at:
            return
    raise AssertionError("it has no end")


def _go_through(world: World, parent: Envelope, client: Any) -> None:
    """All that follows, by a process whose calls of the tables may break."""
    receiver = world.receiver(client)
    _, back, third = ids(parent)
    at = world.awaited.envelope.accepted_at
    world.receive(receipt(back, Stage.UNDELIVERED, reason="address_unknown", at=at), receiver=receiver)
    world.receive(receipt(third, Stage.DELIVERED, at=at), receiver=receiver)
    world.clock.set(max(world.clock.now_ms(), world.awaited.due_at or 0))
    body = as_json(Look(look=parent.id, due_at=world.awaited.due_at or 0))
    assert world.receive_bodies(body, receiver=receiver).failed == []


def test_what_cannot_be_queued_comes_back(world: World) -> None:
    parent = world.send(2, Until.DELIVERED)
    world.time_is_over()
    world.queues.broken = True
    assert world.look(parent).failed == ["0"] and world.fell(ids(parent)[0]) == []
    world.queues.broken = False
    world.clock.advance(60)
    # One that arrives by then comes too late: it was decided.
    world.receive(receipt(ids(parent)[0]))
    assert world.look(parent).failed == [] and world.others() == [("fl", [0, 1])]
