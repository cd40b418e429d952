"""Fallback to another channel: who falls back and who does not, and that it is one message however often it is told."""

from copy import deepcopy
from typing import Any

import pytest
from msgspec.structs import replace

from functions.trace.views import view
from shared.lifecycle.settle import settle
from shared.lifecycle.tail import tail
from shared.model.envelope import Envelope, EnvelopeRecipient, FallbackLeg
from shared.model.events import EventRow, FallenTo, fold
from shared.model.ids import Numbering, Tagger
from shared.model.letters import letters_of, redriven
from shared.model.outcome import Outcome, Rejected, Retry, Sent, Unknown
from shared.model.policies import ClassPolicies, Policies, QuietHours, QuietWindow
from shared.model.reasons import Reason
from shared.model.suppression import SuppressionEntry, SuppressionReason, SuppressionScope
from shared.model.tenants import TenantSettings
from shared.model.words import Channel, KeyKind, MessageClass, Until
from shared.policy.sealing import Sealer
from shared.providers.base import Outgoing
from shared.store.kept_events import KeptEvent, kept_event
from shared.store.ledger import Entry
from tests.samples import NOW, TENANT, envelope, recipients
from tests.unit.shared.dispatch.harness import DispatchHarness, harness
from tests.unit.shared.lifecycle.test_recall import before

M = MessageClass
MINUTE = 60_000
END = NOW + 3 * 86_400_000
REFUSED = Rejected(Reason.ADDRESS_UNKNOWN, "550")
BUSY = Retry(Reason.THROTTLED, "busy")
LOST = Unknown(Reason.TIMED_OUT, "lost")


def leg(channel: Channel, after_minutes: int | None = None, until: Until = Until.SENT) -> FallbackLeg:
    after_s = None if after_minutes is None else 60 * after_minutes
    return FallbackLeg(channel, f"code-{channel}", 4, after_s, END, ["name"], until)


SMS = leg(Channel.SMS)


def one(count: int = 1, *legs: FallbackLeg, **changes: Any) -> Envelope:
    """An envelope whose recipients fall back to these legs, by default to SMS."""
    legs = legs or (SMS,)
    people = recipients(count)
    for person in people:
        addresses = {"sms": f"+8613800{person.index:06d}", "wecom": f"u{person.index}"}
        person.other_addresses = {
            each.channel.value: (to := addresses[each.channel], Tagger(TENANT.salt, each.channel)(to)) for each in legs
        }
    values: dict[str, Any] = {"recipients": people, "fallback": list(legs), "expires_at": END}
    return envelope(**values | changes)


def children(w: DispatchHarness) -> list[Envelope]:
    return [d.envelope for d in w.dispatched if d.envelope.opens]


def events(w: DispatchHarness, stage: str, channel: Channel = Channel.EMAIL) -> list[EventRow]:
    return [e for record in w.records if record.channel is channel for e in record.events if e.stage == stage]


def test_who_is_refused_is_sent_to_by_the_other_channel() -> None:
    def script(message: Outgoing) -> Outcome:
        return REFUSED if message.to == "u1@example.com" else Sent("p")

    with harness(script) as w:
        parent = one(3, variables={"name": "all", "other": 1}, reference="r")
        assert w.run(parent) == []
        [child] = children(w)
        [failed] = events(w, "failed")
        tag = Tagger(TENANT.salt, "sms")("+8613800000001")
        assert failed.fell_back_to == FallenTo("sms", "code-sms", 4, tag)
        assert (child.id, child.channel, child.template, child.version) == (parent.id + "/f1", "sms", "code-sms", 4)
        assert (child.attempt, child.generation, child.times_put_off, child.fallback) == (0, 0, 0, [])
        assert (child.accepted_at, child.expires_at, child.reference) == (failed.at, END, "r")
        assert child.variables == {"name": "all"}
        [person] = child.recipients
        assert person == EnvelopeRecipient(
            1, "+8613800000001", tag, {"name": "n1"}, stands_in_for=parent.recipients[1].tag
        )
        # Both are told: the message that failed, and the one that is accepted in its place.
        assert w.stages() == {"accepted": 4, "sent": 2, "failed": 1}
        [accepted] = events(w, "accepted", Channel.SMS)
        assert accepted.stands_in_for == parent.recipients[1].tag and (accepted.masked_address or "").endswith("01")
        opened = next(record for record in w.records if record.channel is Channel.SMS)
        assert (opened.envelope, opened.template, opened.partition_key) == (child.id, "code-sms", parent.id)
        assert [id for id, _ in opened.message_ids()] == [Numbering(parent.id)(1) + tag]


