"""Routing in the dispatcher: weights, health, and what happens while an account is down."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from functions.trace.words import describe
from shared.dispatch.routing import CACHE_SECONDS, DOWN_MS
from shared.model.envelope import Envelope
from shared.model.events import EventRow
from shared.model.outcome import AccountDown, Outcome, Rejected, Retry, Sent, Unknown
from shared.model.policies import Policies
from shared.model.reasons import Reason
from shared.model.words import KeyKind, MessageClass
from shared.policy.routing import BUCKET_MS, PAUSE_MS, TRIES, Shift
from shared.providers.base import Outgoing
from shared.store.catalog_items import Stored
from tests.samples import NOW, envelope
from tests.unit.shared.dispatch.harness import DispatchHarness, harness

DOWN = AccountDown(Reason.CREDENTIALS_REFUSED, "535")
Script = Callable[[Outgoing], Outcome]


def sends(message: Outgoing) -> Outcome:
    return Sent("p")


def down(message: Outgoing) -> Outcome:
    return DOWN


@contextmanager
def two(main: Script = sends, spare: Script = sends, **changes: Any) -> Iterator[DispatchHarness]:
    """A harness whose template has the accounts `main` and `spare`, of the same weight."""
    with harness(main) as w:
        w.add_template(accounts=["main", "spare"], **changes)
        w.add_account("spare", spare)
        yield w


def events(w: DispatchHarness, *stages: str) -> list[EventRow]:
    return [e for record in w.records for e in record.events if e.stage in stages]


def by_account(w: DispatchHarness) -> Counter[str]:
    return Counter(e.account or "" for e in events(w, "sent"))


def next_one(number: int, count: int = 100, **changes: Any) -> Envelope:
    return envelope(count, start=1000 * number, **changes)


# Weights and health


def test_a_template_with_one_account_costs_no_request() -> None:
    with harness() as w:
        w.run(envelope(100))
        assert w.health_reads == [] and w.stages()["sent"] == 100


def test_health_is_read_once_in_ten_seconds() -> None:
    with two() as w:
        for number in range(5):
            w.run(next_one(number, 10), next_one(10 + number, 10))
        assert sorted(w.health_reads) == ["main", "spare"]
        w.clock.advance(CACHE_SECONDS)
        w.run(next_one(99, 10))
        assert len(w.health_reads) == 4


@pytest.mark.parametrize("count", [100])
def test_weights_of_the_policies_go_before_the_accounts_own(count: int) -> None:
    with two(policies=Policies(weights={"spare": 900})) as w:
        for number in range(10):
            w.run(next_one(number, count))
        assert 850 < by_account(w)["spare"] < 950
        assert "main" in by_account(w)


def test_an_account_that_lost_weight_gets_its_share_of_what_is_left() -> None:
    with two() as w:
        w.shifted["main"] = Stored(Shift(factor=0.2, since=NOW), 3)
        for number in range(10):
            w.run(next_one(number))
        assert 110 < by_account(w)["main"] < 230


def test_health_that_cannot_be_read_stops_nothing() -> None:
    with two() as w:
        w.broken = {"health"}
        assert w.run(envelope(100)) == []
        assert w.stages()["sent"] == 100 and set(by_account(w)) == {"main", "spare"}


def test_a_test_key_is_routed_nowhere() -> None:
    with two() as w:
        w.run(envelope(3, kind=KeyKind.TEST))
        assert w.health_reads == []


def in_trouble(w: DispatchHarness) -> None:
    w.health["main"] = {w.clock.now_ms() // BUCKET_MS: Counter({TRIES: 40, "provider_busy": 30})}


def test_trouble_shifts_weight_with_a_record_and_a_pause() -> None:
    with two() as w:
        in_trouble(w)
        w.run(next_one(1))
        assert w.shifted["main"].value.factor == 0.2
        [record] = w.audit
        assert (record.who, record.action, record.target) == ("routing", "shift_weight", "account/main")
        assert record.before is not None and record.after is not None
        assert (record.before["factor"], record.after["factor"]) == (1.0, 0.2)
        assert record.after["reason"] == "30 of 40 tries went wrong in the last 30 s, most with provider_busy"
        assert (record.after["tries"], record.after["bad"], record.after["slow"]) == (40, 30, 0)
        assert "factor" in record.changed
        # What was counted until then counts no more; and whatever comes, the next change waits.
        w.clock.advance(CACHE_SECONDS)
        in_trouble(w)
        w.run(next_one(2))
        assert len(w.audit) == 1
        w.clock.advance(PAUSE_MS / 1000)
        in_trouble(w)
        w.run(next_one(3))
        assert len(w.audit) == 2 and w.shifted["main"].value.factor == 0.02


def test_who_comes_second_with_a_shift_goes_by_the_first_ones() -> None:
    with two() as w:
        in_trouble(w)
        found = w.buckets

        def overtaken(tenant: str, account: str, now: int) -> Any:
            if account == "main" and not w.shifted:
                w.shifted["main"] = Stored(Shift(factor=0.5, since=now), 1)
            return found(tenant, account, now)

        w.buckets = overtaken  # type: ignore[method-assign]  # of this instance
        w.run(next_one(1))
        assert w.audit == [] and w.shifted["main"].value.factor == 0.5


# Failover


def test_who_meets_an_account_that_is_down_goes_through_the_other_in_the_same_invocation() -> None:
    with two(down) as w:
        assert w.run(envelope(100)) == []
        assert w.stages() == {"accepted": 100, "sent": 100} and w.dispatched == []
        assert by_account(w) == {"spare": 100}
        asked = {m.message_id for m in w.providers["main"].sent}
        over = Counter(e.passed_over[0] if e.passed_over else () for e in events(w, "sent"))
        # Those of its first wave were asked; the others did not have to be.
        assert over["main", "credentials_refused", "535"] == len(asked)
        assert over["main", "avoided", ""] > 0 and over.total() == 100
        assert len(asked) <= 34 + 4


def test_the_timeline_tells_the_way() -> None:
    with two(down) as w:
        w.run(envelope(100))
        texts = {describe(e) for e in events(w, "sent")}
        assert any(
            "Account main could not send it (credentials_refused; the provider said: 535), so another one was asked."
            " Through account spare (smtp)" in text
            for text in texts
        )
        assert any("Account main had been down a moment before and was not asked." in text for text in texts)


def test_whom_an_account_refuses_for_its_own_fault_goes_through_the_other_and_the_account_is_not_down() -> None:
    with two(lambda m: Rejected(Reason.SENDER_REFUSED, "sender_id_not_registered")) as w:
        w.run(next_one(1))
        assert w.stages() == {"accepted": 100, "sent": 100} and by_account(w) == {"spare": 100}
        refused = [e.passed_over for e in events(w, "sent") if e.passed_over]
        assert refused == [(("main", "sender_refused", "sender_id_not_registered"),)] * len(refused)
        before = w.providers["main"].calls
        assert before == len(refused) > 20
        w.run(next_one(2))
        assert w.providers["main"].calls > before, "others may yet be sent through it"


def test_whom_no_account_takes_fails_with_the_reason() -> None:
    with two(lambda m: Rejected(Reason.SENDER_REFUSED, "no"), lambda m: Rejected(Reason.SENDER_REFUSED, "no")) as w:
        assert w.run(envelope(10)) == []
        assert {(e.reason, len(e.passed_over)) for e in events(w, "failed")} == {("sender_refused", 1)}


@pytest.mark.parametrize("reason", [Reason.ADDRESS_UNKNOWN, Reason.CONTENT_REFUSED, Reason.RECIPIENT_OPTED_OUT])
def test_whom_a_provider_refuses_for_another_fault_goes_nowhere_else(reason: Reason) -> None:
    with two(lambda m: Rejected(reason, "550"), lambda m: Rejected(reason, "551")) as w:
        w.run(envelope(50))
        assert w.stages() == {"accepted": 50, "failed": 50}
        assert not [e for e in events(w, "failed") if e.passed_over]


def test_a_process_remembers_for_a_while_that_an_account_was_down() -> None:
    with two(down) as w:
        w.run(next_one(1, 20))
        before = w.providers["main"].calls
        assert before > 0
        w.run(next_one(2))
        assert w.providers["main"].calls == before and by_account(w)["spare"] == 120
        w.clock.advance(DOWN_MS / 1000)
        w.run(next_one(3))
        assert w.providers["main"].calls > before and by_account(w)["spare"] == 220


def test_an_account_that_is_down_is_asked_all_the_same_if_there_is_no_other() -> None:
    with harness(down) as w:
        w.run(next_one(1, 3))
        w.run(next_one(2, 3))
        assert w.providers["main"].calls == 6 and w.stages()["retrying"] == 6


def test_when_all_are_down_it_is_tried_again_and_tells_of_each() -> None:
    with two(down, lambda m: AccountDown(Reason.BALANCE_EXHAUSTED, "arrears")) as w:
        w.run(envelope(1))
        [again] = events(w, "retrying")
        assert again.account_down and len(again.passed_over) == 1
        assert {again.account, again.passed_over[0][0]} == {"main", "spare"}
        assert "sent through another account" in describe(again)
        [child] = w.dispatched
        assert child.envelope.avoid == ["main", "spare"]
        assert w.providers["main"].calls == w.providers["spare"].calls == 1


def test_an_unknown_outcome_never_fails_over() -> None:
    with two(lambda m: Unknown(Reason.TIMED_OUT, "")) as w:
        w.run(envelope(100, message_class=MessageClass.MARKETING))
        asked = {m.message_id for m in w.providers["main"].sent}
        assert asked and not asked & {m.message_id for m in w.providers["spare"].sent}
        assert w.stages()["unknown"] == len(asked) and w.dispatched == []


def test_of_a_wave_only_those_go_elsewhere_that_certainly_were_not_sent() -> None:
    answers: dict[str, Outcome] = {"u1@example.com": Unknown(Reason.TIMED_OUT, ""), "u2@example.com": DOWN}
    with two(lambda m: answers.get(m.to, Sent("main")), policies=Policies(weights={"spare": 0})) as w:
        w.run(envelope(3, message_class=MessageClass.MARKETING))
        assert [m.to for m in w.providers["spare"].sent] == ["u2@example.com"]
        assert w.stages() == {"accepted": 3, "sent": 2, "unknown": 1}


def test_an_account_whose_settings_do_not_fit_is_passed_over() -> None:
    with two() as w:
        w.providers["main"] = None  # type: ignore[assignment]  # settings that do not fit
        w.run(envelope(20))
        assert by_account(w) == {"spare": 20}
        ways = [e.passed_over for e in events(w, "sent") if e.passed_over]
        assert ways and all(way == (("main", "account_misconfigured", ""),) for way in ways)


def test_an_account_whose_limits_the_message_breaks_does_not_stand_in() -> None:
    with two(down, policies=Policies(weights={"spare": 0})) as w:
        # The robot takes no email at all.
        w.accounts["spare"] = w.accounts["spare"].model_copy(update={"provider": "robot"})
        w.run(envelope(2))
        assert w.providers["spare"].calls == 0
        assert w.stages() == {"accepted": 2, "retrying": 2}


def test_without_the_time_for_another_call_it_is_tried_again() -> None:
    with two(down, policies=Policies(weights={"spare": 0})) as w:
        w.remaining_ms = lambda: 9_000 if w.providers["main"].calls else 60_000
        w.run(envelope(1))
        assert w.providers["spare"].calls == 0
        [child] = w.dispatched
        assert child.envelope.avoid == ["main"] and child.envelope.id.endswith("/r1")
        w.remaining_ms = lambda: 60_000
        w.run(child.envelope)
        assert by_account(w) == {"spare": 1}


def test_recipients_are_marked_in_flight_under_the_account_that_is_asked() -> None:
    with two(down, policies=Policies(weights={"spare": 0})) as w:
        seen: list[Any] = []

        def look(message: Outgoing) -> Outcome:
            seen.extend(dict(entry.flight) for entry in w.entries.values())
            return Sent("s")

        w.providers["spare"].script = look
        w.run(envelope(2))
        assert seen == [{"spare": [0, 1]}] * 2
        assert w.log == ["acquire", "record", "record", "stream"]


# Retries


@pytest.mark.parametrize("reason", [Reason.CONNECTION_FAILED, Reason.PROVIDER_BUSY, Reason.PROVIDER_ERROR])
def test_a_retry_for_an_accounts_own_trouble_prefers_another(reason: Reason) -> None:
    with two(lambda m: Retry(reason, "x"), policies=Policies(weights={"spare": 0})) as w:
        w.run(envelope(1))
        [again], [child] = events(w, "retrying"), w.dispatched
        assert again.avoid_account and not again.account_down and "sent through another account" in describe(again)
        assert child.envelope.avoid == ["main"] and w.providers["spare"].calls == 0
        w.run(child.envelope)
        assert by_account(w) == {"spare": 1}


@pytest.mark.parametrize("reason", [Reason.THROTTLED, Reason.RECIPIENT_LIMIT, Reason.WRONG_HOUR])
def test_other_retries_stay_with_their_account(reason: Reason) -> None:
    with two(lambda m: Retry(reason, "x"), policies=Policies(weights={"spare": 0})) as w:
        w.run(envelope(1))
        [again], [child] = events(w, "retrying"), w.dispatched
        assert not again.avoid_account and child.envelope.avoid == []
        assert "another account" not in describe(again)
