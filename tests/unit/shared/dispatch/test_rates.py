"""Rates in the dispatcher: what goes at once, what waits and for how long, and that each waits once."""

import heapq
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import pytest

from functions.trace.words import describe
from shared.aws.queue import Dispatch
from shared.dispatch.rates import GAP_MS
from shared.dispatch.waiting import EARLY_MS, HEAD_START_MS, PATIENCE_MS
from shared.model.accounts import Rate
from shared.model.envelope import Envelope
from shared.model.events import EventRow
from shared.model.ids import Numbering, derived_base
from shared.model.outcome import AccountDown, Outcome, Retry, Sent
from shared.model.reasons import Reason
from shared.model.words import KeyKind, MessageClass
from shared.policy.rates import SECOND, Lane
from shared.providers.base import Outgoing
from tests.fakes import FakeClock
from tests.memory import tables
from tests.rates import most_within
from tests.samples import NOW, envelope
from tests.unit.shared.dispatch.decide.test_steps_duplicates_and_caps import Asked
from tests.unit.shared.dispatch.harness import DispatchHarness, Script, ScriptedProvider, harness

TEN = Rate(per_second=10, burst=10, code_share=0)


class CrashError(BaseException):
    """Ends the function where it is; nothing may catch it."""


class Post:
    """A harness whose account has a rate, on a table in memory; and when it sent what."""

    def __init__(self, w: DispatchHarness, asked: Asked) -> None:
        self.w, self.asked = w, asked
        self.sent: list[tuple[int, str]] = []

    def account(self, name: str, rate: Rate | None, script: Script = lambda m: Sent("1")) -> ScriptedProvider:
        """Give an account a rate and a script."""

        def noting(message: Outgoing) -> Outcome:
            self.sent.append((self.w.clock.now_ms(), message.message_id))
            return script(message)

        provider = self.w.add_account(name, noting, rate=rate)
        # Each thread that waits moves the clock, so more than one would move it too far.
        provider.threads = 1  # type: ignore[misc]  # of this one alone
        return provider

    def times(self) -> list[int]:
        """When messages were sent, after the start."""
        return [at - NOW for at, _ in self.sent]

    def events(self, stage: str) -> list[EventRow]:
        """The events of a stage."""
        return [event for record in self.w.records for event in record.events if event.stage == stage]

    def next(self, late_ms: int = 0) -> Envelope:
        """Receive the next envelope that carries on, when it is due, or later; returns it."""
        dispatch = self.w.dispatched.pop(0)
        self.w.clock.set(max(self.w.clock.now_ms(), dispatch.due_at or 0) + late_ms)
        assert self.w.run(dispatch.envelope) == []
        return dispatch.envelope


@contextmanager
def post(rate: Rate | None = TEN) -> Iterator[Post]:
    with tables(FakeClock(NOW), "guard") as client:
        asked = Asked(client)
        with harness(dynamodb=asked) as w:
            found = Post(w, asked)
            found.account("main", rate)
            yield found


def another(k: int, count: int = 1, **changes: Any) -> Envelope:
    base = derived_base(NOW, "request", str(k))
    return envelope(count, **{"id": Numbering(base)(0), "request": base, **changes})


def test_without_a_rate_nothing_is_asked_and_nothing_waits() -> None:
    with post(None) as p:
        p.w.run(another(1, 100), another(2, 100))
        assert (p.asked.names, len(p.sent), p.w.dispatched) == ([], 200, [])
        assert set(p.times()) == {0}


def test_all_envelopes_of_a_batch_take_their_places_in_one_request() -> None:
    with post(Rate(per_second=1000, burst=1000)) as p:
        p.w.run(*(another(k, 50) for k in range(10)))
        assert (p.asked.names, len(p.sent)) == (["update_item"], 500)


