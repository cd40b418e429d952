"""Duplicates and caps in dispatch: decided once for a message, counted once, given back when it ends unsent."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from msgspec.structs import replace

from shared.base.shared_reads import SharedReads
from shared.model.envelope import Envelope
from shared.model.ids import Numbering, derived_base
from shared.model.outcome import Outcome, Rejected, Retry, Sent, Unknown
from shared.model.policies import Cap, Policies, QuietHours, QuietWindow
from shared.model.reasons import Reason
from shared.model.tenants import TenantSettings
from shared.model.words import KeyKind, MessageClass
from shared.policy import retry
from shared.providers.base import Outgoing
from shared.store.ledger import Entry
from tests import samples
from tests.fakes import FakeClock, out_of_reach
from tests.memory import tables
from tests.samples import NOW, envelope, recipients
from tests.unit.shared.dispatch.harness import DispatchHarness, Script, harness

BOTH = Policies(duplicate_seconds=3600, cap=Cap(count=2, minutes=60))
ONCE = Policies(duplicate_seconds=3600)
TWO = Policies(cap=Cap(count=2, minutes=60))
REFUSED = Rejected(Reason.ADDRESS_UNKNOWN, "550")
BUSY = Retry(Reason.THROTTLED, "454")
LOST = Unknown(Reason.TIMED_OUT, "")


class Asked:
    """A client that counts its requests, and breaks off at those that it is told to."""

    def __init__(self, client: Any) -> None:
        self._client, self.names = client, list[str]()
        self.broken: Callable[[str], bool] = lambda name: False

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        if name == "exceptions":
            return found

        def call(*arguments: Any, **named: Any) -> Any:
            self.names.append(name)
            if self.broken(name):
                raise out_of_reach("dynamodb")
            return found(*arguments, **named)

        return call


@contextmanager
def platform(
    policies: Policies | None, script: Script = lambda m: Sent("1")
) -> Iterator[tuple[DispatchHarness, Asked]]:
    """A harness whose template has policies, and what was asked of its guard table."""
    with tables(FakeClock(NOW), "guard") as client:
        asked = Asked(client)
        with harness(script, asked) as w:
            w.add_template(policies=policies)
            yield w, asked


def another(k: int, count: int = 1, **changes: Any) -> Envelope:
    """The k-th request to the same recipients."""
    base = derived_base(NOW, "request", str(k))
    return envelope(count, **{"id": Numbering(base)(0), "request": base, **changes})


def ends(w: DispatchHarness) -> list[tuple[str, str | None]]:
    """The last event of each message, with its reason, in the order of the envelopes' first events."""
    found: dict[str, tuple[str, str | None]] = {}
    for record in w.records:
        for message_id, event in record.message_ids():
            found[message_id] = (event.stage, event.reason)
    return list(found.values())


def stages(w: DispatchHarness) -> list[str]:
    return [stage for stage, _ in ends(w)]


def work(w: DispatchHarness) -> None:
    """Dispatch what carries on, when it is due, until nothing is left."""
    while w.dispatched:
        dispatch = w.dispatched.pop(0)
        w.clock.set(max(w.clock.now_ms(), dispatch.due_at or 0))
        assert w.run(dispatch.envelope) == []


def script_of(*outcomes: Outcome) -> Script:
    """One outcome after the other, then sent."""
    left = list(outcomes)
    return lambda message: left.pop(0) if left else Sent("1")


# Duplicates


def test_the_same_content_goes_to_a_recipient_once_within_the_window() -> None:
    with platform(ONCE) as (w, _):
        for k in range(3):
            w.run(another(k))
        w.clock.advance(3600)
        w.run(another(3))
        assert ends(w) == [("sent", None), ("duplicate", "duplicate"), ("duplicate", "duplicate"), ("sent", None)]
        assert w.providers["main"].calls == 2
        assert (w.dispatched, w.dead) == ([], [])


def test_other_content_and_other_recipients_are_no_duplicates() -> None:
    with platform(ONCE) as (w, _):
        w.run(another(0))
        w.run(another(1, recipients=recipients(1, name="other")))
        w.run(another(2, 2))
        assert stages(w) == ["sent", "sent", "duplicate", "sent"]


def test_the_same_recipient_twice_in_an_envelope_gets_one_of_the_same_content() -> None:
    twice = [replace(recipients(1)[0], index=i) for i in range(3)]
    with platform(ONCE) as (w, _):
        w.run(another(0, recipients=twice))
        assert sorted(stages(w)) == ["duplicate", "duplicate", "sent"]


