"""Leases, waves and what a crash leaves behind: nothing is sent twice without the ledger saying why."""

import threading
from collections.abc import Iterator
from copy import deepcopy

import pytest

from shared.model.envelope import Envelope
from shared.model.outcome import Outcome, Rejected, Retry, Sent, Unknown
from shared.model.reasons import Reason
from shared.model.words import MessageClass
from shared.providers.base import Outgoing
from shared.store.ledger import Entry
from tests.fakes import out_of_reach
from tests.samples import NOW, envelope
from tests.unit.shared.dispatch.harness import DispatchHarness, harness

M = MessageClass


class CrashError(BaseException):
    """Ends the function where it is; nothing may catch it."""


def crash_at(w: DispatchHarness, step: str, time: int = 1) -> None:
    """Die before the ledger's `step` is carried out for the `time`th time."""
    plain, left = w._step, [time]

    def stepping(name: str) -> None:
        if name == step:
            left[0] -= 1
            if left[0] == 0:
                w._step = plain  # type: ignore[method-assign]  # of this instance
                raise CrashError
        plain(name)

    w._step = stepping  # type: ignore[method-assign]  # of this instance


def later(w: DispatchHarness, seconds: int = 120) -> None:
    w.clock.advance(seconds)


def test_a_hundred_recipients_take_three_waves_and_four_guard_writes() -> None:
    with harness() as w:
        w.run(envelope(100))
        assert w.log == ["acquire", "record", "record", "record", "stream"]


def test_recipients_are_in_flight_before_their_provider_is_called() -> None:
    seen: list[int] = []

    def script(message: Outgoing) -> Outcome:
        [entry] = w.entries.values()
        seen.append(len(entry.flight["main"]))
        return Sent("1")

    with harness(script) as w:
        w.run(envelope(40))
        assert seen == [34] * 34 + [6] * 6
        [entry] = w.entries.values()
        assert entry.closed and entry.flight == {} and len(entry.rows) == 40


def test_the_lease_outlives_the_function() -> None:
    with harness() as w:
        w.remaining_ms = lambda: 42_000
        w.run(envelope(1))
        [entry] = w.entries.values()
        assert entry.lease >= NOW + 42_000 + 1_000


def test_of_two_consumers_one_works_and_the_other_backs_off() -> None:
    one = envelope(1)
    answers: list[list[str]] = []

    def script(message: Outgoing) -> Outcome:
        other = threading.Thread(target=lambda: answers.append(w.run(one)))
        other.start()
        other.join(10)
        return Sent("1")

    with harness(script) as w:
        assert w.run(one) == []
        assert answers == [["0"]]
        assert w.providers["main"].calls == 1


@pytest.mark.parametrize(
    ("message_class", "sent", "stage"),
    [(M.VERIFICATION, 2, "retrying"), (M.NOTIFICATION, 2, "retrying"), (M.MARKETING, 1, "unknown")],
)
def test_a_crash_after_the_call_leaves_it_unknown(message_class: MessageClass, sent: int, stage: str) -> None:
    with harness() as w:
        one = envelope(1, message_class=message_class)
        crash_at(w, "record")
        with pytest.raises(CrashError):
            w.run(one)
        # The lease still stands: whoever had it may be alive.
        assert w.run(one) == ["0"]
        later(w)
        assert w.run(one) == []
        [event] = [e for r in w.records for e in r.events if e.stage == stage]
        assert (event.reason, event.account) == ("interrupted", "main")
        for dispatch in w.dispatched:
            assert w.run(dispatch.envelope) == []
        assert w.providers["main"].calls == sent


def test_a_crash_in_a_later_wave_concerns_that_wave_alone() -> None:
    with harness() as w:
        one = envelope(60, message_class=M.MARKETING)
        crash_at(w, "record", 2)
        with pytest.raises(CrashError):
            w.run(one)
        later(w)
        assert w.run(one) == []
        assert w.stages() == {"accepted": 60, "sent": 34, "unknown": 26}
        assert w.providers["main"].calls == 60
        assert len({m.message_id for m in w.providers["main"].sent}) == 60


def test_what_was_found_in_flight_is_not_taken_over_twice() -> None:
    with harness() as w:
        one = envelope(1, message_class=M.MARKETING)
        crash_at(w, "record")
        with pytest.raises(CrashError):
            w.run(one)
        later(w)
        seen = w.entries[one.id]
        assert w.run(one) == []
        # A slow rival that read the same entry comes too late.
        w.acquire_all = lambda entries: dict.fromkeys(entries, seen)  # type: ignore[method-assign]  # of this instance
        assert w.run(one) == ["0"]
        assert w.providers["main"].calls == 1