def test_what_can_go_within_two_seconds_goes_at_its_pace_and_the_rest_waits_once() -> None:
    with post() as p:
        p.w.run(envelope(50))
        assert p.times() == [0] * 10 + list(range(100, PATIENCE_MS, 100))
        deferred = p.w.dispatched.pop()
        # Its envelope is queued when all is sent, and must still come in time.
        place = NOW + PATIENCE_MS + GAP_MS
        child = deferred.envelope
        assert (child.id, len(child.recipients), child.times_put_off) == (f"{envelope().id}/w1", 21, 1)
        assert child.places == {"main": place} and deferred.due_at == place - HEAD_START_MS
        assert child.attempt == 0
        p.asked.names.clear()
        p.w.clock.set(place - 700)
        assert p.w.run(child) == []
        assert p.times()[29:] == list(range(5000, 7001, 100))
        assert (p.asked.names, p.w.dispatched) == ([], [])
        assert p.w.stages() == {"accepted": 50, "sent": 50, "deferred": 21}


def test_the_timeline_says_what_a_message_waits_for() -> None:
    with post(Rate(per_second=1, burst=1)) as p:
        p.w.run(another(1, 5))
        p.w.run(another(2))
        [event] = p.events("deferred")[-1:]
        assert event.place_at == NOW + 8000 and event.due_at == NOW + 8000 - HEAD_START_MS
        assert describe(event) == (
            "Waiting for its time. The account's rate was used up by messages before this one. "
            "It waits for its place in the rate of account main until 2025-01-15T10:00:08.000Z."
        )


def test_a_slow_account_gets_its_messages_a_few_at_a_time_and_each_waits_once() -> None:
    with post(Rate(per_second=0.25, burst=5, code_share=0)) as p:
        p.w.run(envelope(20))
        assert len(p.sent) == 5
        assert [len(d.envelope.recipients) for d in p.w.dispatched] == [3, 3, 3, 3, 3]
        children = [p.next() for _ in range(5)]
        assert [child.id.rpartition("/")[2] for child in children] == ["w1", "w1.1", "w1.2", "w1.3", "w1.4"]
        assert p.times() == [0] * 5 + [5000, 9000, 13_000] + list(range(16_000, 60_001, 4000))
        assert p.asked.names == ["update_item"] * 2


def deferred(p: Post) -> Envelope:
    """An envelope of ten that waits."""
    p.w.run(another(1, 50))
    p.w.dispatched.clear()
    p.w.run(another(2, 10))
    return p.w.dispatched.pop().envelope


def test_who_comes_a_little_late_goes_at_its_pace_from_then_on() -> None:
    with post() as p:
        child = deferred(p)
        p.w.clock.set(child.places["main"] + 1500)
        p.sent.clear()
        p.asked.names.clear()
        p.w.run(child)
        assert [t - p.times()[0] for t in p.times()] == list(range(0, 1000, 100))
        assert p.asked.names == []


def test_who_comes_too_late_for_its_place_takes_another() -> None:
    with post() as p:
        child = deferred(p)
        p.w.run(another(3, 100), another(4, 100))
        p.w.dispatched.clear()
        p.w.clock.set(child.places["main"] + 2001)
        p.w.run(child)
        [again] = p.w.dispatched
        assert again.envelope.times_put_off == 2 and again.envelope.places["main"] > child.places["main"]
        # Late as it is always, it is forgiven more each time.
        p.sent.clear()
        p.w.clock.set(again.envelope.places["main"] + 3900)
        p.w.run(again.envelope)
        assert len(p.sent) == 10


def test_what_waits_for_long_comes_early_by_a_schedule_and_keeps_its_place() -> None:
    with post() as p:
        p.w.run(*(another(k, 100) for k in range(1, 11)))
        for k in range(11, 21):
            p.w.run(*(another(10 * k + j, 100) for j in range(10)))
        late = p.w.dispatched[-1]
        place = late.envelope.places["main"]
        assert place > NOW + 1000_000 and late.due_at is not None and place - 180_000 == late.due_at
        p.w.dispatched.clear()
        p.asked.names.clear()
        p.w.clock.set(late.due_at + 60_000)
        p.w.run(late.envelope)
        [again] = p.w.dispatched
        assert (again.envelope.places["main"], again.due_at) == (place, place - HEAD_START_MS)
        p.sent.clear()
        p.w.dispatched.clear()
        p.w.clock.set(place - HEAD_START_MS + 900)
        p.w.run(again.envelope)
        assert p.sent[0][0] == place and len(p.sent) == len(late.envelope.recipients)
        assert p.asked.names == []