def test_the_tail_may_be_repeated() -> None:
    with harness(lambda m: REFUSED) as w:
        parent = one(2)
        w.broken = {"stream"}
        assert w.run(parent) == ["0"]
        w.broken = set()
        w.clock.advance(60)
        assert w.run(parent) == []
        first, second = children(w)
        assert first == second and w.providers["main"].calls == 2
        assert w.stages() == {"accepted": 4, "failed": 2}


def test_the_fallback_says_again_that_it_is_accepted() -> None:
    with harness(lambda m: REFUSED) as w:
        w.run(one())
        [child] = children(w)
        told = tail(child, [], Sealer(TENANT.salt).seal)
        accepted = [e for e in told.record.events if e.stage == "accepted"]
        assert accepted == events(w, "accepted", Channel.SMS)
        # What carries it on begins nothing.
        [carried] = told.dispatches
        assert carried.envelope.id == child.id + "/c1" and not carried.envelope.opens
        assert not tail(carried.envelope, []).record.events


def test_without_an_address_or_a_fallback_nothing_changes() -> None:
    with harness(lambda m: REFUSED) as w:
        alone = one(2)
        alone.recipients[0].other_addresses = {}
        w.run(alone, envelope(1, start=200))
        assert [r.index for child in children(w) for r in child.recipients] == [1]
        assert [e.fell_back_to is not None for e in events(w, "failed")] == [False, True, False]


def stop(reason: SuppressionReason) -> SuppressionEntry:
    return SuppressionEntry(scope=SuppressionScope.ALL, reason=reason, by="k1", at=0, note="")


@pytest.mark.parametrize("reason", SuppressionReason)
def test_an_address_that_bounced_falls_back_and_a_persons_wish_holds_for_all(reason: SuppressionReason) -> None:
    with harness() as w:
        parent = one()
        w.suppressed = {parent.recipients[0].tag: [stop(reason)]}
        w.run(parent)
        falls = reason in (SuppressionReason.BOUNCE, SuppressionReason.PROVIDER)
        assert bool(children(w)) is falls and w.stages()["suppressed"] == 1


def test_who_opted_out_gets_codes_alone() -> None:
    def opted_out(message: Outgoing) -> Outcome:
        return Rejected(Reason.RECIPIENT_OPTED_OUT, "21610")

    for message_class in M:
        with harness(opted_out) as w:
            w.run(one(message_class=message_class))
            assert bool(children(w)) is (message_class is M.VERIFICATION)


def test_when_the_tries_are_used_up_it_has_failed_and_is_no_dead_letter() -> None:
    with harness(lambda m: BUSY) as w:
        w.run(one(2, attempt=7))
        assert w.dead == [] and w.stages() == {"accepted": 2, "failed": 2}
        assert {(e.reason, e.code) for e in events(w, "failed")} == {("throttled", "busy")}
        [child] = children(w)
        assert len(child.recipients) == 2


def test_so_it_does_when_no_account_is_left() -> None:
    with harness() as w:
        del w.accounts["main"]
        w.run(one(attempt=7))
        [failed] = events(w, "failed")
        assert failed.reason == Reason.NO_ACCOUNT and children(w) and not w.dead


def test_the_last_leg_ends_as_a_dead_letter() -> None:
    with harness(lambda m: BUSY) as w:
        w.run(envelope(attempt=7))
        assert len(w.dead) == 1 and not children(w)


def test_what_is_not_sent_in_time_falls_back_and_has_the_rest_of_the_time() -> None:
    with harness() as w:
        w.run(late := one(1, leg(Channel.SMS, 5), expires_at=NOW + 5 * MINUTE))
        assert not children(w)
        other = replace(late, id=Numbering(late.id)(200))
        w.clock.advance(300)
        w.run(other)
        [expired] = events(w, "expired")
        [child] = children(w)
        assert expired.reason == Reason.EXPIRED and child.expires_at == END
        assert {record.expires_at for record in w.records} == {END}