def test_a_message_that_was_interrupted_before_it_was_sent_is_still_sent() -> None:
    with platform(BOTH) as (w, _):
        one = another(0, 3)
        for broken in ("acquire", "record", "stream"):
            w.broken = {broken}
            assert w.run(one) == ["0"]
            w.clock.advance(120)
        w.broken = set()
        assert w.run(one) == []
        work(w)
        assert set(stages(w)) == {"sent"}
        # Its outcome was not recorded once, so it may be there twice; it counts once.
        w.run(another(1, 3, recipients=recipients(3, name="x")))
        w.run(another(2, 3, recipients=recipients(3, name="y")))
        assert stages(w)[3:] == ["sent"] * 3 + ["capped"] * 3


def test_a_second_function_decides_the_same() -> None:
    with platform(BOTH) as (w, _):
        one = another(0)
        w.entries[one.id] = Entry("other", w.clock.now_ms() + 60_000)
        assert w.run(one) == ["0"]
        w.clock.advance(120)
        assert w.run(one) == []
        assert stages(w) == ["sent"]


# Caps


def test_a_recipient_gets_no_more_than_the_cap() -> None:
    with platform(TWO) as (w, _):
        for k in range(3):
            w.run(another(k))
        w.clock.advance(3600)
        for k in range(3, 6):
            w.run(another(k))
        assert stages(w) == ["sent", "sent", "capped", "sent", "sent", "capped"]
        assert ends(w)[2] == ("capped", "capped")


def test_a_cap_per_day_is_of_the_tenants_day() -> None:
    assert samples.TENANT.time_zone == "Asia/Shanghai"
    # There it is six in the evening at NOW, and ten in the morning by Greenwich.
    with platform(Policies(cap=Cap(count=1))) as (w, _):
        w.run(another(0))
        w.clock.advance(6 * 3600 - 0.001)
        w.run(another(1))
        w.clock.advance(ms=1)
        w.run(another(2))
        assert stages(w) == ["sent", "capped", "sent"]
        w.tenant_settings = TenantSettings(time_zone="UTC")
        w.run(another(3))
        w.clock.advance(8 * 3600)
        w.run(another(4))
        assert stages(w)[3:] == ["capped", "sent"]


def test_the_cap_of_another_class_is_another() -> None:
    with platform(Policies(cap=Cap(count=1, minutes=60))) as (w, _):
        w.run(another(0))
        w.run(another(1, message_class=MessageClass.MARKETING))
        w.run(another(2, message_class=MessageClass.VERIFICATION))
        w.run(another(3, message_class=MessageClass.VERIFICATION))
        assert stages(w) == ["sent", "sent", "sent", "capped"]


# Retries


@pytest.mark.parametrize("policies", [BOTH, ONCE, TWO], ids=["both", "duplicates", "caps"])
def test_retries_pass_and_count_once(policies: Policies) -> None:
    with platform(policies, script_of(BUSY, BUSY, BUSY)) as (w, _):
        w.run(another(0))
        work(w)
        assert (stages(w), w.providers["main"].calls) == (["sent"], 4)
        w.run(another(1, recipients=recipients(1, name="other")))
        w.run(another(2, recipients=recipients(1, name="third")))
        assert stages(w) == ["sent", "sent", "sent" if policies is ONCE else "capped"]


def test_a_retry_after_the_windows_end_takes_its_place_anew_or_finds_it_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.lifecycle.verdict.wait_s", lambda *arguments: 100.0)
    short = Policies(duplicate_seconds=60)
    with platform(short, script_of(BUSY, BUSY)) as (w, _):
        w.run(another(0))
        work(w)
        assert stages(w) == ["sent"]
        w.run(another(1))
        assert stages(w) == ["sent", "duplicate"]
    with platform(short, script_of(BUSY)) as (w, _):
        w.run(another(0))
        w.clock.advance(90)
        w.run(another(1))
        work(w)
        assert stages(w) == ["duplicate", "sent"]


def test_of_who_may_have_been_sent_to_nobody_says_that_it_was_a_duplicate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.lifecycle.verdict.wait_s", lambda *arguments: 100.0)
    with platform(Policies(duplicate_seconds=60), script_of(LOST)) as (w, _):
        w.run(another(0))
        w.clock.advance(90)
        w.run(another(1))
        work(w)
        assert ends(w) == [("unknown", "duplicate"), ("sent", None)]


# What ends unsent gives back what it holds


