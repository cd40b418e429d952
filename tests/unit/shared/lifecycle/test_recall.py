"""Recalls in the dispatcher: after the mark only what was in flight may be sent, and each message comes to one end."""

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from shared.dispatch import plan
from shared.lifecycle.settle import settle
from shared.lifecycle.verdict import row
from shared.model.envelope import Envelope
from shared.model.events import EventRow
from shared.model.outcome import Outcome, Retry, Sent, Unknown
from shared.model.reasons import Reason
from shared.model.words import KeyKind, MessageClass, Stage
from shared.providers.base import Outgoing
from shared.store.ledger import Entry, HeldError
from tests.samples import NOW, envelope
from tests.unit.shared.dispatch.harness import DispatchHarness, harness
from tests.unit.shared.dispatch.test_waves import CrashError, crash_at, later

M = MessageClass
SENT = Sent("p")
BUSY = Retry(Reason.THROTTLED, "busy")
LOST = Unknown(Reason.TIMED_OUT, "lost")


def events(w: DispatchHarness, stage: str) -> list[EventRow]:
    return [event for record in w.records for event in record.events if event.stage == stage]


def calls(w: DispatchHarness) -> int:
    return len(w.providers["main"].sent)


def before(w: DispatchHarness, step: str, do: Callable[[], None], time: int = 1) -> None:
    """Do something just before the ledger's `step` is carried out for the `time`th time."""
    plain, left = w._step, [time]

    def stepping(name: str) -> None:
        if name == step:
            left[0] -= 1
            if left[0] == 0:
                do()
        plain(name)

    w._step = stepping  # type: ignore[method-assign]  # of this instance


def test_what_is_marked_before_it_is_received_is_not_sent() -> None:
    with harness() as w:
        one = envelope(3)
        w.mark(one, 0, 1, 2)
        later(w, 30)
        assert w.run(one) == []
        assert calls(w) == 0 and w.stages() == {"accepted": 3, "recalled": 3}
        [event, *_] = events(w, "recalled")
        assert (event.reason, event.note, event.at, event.nth) == (Reason.RECALLED, "key", NOW, 0)
        assert event.account is None
        # Received again, nothing else comes of it.
        assert w.run(one) == [] and calls(w) == 0


def test_others_of_the_envelope_are_sent() -> None:
    with harness() as w:
        one = envelope(50)
        w.mark(one, 3, 40)
        assert w.run(one) == []
        assert w.stages() == {"accepted": 50, "sent": 48, "recalled": 2}
        assert {e.index for e in events(w, "recalled")} == {3, 40}


def test_a_mark_does_not_keep_the_others_of_a_batch_back() -> None:
    with harness() as w:
        first, second = envelope(2), replace(envelope(2), id="01JZ0000000000000000000100")
        w.mark(first, 0, 1)
        assert w.run(first, second) == []
        assert w.stages() == {"accepted": 4, "recalled": 2, "sent": 2}


def test_without_a_mark_there_is_no_more_to_write() -> None:
    with harness() as w:
        w.run(envelope(100))
        assert w.log == ["acquire", "record", "record", "record", "stream"]


def test_what_is_in_flight_is_sent_and_the_rest_is_not() -> None:
    def script(message: Outgoing) -> Outcome:
        if not w.entries[one.id].recalled:
            w.mark(one, *range(100))
        return SENT

    with harness(script) as w:
        one = envelope(100)
        assert w.run(one) == []
        assert w.stages() == {"accepted": 100, "sent": 34, "recalled": 66}
        assert calls(w) == 34


def test_a_mark_between_two_tries_of_the_same_write_counts() -> None:
    """Another mark comes while the first one is being heeded."""

    def script(message: Outgoing) -> Outcome:
        if not w.entries[one.id].recalled:
            w.mark(one, 50)
            before(w, "record", lambda: w.mark(one, 60), time=2)
        return SENT

    with harness(script) as w:
        one = envelope(100)
        assert w.run(one) == []
        assert w.stages() == {"accepted": 100, "sent": 98, "recalled": 2}