def test_a_retry_that_would_come_too_late_falls_back_at_once() -> None:
    with harness(lambda m: Retry(Reason.THROTTLED, "busy", after=600)) as w:
        w.run(one(1, leg(Channel.SMS, 5), expires_at=NOW + 5 * MINUTE))
        [child] = children(w)
        assert child.accepted_at == NOW and w.stages() == {"accepted": 2, "expired": 1}


def test_once_the_time_of_all_is_over_nobody_falls_back() -> None:
    with harness() as w:
        w.clock.advance(3 * 86400)
        w.run(one(2))
        assert not children(w) and w.stages() == {"accepted": 2, "expired": 2}


def test_a_chain_of_three_gives_each_its_time() -> None:
    with harness(lambda m: REFUSED) as w:
        w.run(one(1, leg(Channel.SMS, 5), leg(Channel.WECOM, 7)))
        [second] = children(w)
        assert second.expires_at == NOW + 7 * MINUTE and second.ends_at == END
        assert [each.channel for each in second.fallback] == [Channel.WECOM]
        assert second.recipients[0].other_addresses.keys() == {"wecom"}
    at = NOW + MINUTE
    row: EventRow = EventRow(index=0, tag=second.recipients[0].tag, stage="failed", nth=0, at=at)
    row.fell_back_to = FallenTo("wecom", "code-wecom", 4, second.recipients[0].other_addresses["wecom"][1])
    [dispatch] = tail(second, [row]).dispatches
    third = dispatch.envelope
    assert (third.id, third.channel, third.expires_at) == (second.id + "/f1", "wecom", END)
    assert third.recipients[0].address == "u0" and third.recipients[0].stands_in_for == second.recipients[0].tag
    assert not third.recipients[0].other_addresses and third.root == second.root


@pytest.mark.parametrize("message_class", M)
def test_what_may_have_been_sent_never_falls_back(message_class: MessageClass) -> None:
    with harness(lambda m: LOST) as w:
        parent = one(2, message_class=message_class)
        w.run(parent)
        # Neither does it where a later try is refused, nor when the tries are used up, nor when the time is over.
        in_doubt = {"maybe_sent": [0, 1], "message_class": message_class}
        w.providers["main"].script = lambda m: REFUSED
        w.run(one(2, id=parent.id + "/r1", attempt=1, **in_doubt))
        w.providers["main"].script = lambda m: BUSY
        w.run(one(2, id=parent.id + "/r9", attempt=9, **in_doubt))
        w.clock.advance(3 * 86400)
        w.run(one(2, id=parent.id + "/r2", attempt=2, **in_doubt))
        assert not children(w)
        assert not any(e.fell_back_to is not None for record in w.records for e in record.events)


def test_what_was_in_flight_in_a_crash_does_not_fall_back() -> None:
    with harness() as w:
        parent = one(2, message_class=M.MARKETING)
        w.entries[parent.id] = Entry("dead", NOW - 1, flight={"main": [0]})
        w.providers["main"].script = lambda m: REFUSED
        w.run(parent)
        assert [r.index for child in children(w) for r in child.recipients] == [1]
        assert [e.index for e in events(w, "unknown")] == [0]


def test_in_quiet_hours_it_waits_and_does_not_fall_back() -> None:
    """Its time before it falls back begins when it is awake."""
    night = QuietHours(windows=(QuietWindow(start="18:00", end="08:00"),), spread_minutes=0)
    with harness() as w:
        w.tenant_settings = TenantSettings(
            policies=ClassPolicies(notification=Policies(quiet_hours=night)), time_zone="Asia/Shanghai"
        )
        w.run(one(1, leg(Channel.SMS, 5), expires_at=NOW + 5 * MINUTE))
        [waits] = [d for d in w.dispatched]
        assert waits.due_at is not None and waits.envelope.expires_at == waits.due_at + 5 * MINUTE
        # And one that has no time any more when it is awake ends, on every channel.
        short = replace(leg(Channel.SMS, 5), expires_at=NOW + 60 * MINUTE)
        w.run(one(1, short, id=Numbering(envelope().id)(200), expires_at=NOW + 5 * MINUTE))
        [expired] = events(w, "expired")
        assert expired.reason == Reason.QUIET_HOURS and not children(w)