def free_again(w: DispatchHarness, count: int = 1, again: int = 1) -> None:
    """The next ones get through as if nothing had been: so many, and no more."""
    before = len(stages(w))
    for k in range(again + 1):
        w.run(another(100 + k, count))
    assert stages(w)[before:] == ["sent"] * count * again + ["duplicate" if again == 1 else "capped"] * count


@pytest.mark.parametrize("count", [1, 5])
@pytest.mark.parametrize(("policies", "again"), [(BOTH, 1), (ONCE, 1), (TWO, 2)], ids=["both", "duplicates", "caps"])
def test_what_failed_lets_the_next_one_through(policies: Policies, again: int, count: int) -> None:
    with platform(policies, script_of(*[REFUSED] * 3 * count)) as (w, _):
        for k in range(3):
            w.run(another(k, count))
        assert stages(w) == ["failed"] * 3 * count
        free_again(w, count, again)


def test_what_was_given_up_lets_the_next_one_through_and_may_be_redriven() -> None:
    tries = retry.SCHEDULES[MessageClass.NOTIFICATION].tries
    with platform(BOTH, script_of(*[BUSY] * tries)) as (w, _):
        w.run(another(0))
        work(w)
        assert stages(w) == ["dead_lettered"]
        w.run(another(1))
        assert stages(w)[1:] == ["sent"]
        [dead] = w.dead
        redriven = dead.child("g1", dead.recipients, generation=1, attempt=0)
        w.run(redriven)
        assert stages(w) == ["duplicate", "sent"]
        w.clock.advance(3600)
        w.run(dead.child("g2", dead.recipients, generation=2, attempt=0))
        w.run(another(2))
        assert stages(w) == ["sent", "sent", "duplicate"]


def test_a_late_redelivery_of_what_was_given_up_takes_nothing_from_its_redrive() -> None:
    tries = retry.SCHEDULES[MessageClass.NOTIFICATION].tries
    with platform(BOTH, script_of(*[BUSY] * tries)) as (w, _):
        first = last = another(0)
        w.run(first)
        while w.dispatched:
            last = w.dispatched.pop(0).envelope
            w.run(last)
        [dead] = w.dead
        w.run(dead.child("g1", dead.recipients, generation=1, attempt=0))
        for late in (last, first):
            w.run(late)
        w.run(another(1))
        assert (stages(w)[1], w.providers["main"].calls) == ("duplicate", tries + 1)


@pytest.mark.parametrize("policies", [BOTH, ONCE, TWO], ids=["both", "duplicates", "caps"])
def test_what_expired_between_two_tries_lets_the_next_one_through(policies: Policies) -> None:
    with platform(policies, script_of(BUSY)) as (w, _):
        w.run(another(0, expires_at=NOW + 60_000))
        [dispatch] = w.dispatched
        w.dispatched.clear()
        w.clock.advance(61)
        w.run(dispatch.envelope)
        assert stages(w) == ["expired"]
        free_again(w, again=2 if policies is TWO else 1)


def test_what_is_capped_marks_no_content() -> None:
    with platform(Policies(duplicate_seconds=86_400, cap=Cap(count=1, minutes=1))) as (w, _):
        w.run(another(0))
        w.run(another(1, recipients=recipients(1, name="other")))
        w.clock.advance(60)
        w.run(another(2, recipients=recipients(1, name="other")))
        assert stages(w) == ["sent", "capped", "sent"]


def test_what_may_have_been_sent_keeps_its_place() -> None:
    with platform(BOTH, script_of(LOST)) as (w, _):
        w.run(another(0, message_class=MessageClass.MARKETING))
        w.run(another(1, message_class=MessageClass.MARKETING))
        assert stages(w) == ["unknown", "duplicate"]


def test_what_was_given_up_in_doubt_keeps_its_place() -> None:
    with platform(BOTH, lambda m: LOST) as (w, _):
        w.run(another(0))
        work(w)
        w.run(another(1))
        assert stages(w) == ["dead_lettered", "duplicate"]


@pytest.mark.parametrize("broken", ["update_item", "batch_get_item"])
def test_a_release_that_fails_hands_the_envelope_back_and_no_other(broken: str) -> None:
    def script(message: Outgoing) -> Outcome:
        return REFUSED if message.to == "u0@example.com" else Sent("1")

    with platform(BOTH, script) as (w, asked):
        other = another(1, recipients=recipients(2)[1:])

        def last(message: Outgoing) -> Outcome:
            asked.broken = lambda name: name == broken
            return script(message)

        w.providers["main"].script = last
        assert w.run(another(0), other) == ["0"]
        assert stages(w) == ["sent"]
        asked.broken = lambda name: False
        assert w.run(another(0)) == []
        assert sorted(stages(w)) == ["failed", "sent"]
        w.providers["main"].script = lambda m: Sent("1")
        free_again(w)