@pytest.mark.parametrize(
    ("outcome", "message_class", "stage"),
    [
        (BUSY, M.NOTIFICATION, "recalled"),
        (LOST, M.NOTIFICATION, "unknown"),
        (LOST, M.MARKETING, "unknown"),
        (SENT, M.NOTIFICATION, "sent"),
    ],
)
def test_who_is_recalled_in_flight_is_not_tried_again(
    outcome: Outcome, message_class: MessageClass, stage: str
) -> None:
    def script(message: Outgoing) -> Outcome:
        w.mark(one, 0)
        return outcome

    with harness(script) as w:
        one = envelope(1, message_class=message_class)
        assert w.run(one) == []
        assert w.stages() == {"accepted": 1, stage: 1} and not w.dispatched
        [event] = events(w, stage)
        assert event.account == "main"


def test_a_try_that_came_to_nothing_is_told_with_the_recall() -> None:
    def script(message: Outgoing) -> Outcome:
        w.mark(one, 0)
        return BUSY

    with harness(script) as w:
        one = envelope(1)
        w.run(one)
        [event] = events(w, "recalled")
        assert (event.account, event.code, event.reason) == ("main", "busy", Reason.RECALLED)
        assert event.due_at is None


def test_who_would_be_given_up_is_recalled_instead() -> None:
    def script(message: Outgoing) -> Outcome:
        w.mark(one, 0)
        return BUSY

    with harness(script) as w:
        one = envelope(1, attempt=7)
        w.run(one)
        assert w.stages() == {"recalled": 1}
        assert not w.dead


def test_a_row_that_is_recorded_gives_way_until_the_ledger_is_closed() -> None:
    """Of the first wave one is to be tried again; it is recalled while the second one is in flight."""

    def script(message: Outgoing) -> Outcome:
        if w.entries[one.id].rows and not w.entries[one.id].recalled:
            w.mark(one, 0, 1)
        return BUSY if message.message_id.endswith(one.recipients[0].tag) and calls(w) <= 34 else SENT

    with harness(script) as w:
        one = envelope(60)
        one.recipients[0].tag = "Q" * 16
        assert w.run(one) == []
        # The other one had been sent by then.
        assert w.stages() == {"accepted": 60, "sent": 59, "recalled": 1} and not w.dispatched


def test_a_mark_under_a_lease_that_has_ended_is_heeded_by_who_takes_over() -> None:
    with harness() as w:
        one = envelope(60, message_class=M.MARKETING)
        crash_at(w, "record", 2)
        with pytest.raises(CrashError):
            w.run(one)
        # 0 was sent, 40 is in flight for nobody; in the first case it is known, in the second it never will be.
        w.mark(one, 0, 40)
        later(w)
        assert w.run(one) == []
        assert w.stages() == {"accepted": 60, "sent": 34, "unknown": 26}
        assert calls(w) == 60


def test_a_mark_at_the_moment_of_the_take_over_is_heeded() -> None:
    with harness() as w:
        one = envelope(60)
        crash_at(w, "record")
        with pytest.raises(CrashError):
            w.run(one)
        later(w)
        w.mark(one, 50)
        before(w, "take_over", lambda: w.mark(one, 2, 55))
        assert w.run(one) == []
        assert w.log.count("take_over") == 2
        # Those of the first wave are in doubt, and all but the recalled one tried again.
        assert w.stages() == {"accepted": 60, "retrying": 33, "unknown": 1, "sent": 24, "recalled": 2}
        [event] = events(w, "unknown")
        assert (event.index, event.reason, event.note) == (2, Reason.RECALLED, "key")
        [again] = w.dispatched
        assert {r.index for r in again.envelope.recipients} == set(range(34)) - {2}


def test_who_was_not_begun_for_want_of_time_is_not_carried_on() -> None:
    with harness() as w:
        one = envelope(3)
        w.mark(one, 1)
        w.remaining_ms = lambda: 9_000
        assert w.run(one) == []
        assert w.stages() == {"accepted": 3, "recalled": 1} and calls(w) == 0
        [continuation] = w.dispatched
        assert [r.index for r in continuation.envelope.recipients] == [0, 2]