def test_a_recall_stops_it_as_long_as_nothing_is_recorded_for_good() -> None:
    with harness(lambda m: REFUSED) as w:
        first, second = one(), one(id=Numbering(envelope().id)(200))
        w.mark(first, 0)
        w.run(first)
        before(w, "record", lambda: w.mark(second, 0))
        w.run(second)
        assert not children(w) and w.stages() == {"accepted": 2, "recalled": 2}


def test_what_a_test_key_plays_falls_back() -> None:
    with harness() as w:
        parent = one(kind=KeyKind.TEST)
        parent.recipients[0].address = "refused@example.com"
        w.run(parent)
        [child] = children(w)
        assert child.kind is KeyKind.TEST and child.recipients[0].address == "+8613800000000"


class Ledger:
    """A ledger that holds one entry at most."""

    def __init__(self, entry: Entry | None = None) -> None:
        self.entry = entry

    def acquire(self, envelope_id: str, entry: Entry) -> Entry | None:
        there, self.entry = self.entry, self.entry or deepcopy(entry)
        return there

    def take_over(self, envelope_id: str, seen: Entry, entry: Entry) -> Entry | None:
        self.entry = deepcopy(entry)
        return None


def test_an_envelope_that_its_queue_gave_up_falls_back_but_for_who_may_have_been_sent_to() -> None:
    with harness() as w:
        parent = one(4, maybe_sent=[1], ask_account={2: "main"})
        ledger = Ledger(Entry("dead", 0, flight={"main": [3]}))
        found = settle(parent, ledger, w.clock)
        assert found == settle(parent, ledger, w.clock)
    [child] = [d.envelope for d in found.dispatches if d.envelope.opens]
    assert [r.index for r in child.recipients] == [0]
    assert [record.channel for record in found.records] == [Channel.EMAIL, Channel.SMS]
    assert found.dead is not None and found.dead.maybe_sent == [1, 2]


def test_a_dead_letter_has_its_whole_time_again_and_falls_back_no_more() -> None:
    with harness(lambda m: BUSY) as w:
        w.run(one(1, leg(Channel.SMS, 5), attempt=7, maybe_sent=[0], expires_at=NOW + 5 * MINUTE))
        [dead] = w.dead
    [(letter, body)] = letters_of(dead, NOW)
    again = redriven(letter.model_copy(update={"changed_at": NOW + MINUTE}), body)
    assert again.expires_at == NOW + MINUTE + (END - NOW) and not again.fallback


def test_a_repeat_that_knows_of_no_fallback_leaves_it_to_who_recorded_it() -> None:
    with harness(lambda m: REFUSED) as w:
        parent = one()
        w.run(parent)
        w.dispatched.clear()
        assert w.run(replace(parent, fallback=[])) == [] and w.dispatched == []
        w.run(parent)
        assert len(children(w)) == 1


def test_both_messages_name_each_other() -> None:
    with harness(lambda m: REFUSED) as w:
        parent = one()
        w.run(parent)
        views: dict[str, list[KeptEvent]] = {}
        for record in w.records:
            for id, row in record.message_ids():
                views.setdefault(id, []).append(kept_event(record, row))
    (first, events_of_first), (second, events_of_second) = views.items()
    failed, taken = view(first, events_of_first, NOW), view(second, events_of_second, NOW)
    assert failed.falls_back_to is not None and failed.fallback_of is None
    assert failed.falls_back_to.message_id == second and failed.falls_back_to.channel is Channel.SMS
    assert taken.fallback_of == first and taken.falls_back_to is None
    assert f"falls back to message {second} by sms" in failed.timeline[-1].text
    assert f"takes the place of message {first}" in taken.timeline[0].text
    assert failed.action == "Nothing: a message by sms follows."
    assert fold(events_of_first).final and fold(events_of_second).state == "accepted"