def test_a_redelivery_after_the_end_leaves_nothing_behind() -> None:
    """The retry failed and gave all back; then the first envelope comes once more."""
    with platform(BOTH, script_of(BUSY, REFUSED)) as (w, _):
        first = another(0)
        w.run(first)
        work(w)
        assert stages(w) == ["failed"]
        # As a queue does when nothing was acknowledged: when the function must have ended.
        w.clock.advance(90)
        w.run(first)
        w.dispatched.clear()
        free_again(w)


def test_a_second_function_that_comes_late_takes_nothing_from_the_first() -> None:
    """It took the places, and then the other one was done with the envelope before it could open the ledger."""
    with platform(BOTH) as (w, _):
        one = another(0)
        works = w.dispatcher._waves.decide(one, SharedReads(), lambda: 60.0)
        assert w.run(one) == []
        assert w.dispatcher._waves.send(works, w.entries[one.id], lambda: 60.0)[0].stage == "sent"
        w.run(another(1))
        assert stages(w) == ["sent", "duplicate"]


def test_a_redelivery_after_the_windows_end_does_not_begin_another() -> None:
    with platform(BOTH) as (w, _):
        w.run(another(0))
        w.clock.advance(3600)
        w.run(another(0))
        free_again(w)


def test_a_duplicate_takes_no_slot_that_it_took_earlier(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.lifecycle.verdict.wait_s", lambda *arguments: 100.0)
    with platform(Policies(duplicate_seconds=60, cap=Cap(count=2, minutes=60)), script_of(BUSY)) as (w, _):
        w.run(another(0))
        w.clock.advance(90)
        w.run(another(1))
        work(w)
        assert stages(w) == ["duplicate", "sent"]
        w.run(another(2, recipients=recipients(1, name="other")))
        assert stages(w)[2:] == ["sent"]


# What it costs


@pytest.mark.parametrize("count", [1, 100])
def test_nothing_is_asked_where_nothing_is_set(count: int) -> None:
    with platform(None, script_of(*[REFUSED] * 10)) as (w, asked):
        w.run(another(0, count))
        w.run(another(0, count))
        w.run(another(1, count, kind=KeyKind.TEST))
        assert asked.names == []


@pytest.mark.parametrize("count", [1, 100])
@pytest.mark.parametrize(("policies", "requests"), [(BOTH, 2), (ONCE, 1), (TWO, 1)])
def test_two_requests_at_most_for_an_envelope(policies: Policies, requests: int, count: int) -> None:
    with platform(policies) as (w, asked):
        w.run(another(0, count))
        assert stages(w) == ["sent"] * count
        assert len(asked.names) == requests


def test_who_never_came_so_far_has_nothing_to_give_back() -> None:
    with platform(BOTH, script_of(REFUSED)) as (w, asked):
        w.run(another(0, expires_at=NOW))
        assert (stages(w), asked.names) == (["expired"], [])
        w.run(another(1))
        asked.names.clear()
        w.run(another(2))
        w.run(another(3))
        assert stages(w)[1:] == ["failed", "sent", "duplicate"]
        # The last one asked for its mark, and that was all.
        assert asked.names == ["update_item"] * 3


def test_test_keys_pass_by() -> None:
    with platform(BOTH) as (w, asked):
        for k in range(4):
            w.run(another(k, kind=KeyKind.TEST))
        assert (w.stages()["sent"], asked.names) == (4, [])


def test_who_sleeps_takes_no_place() -> None:
    quiet = QuietHours(windows=(QuietWindow(start="17:00", end="20:00"),))
    with platform(BOTH.model_copy(update={"quiet_hours": quiet})) as (w, asked):
        w.run(another(0))
        assert (stages(w), asked.names) == (["deferred"], [])


@pytest.mark.parametrize("broken", ["update_item", "transact_write_items"])
def test_without_an_answer_nothing_is_sent(broken: str) -> None:
    with platform(BOTH) as (w, asked):
        count = 1 if broken == "update_item" else 2
        asked.broken = lambda name: name == broken
        assert w.run(another(0, count)) == ["0"]
        assert w.providers["main"].calls == 0
        asked.broken = lambda name: False
        assert w.run(another(0, count)) == []
        assert stages(w) == ["sent"] * count