@pytest.mark.parametrize("at", [2, 34, 35, 50, 68, 69, 100])
def test_who_takes_over_from_an_owner_that_goes_on_sends_nobody_a_second_message(at: int) -> None:
    one = envelope(100, message_class=M.MARKETING)
    seen: list[Entry] = []

    def script(message: Outgoing) -> Outcome:
        calls = w.providers["main"].calls
        if calls == 1:
            seen.append(deepcopy(w.entries[one.id]))
        if calls == at and len(seen) == 1:
            # The lease is over by a clock that went wrong. A rival read the entry when the first wave was under way.
            seen.append(seen[0])
            later(w, 1000)
            acquire_all = w.acquire_all
            w.acquire_all = lambda entries: dict.fromkeys(entries, seen[0])  # type: ignore[method-assign]  # of this instance
            assert w.run(one) == []
            w.acquire_all = acquire_all  # type: ignore[method-assign]  # of this instance
        return Sent("1")

    with harness(script) as w:
        assert w.run(one) == ["0"]
        sent = [m.message_id for m in w.providers["main"].sent]
        assert len(sent) == len(set(sent)) == 100
        stages = w.stages()
        assert stages["sent"] + stages["unknown"] == 100 and stages["unknown"] <= 34


def test_who_lost_the_lease_records_nothing() -> None:
    one = envelope(1, message_class=M.MARKETING)

    def script(message: Outgoing) -> Outcome:
        if w.providers["main"].calls == 1:
            later(w, 1000)
            w.run(one)
        return Sent("late")

    with harness(script) as w:
        assert w.run(one) == ["0"]
        assert w.stages() == {"accepted": 1, "unknown": 1}


def test_outcomes_are_recorded_as_often_as_the_time_allows() -> None:
    with harness() as w:
        failures: Iterator[int] = iter(range(5))
        plain = w.record

        def record(envelope_id: str, entry: object) -> None:
            if next(failures, None) is not None:
                raise out_of_reach("dynamodb")
            plain(envelope_id, entry)  # type: ignore[arg-type]  # as it came

        w.record = record  # type: ignore[method-assign]  # of this instance
        assert w.run(envelope(1, message_class=M.MARKETING)) == []
        assert w.naps == 5 and w.stages() == {"accepted": 1, "sent": 1}


def test_outcomes_that_cannot_be_recorded_in_time_are_unknown_later() -> None:
    with harness() as w:
        one = envelope(1, message_class=M.MARKETING)
        w.remaining_ms = lambda: 60_000 - 5_000 * w.naps
        w.broken = {"record"}
        assert w.run(one) == ["0"]
        w.broken, w.naps = set(), 0
        later(w)
        assert w.run(one) == []
        assert w.stages() == {"accepted": 1, "unknown": 1} and w.providers["main"].calls == 1


def test_a_resend_that_comes_too_late_ends_as_unknown_not_as_expired() -> None:
    with harness(lambda m: Unknown(Reason.TIMED_OUT, "read")) as w:
        w.run(envelope(1, message_class=M.VERIFICATION, expires_at=NOW + 1))
        assert w.stages() == {"accepted": 1, "unknown": 1}


# Accounts that can be asked


def asked(w: DispatchHarness, answers: list[Outcome]) -> list[str]:
    """Let the account `main` answer look-ups in turn; returns who was asked about."""
    found: list[str] = []
    main = w.providers["main"]

    def look_up(messages: list[Outgoing], began: int, ended: int) -> list[Outcome]:
        found.extend(m.to for m in messages)
        return [answers.pop(0)]

    main.looks_up = True  # type: ignore[misc]  # of this instance
    main.look_up = look_up  # type: ignore[method-assign, assignment]  # of this instance
    return found


def follow(w: DispatchHarness) -> Envelope:
    """Carry on with the one envelope that was handed on; returns it."""
    [dispatch] = w.dispatched
    w.dispatched.clear()
    assert dispatch.due_at is not None
    w.clock.set(max(w.clock.now_ms(), dispatch.due_at))
    assert w.run(dispatch.envelope) == []
    return dispatch.envelope


@pytest.mark.parametrize("message_class", list(MessageClass))
def test_an_account_is_asked_before_anything_is_sent_again(message_class: MessageClass) -> None:
    with harness(lambda m: Unknown(Reason.TIMED_OUT, "read")) as w:
        found = asked(w, [Sent("serial-1")])
        w.run(envelope(1, message_class=message_class))
        child = follow(w)
        assert child.ask_account == {0: "main"} and found == ["u0@example.com"]
        [sent] = [e for r in w.records for e in r.events if e.stage == "sent"]
        assert sent.provider_id == "serial-1" and w.providers["main"].calls == 1 and w.dispatched == []