def test_the_retry_is_stopped_by_a_mark_in_its_own_ledger() -> None:
    with harness(lambda m: BUSY) as w:
        assert w.run(envelope(2)) == []
        [retry] = w.dispatched
        w.mark(retry.envelope, 0, 1)
        assert w.run(retry.envelope) == []
        assert w.stages() == {"accepted": 2, "retrying": 2, "recalled": 2} and calls(w) == 2


@pytest.mark.parametrize("doubt", [{"maybe_sent": [0]}, {"ask_account": {0: "main"}}])
def test_of_whom_an_earlier_try_may_have_come_through_it_is_not_said_that_it_was_stopped(doubt: Any) -> None:
    with harness() as w:
        one = envelope(2, attempt=1, **doubt)
        w.mark(one, 0, 1)
        assert w.run(one) == [] and calls(w) == 0
        assert w.stages() == {"unknown": 1, "recalled": 1}
        [event] = events(w, "unknown")
        assert (event.index, event.reason) == (0, Reason.RECALLED)
        assert [e.index for e in events(w, "recalled")] == [1]


def test_a_recall_comes_before_everything_else_that_is_decided() -> None:
    with harness() as w:
        expired = envelope(1, expires_at=NOW - 1)
        w.mark(expired, 0)
        assert w.run(expired) == []
        assert w.stages() == {"accepted": 1, "recalled": 1}


def test_messages_of_test_keys_are_recalled_too() -> None:
    with harness() as w:
        one = envelope(2, kind=KeyKind.TEST)
        w.mark(one, 0)
        assert w.run(one) == []
        assert w.stages() == {"accepted": 2, "recalled": 1, "sent": 1, "delivered": 1}


def test_two_consumers_and_a_mark() -> None:
    """The other one finds the lease, and the mark with it; only the first one goes on, and heeds it."""
    answers: list[list[str]] = []

    def script(message: Outgoing) -> Outcome:
        if not answers:
            w.mark(one, 40, 41)
            answers.append(w.run(one))
        return SENT

    with harness(script) as w:
        w.providers["main"].threads = 1  # type: ignore[misc] # of this one only
        one = envelope(60)
        assert w.run(one) == [] and answers == [["0"]]
        assert w.stages() == {"accepted": 60, "sent": 58, "recalled": 2}


class Kept:
    """The ledger of one envelope that holds marks alone, for `settle`."""

    def __init__(self, entry: Entry) -> None:
        self.entry = entry

    def acquire(self, envelope_id: str, entry: Entry) -> Entry | None:
        return self.entry

    def take_over(self, envelope_id: str, seen: Entry, entry: Entry) -> Entry | None:
        if entry.recalled != self.entry.recalled:
            raise HeldError
        self.entry = entry
        return None


def test_of_a_given_up_envelope_the_recalled_ones_are_no_dead_letters() -> None:
    with harness() as w:
        one: Envelope = envelope(3)
        w.mark(one, 0, 1)
        ledger = Kept(w.entries[one.id])
        found = settle(one, ledger, w.clock)
        assert {row.index: row.stage for row in ledger.entry.rows} == {0: "recalled", 1: "recalled", 2: "dead_lettered"}
        assert found.dead is not None and [r.index for r in found.dead.recipients] == [2]


def test_what_was_decided_of_others_since_the_mark_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever marked them has told that they are recalled."""

    def script(message: Outgoing) -> Outcome:
        if not w.entries[one.id].recalled:
            w.mark(one, 1)
        return SENT

    with harness(script) as w:
        one = envelope(2)
        monkeypatch.setattr(plan, "WAVE_RECIPIENTS", 1)
        plain = w.dispatcher._waves._sender.call

        def call(*arguments: Any) -> list[EventRow]:
            expired = row(one, one.recipients[1], Stage.EXPIRED, NOW)
            return [*plain(*arguments), expired]

        monkeypatch.setattr(w.dispatcher._waves._sender, "call", call)
        assert w.run(one) == []
        assert w.stages() == {"accepted": 2, "sent": 1, "recalled": 1}