def test_a_message_whose_place_is_after_its_time_to_live_ends_at_once() -> None:
    with post(Rate(per_second=1, burst=1)) as p:
        p.w.run(another(1, 30, expires_at=NOW + 10_000))
        assert p.w.stages() == {"accepted": 30, "sent": 2, "deferred": 5, "expired": 23}
        assert {event.reason for event in p.events("expired")} == {"rate_limited"}
        # It took no place from those who come after it.
        p.w.run(another(2, expires_at=NOW + 60_000))
        assert p.events("deferred")[-1].place_at == NOW + 10_000


def test_what_goes_here_goes_before_its_time_to_live_ends() -> None:
    with post(Rate(per_second=1, burst=1)) as p:
        p.w.run(another(1, 3, expires_at=NOW + 1500), another(2, 3))
        assert p.times() == [0, 1000]
        assert p.w.stages()["expired"] == 1


def test_when_the_day_is_used_up_the_rest_waits_for_the_next() -> None:
    with post(Rate(per_second=100, burst=100, per_day=30, code_share=0)) as p:
        p.w.run(envelope(50))
        midnight = (NOW // 86_400_000 + 1) * 86_400_000
        [deferred] = p.w.dispatched
        assert (len(p.sent), deferred.due_at, deferred.envelope.places) == (30, midnight, {})
        p.next()
        assert len(p.sent) == 50
        assert "rate of account main until 2025-01-16T00:00:00" in describe(p.events("deferred")[0])


def test_a_code_is_not_kept_waiting_by_a_campaign() -> None:
    with post(Rate(per_second=10, burst=10)) as p:
        for k in range(20):
            p.w.run(another(k, 100, message_class=MessageClass.MARKETING))
        p.sent.clear()
        p.w.run(another(100, message_class=MessageClass.VERIFICATION))
        assert len(p.sent) == 1


class Bundling(ScriptedProvider):
    """Carries any number of messages in one call."""

    def group(self, messages: Sequence[Outgoing]) -> list[list[Outgoing]]:
        return [list(messages)]


class Posting(Bundling):
    """Counts calls, as group robots do."""

    counts_calls: ClassVar[bool] = True


def test_a_call_never_carries_more_than_may_go_at_once() -> None:
    with post() as p:
        p.w.providers["main"].__class__ = Bundling
        p.w.run(envelope(30))
        p.next()
        assert p.times() == [0] * 10 + [1000] * 10 + [5000] * 10
        assert (p.w.providers["main"].calls, p.w.dispatched) == (3, [])


def test_where_the_vendor_counts_calls_a_call_takes_one_place() -> None:
    with post(Rate(per_second=0.25, burst=5, code_share=0)) as p:
        p.w.providers["main"].__class__ = Posting
        p.w.run(*(another(k, 100) for k in range(5)))
        assert (p.w.providers["main"].calls, p.w.dispatched) == (5, [])


def test_nothing_is_sent_without_places() -> None:
    with post() as p:
        p.asked.broken = lambda name: True
        assert p.w.run(another(1, 10), another(2, 10)) == ["0", "1"]
        assert (p.sent, p.w.entries) == ([], {})
        p.asked.broken = lambda name: False
        assert p.w.run(another(1, 10), another(2, 10)) == []
        assert len(p.sent) == 20


def test_test_keys_pass_by() -> None:
    with post(Rate(per_second=0.01, burst=1)) as p:
        p.w.run(envelope(50, kind=KeyKind.TEST))
        assert (p.asked.names, p.w.stages()["sent"]) == ([], 50)


def test_a_retry_takes_a_place_like_any_other() -> None:
    with post() as p:
        p.account("main", TEN, lambda m: Retry(Reason.THROTTLED, "454"))
        p.w.run(envelope(1))
        p.next()
        assert (len(p.sent), p.asked.names) == (2, ["update_item"] * 2)


def test_who_goes_by_another_account_waits_for_a_place_in_its_rate() -> None:
    with post() as p:
        p.w.add_template(accounts=["main", "spare"])
        p.account("main", TEN, lambda m: AccountDown(Reason.CREDENTIALS_REFUSED, "535"))
        p.w.accounts["main"] = p.w.accounts["main"].model_copy(update={"weight": 1000})
        p.account("spare", Rate(per_second=1, burst=1))
        p.w.accounts["spare"] = p.w.accounts["spare"].model_copy(update={"weight": 0})
        p.w.run(envelope(10))
        by_spare = [e for e in p.events("sent") if e.account == "spare"]
        assert [e.at - NOW for e in by_spare] == [0, 1000]
        [waiting] = p.w.dispatched
        child = waiting.envelope
        assert (child.places, child.avoid) == ({"spare": NOW + 5000}, ["main"])
        p.asked.names.clear()
        p.w.clock.set(NOW + 4500)
        p.w.run(child)
        assert [e.at - NOW for e in p.events("sent") if e.account == "spare"] == [
            0, 1000, *range(5000, 12_001, 1000)
        ]  # fmt: skip
        assert p.asked.names == []


def test_a_call_that_would_end_too_late_after_its_place_is_not_made() -> None:
    with post() as p:
        p.w.remaining_ms = lambda: 16_500 - (p.w.clock.now_ms() - NOW)
        p.w.run(envelope(30))
        assert max(p.times()) <= 1500 and len(p.sent) == 25
        rest, _ = p.w.dispatched
        assert (rest.envelope.id, len(rest.envelope.recipients)) == (f"{envelope().id}/c1", 4)


# Limits per recipient


class Touchy(ScriptedProvider):
    """Takes three messages for a recipient at once, and one more every four seconds."""

    recipient_lane: ClassVar[Lane | None] = Lane(4 * SECOND, 3)

    def limits(self, to: str) -> bool:
        return to != "u1@example.com"


@contextmanager
def touchy(rate: Rate | None = None) -> Iterator[Post]:
    with post(rate) as p:
        p.w.providers["main"].__class__ = Touchy
        yield p


def test_the_limits_of_an_envelopes_recipients_cost_one_request() -> None:
    with touchy() as p:
        p.w.run(envelope(50))
        assert (p.asked.names, len(p.sent)) == (["transact_write_items"], 50)


def test_who_has_had_too_many_waits_and_no_other() -> None:
    with touchy() as p:
        for k in range(6):
            p.w.run(another(k, 3))
        assert Counter(event.reason for event in p.events("deferred")) == {"recipient_limit": 6}
        # Of the second recipient nobody says that there is a limit.
        assert len(p.sent) == 3 * 2 + 6
        assert describe(p.events("deferred")[0]).endswith(
            "It waits for account main, which may send to this recipient again at 2025-01-15T10:00:04.000Z."
        )
        p.asked.names.clear()
        p.sent.clear()
        while p.w.dispatched:
            assert p.next().times_put_off == 1
        assert (p.times(), p.asked.names) == ([4000, 4000, 8000, 8000, 12_000, 12_000], [])


def test_limits_of_recipients_and_of_the_account_go_together() -> None:
    with touchy(Rate(per_second=1, burst=1, code_share=0)) as p:
        for k in range(4):
            p.w.run(another(k, 1))
        assert [event.reason for event in p.events("deferred")] == ["recipient_limit"]
        p.next()
        assert p.times() == [0, 1000, 2000, 4000]


def test_nothing_is_sent_where_limits_of_recipients_cannot_be_asked() -> None:
    with touchy() as p:
        p.asked.broken = lambda name: True
        assert p.w.run(another(1, 2)) == ["0"]
        assert (p.sent, p.w.entries) == ([], {})


# All of it at once


def test_a_deferred_envelope_is_waited_for_here_only_for_seconds() -> None:
    assert PATIENCE_MS < EARLY_MS and HEAD_START_MS < EARLY_MS


class Storm:
    """Receives envelopes when they are due, each by a function with a clock of its own; some die, some come twice."""

    def __init__(self, p: Post, chance: random.Random) -> None:
        self.p, self.chance = p, chance
        self.coming: list[tuple[int, int, Envelope]] = []
        self.numbers = iter(range(10**6))
        self.struck = 0
        self.disturbed: set[str] = set()
        self.early: set[str] = set()

    def arrive(self, one: Envelope, at: int) -> None:
        """Let an envelope come at a time."""
        heapq.heappush(self.coming, (at, next(self.numbers), one))

    def rage(self) -> None:
        """Receive until nothing is left."""
        while self.coming:
            at, _, one = heapq.heappop(self.coming)
            self.p.w.clock.set(at)
            self._receive(one, at)
            for dispatch in self.p.w.dispatched:
                self._carry_on(one, dispatch)
            self.p.w.dispatched.clear()

    def _receive(self, one: Envelope, at: int) -> None:
        if self.chance.random() < 0.05 and self.struck < 20:
            self.struck += 1
            die_at(self.p.w, self.chance.choice(["acquire", "queue", "stream"]))
        try:
            assert self.p.w.run(one) == []
        except CrashError:
            self.disturbed.add(one.id)
            self.arrive(one, at + 400_000)
        self.p.w.__dict__.pop("_step", None)
        if self.chance.random() < 0.03:
            self.disturbed.add(one.id)
            self.arrive(one, at + 100_000)

    def _carry_on(self, parent: Envelope, dispatch: Dispatch) -> None:
        one, now = dispatch.envelope, self.p.w.clock.now_ms()
        due = dispatch.due_at or now
        seconds = -(-max(due - now, 0) // 1000)
        by_sqs = now + 1000 * seconds + self.chance.randint(0, 1200)
        self.arrive(one, by_sqs if seconds <= 900 else due + self.chance.randint(0, 60_000))
        if one.places.get("main", 0) - due > HEAD_START_MS:
            self.early.add(one.id)
        if not any(one.id.startswith(id) for id in self.disturbed):
            # Whoever has long to wait comes early once, keeps its place, and waits for the rest of the time.
            assert one.times_put_off <= 1 + (parent.id in self.early)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("rate", "envelopes"), [
    (Rate(per_second=14, burst=14, code_share=0), 50),
    (Rate(per_second=100, burst=5), 120),
    (Rate(per_second=0.5, burst=3, code_share=0), 4),
    # Half an hour's worth: beyond what SQS can delay.
    (Rate(per_second=1, burst=2, code_share=0), 60),
])  # fmt: skip
def test_whatever_happens_the_rate_is_kept_and_each_message_goes_once(rate: Rate, envelopes: int, seed: int) -> None:
    chance = random.Random(seed)
    with post(rate) as p:
        p.w.guarded = False  # a few recipients get it all
        storm = Storm(p, chance)
        sizes = [chance.randint(1, 60) for _ in range(envelopes)]
        for k, count in enumerate(sizes):
            kind = MessageClass.VERIFICATION if chance.random() < 0.1 else MessageClass.NOTIFICATION
            storm.arrive(another(k, count, message_class=kind), NOW + chance.randint(0, 5000))
        storm.rage()
        counts = Counter(message_id for _, message_id in p.sent)
        assert (len(counts), set(counts.values()), p.w.dead) == (sum(sizes), {1}, [])
        times = [time for time, _ in p.sent]
        for window in (0, 0.5, 1, 2, 10, 60):
            assert most_within(times, window) <= rate.burst + rate.per_second * (window + 0.001)


def die_at(w: DispatchHarness, step: str) -> None:
    """Die before a step is carried out."""
    plain = w._step

    def stepping(name: str) -> None:
        if name == step:
            raise CrashError
        plain(name)

    w.__dict__["_step"] = stepping