def test_an_account_is_told_when_the_try_was(monkeypatch: pytest.MonkeyPatch) -> None:
    times: list[tuple[int, int]] = []

    def look_up(messages: list[Outgoing], began: int, ended: int) -> list[Outcome]:
        times.append((began, ended))
        return [Unknown(Reason.UNRESOLVED, "")]

    with harness(lambda m: Unknown(Reason.TIMED_OUT, "read")) as w:
        asked(w, [])
        monkeypatch.setattr(w.providers["main"], "look_up", look_up)
        w.clock.advance(100)
        w.run(envelope(1, message_class=M.MARKETING))
        [row] = [e for e in w.records[0].events if e.stage == "retrying"]
        for _ in range(4):
            follow(w)
    assert times == [(row.at - (row.took_ms or 0), row.at)] * 4 and row.at == NOW + 100_000


def test_of_a_try_that_nobody_saw_only_the_earliest_time_is_known() -> None:
    times: list[tuple[int, int]] = []
    with harness() as w:
        main = w.providers["main"]
        main.looks_up = True  # type: ignore[misc]  # of this instance
        main.look_up = lambda m, began, ended: times.append((began, ended)) or [Sent("1")]  # type: ignore[method-assign, assignment, func-returns-value]  # of this instance
        one = envelope(1, message_class=M.MARKETING)
        w.broken = {"record"}
        assert w.run(one) == ["0"]
        w.broken, w.naps = set(), 0
        later(w)
        noticed = w.clock.now_ms()
        assert w.run(one) == []
        follow(w)
        assert times == [(one.accepted_at, noticed)] and main.calls == 1 and w.stages()["sent"] == 1


@pytest.mark.parametrize(("message_class", "sends"), [(M.VERIFICATION, 3), (M.NOTIFICATION, 4)])
def test_tries_are_used_up_where_no_answer_ever_comes(message_class: MessageClass, sends: int) -> None:
    with harness(lambda m: Unknown(Reason.TIMED_OUT, "read")) as w:
        asked(w, [Unknown(Reason.UNRESOLVED, "")] * 20)
        w.run(envelope(1, message_class=message_class))
        while w.dispatched:
            follow(w)
        assert w.providers["main"].calls == sends and w.stages()["dead_lettered"] == 1
        assert all(e.ask_account or e.maybe_sent for r in w.records for e in r.events if e.stage == "retrying")


def test_what_the_account_does_not_know_of_is_sent_again_unless_it_is_marketing() -> None:
    outcomes: Iterator[Outcome] = iter([Unknown(Reason.TIMED_OUT, "read"), Sent("2")])
    with harness(lambda m: next(outcomes)) as w:
        asked(w, [Unknown(Reason.TIMED_OUT, "")])
        w.run(envelope(1, message_class=M.NOTIFICATION))
        follow(w)
        again = follow(w)
        assert again.ask_account == {} and w.providers["main"].calls == 2 and w.stages()["sent"] == 1


def test_marketing_is_asked_about_four_times_and_then_reported_as_unknown() -> None:
    with harness(lambda m: Unknown(Reason.TIMED_OUT, "read")) as w:
        found = asked(w, [Unknown(Reason.TIMED_OUT, "")] * 4)
        w.run(envelope(1, message_class=M.MARKETING))
        for _ in range(4):
            follow(w)
        assert len(found) == 4 and w.dispatched == [] and w.providers["main"].calls == 1
        assert w.stages() == {"accepted": 1, "retrying": 4, "unknown": 1}


@pytest.mark.parametrize(
    ("answer", "stage", "calls"),
    [(Rejected(Reason.CONTENT_REFUSED, "x"), "failed", 1), (Retry(Reason.PROVIDER_BUSY, "x"), "sent", 2)],
)
def test_a_look_up_may_find_it_refused_or_never_sent(answer: Outcome, stage: str, calls: int) -> None:
    outcomes: Iterator[Outcome] = iter([Unknown(Reason.TIMED_OUT, "read"), Sent("2")])
    with harness(lambda m: next(outcomes)) as w:
        asked(w, [answer])
        w.run(envelope(1, message_class=M.MARKETING))
        follow(w)
        if w.dispatched:
            follow(w)
        assert w.stages()[stage] == 1 and w.providers["main"].calls == calls


def test_an_expired_message_is_still_asked_about() -> None:
    with harness(lambda m: Unknown(Reason.TIMED_OUT, "read")) as w:
        asked(w, [Sent("1")])
        w.run(envelope(1, message_class=M.VERIFICATION, expires_at=NOW + 1))
        follow(w)
        assert w.stages()["sent"] == 1 and "expired" not in w.stages()


def test_an_account_that_is_gone_leaves_the_message_unknown() -> None:
    with harness(lambda m: Unknown(Reason.TIMED_OUT, "read")) as w:
        asked(w, [])
        w.run(envelope(1, message_class=M.MARKETING))
        del w.accounts["main"]
        for _ in range(4):
            if w.dispatched:
                follow(w)
        assert w.stages()["unknown"] == 1
