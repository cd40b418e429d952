"""Steps of an account's weight: down with trouble, up after a rest, never more than one change in fifteen seconds."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.model.events import EventRow
from shared.model.reasons import Blame, Reason, blame_of
from shared.policy.routing import (
    BUCKET_MS,
    MIN_TRIES,
    PAUSE_MS,
    REST_MS,
    SLOW,
    SLOW_MS,
    STEPS,
    SUSPECT_TRIES,
    TRIES,
    Buckets,
    counts_of,
    next_shift,
    steps_down,
)
from tests.samples import NOW

BUSY = str(Reason.PROVIDER_BUSY)


def buckets(*counts: dict[str, int], now: int = NOW) -> Buckets:
    """What was counted in the current ten seconds, in those before, and so on."""
    return {now // BUCKET_MS - i: Counter(each) for i, each in enumerate(counts)}


def test_an_account_that_does_well_keeps_its_weight() -> None:
    assert next_shift(1.0, 0, buckets(*[{TRIES: 500, BUSY: 74}] * 6), NOW) is None
    assert next_shift(1.0, 0, {}, NOW) is None


@pytest.mark.parametrize(
    ("factor", "bad", "then"),
    [(1.0, 15, 0.5), (1.0, 49, 0.5), (1.0, 50, 0.2), (0.5, 20, 0.2), (0.5, 100, 0.02), (0.2, 100, 0.02)],
)
def test_trouble_takes_a_step_and_much_trouble_takes_two(factor: float, bad: int, then: float) -> None:
    shift = next_shift(factor, 0, buckets({TRIES: 100, BUSY: bad}), NOW)
    assert shift is not None
    assert (shift.factor, shift.since, shift.tries, shift.bad, shift.cause) == (then, NOW, 100, bad, BUSY)
    assert shift.reason == f"{bad} of 100 tries went wrong in the last 30 s, most with provider_busy"


def test_few_tries_say_nothing() -> None:
    assert next_shift(1.0, 0, buckets({TRIES: MIN_TRIES - 1, BUSY: MIN_TRIES - 1}), NOW) is None
    assert next_shift(1.0, 0, buckets({TRIES: 10, BUSY: 10}, {TRIES: 10, BUSY: 10}), NOW) is not None


def test_of_an_account_that_has_lost_weight_fewer_tries_say_enough_when_most_go_wrong() -> None:
    few = {TRIES: SUSPECT_TRIES, BUSY: SUSPECT_TRIES // 2}
    shift = next_shift(0.2, NOW - 20_000, buckets(few), NOW)
    assert shift is not None and shift.factor == 0.02
    assert next_shift(1.0, 0, buckets(few), NOW) is None
    assert next_shift(0.2, NOW - 20_000, buckets({TRIES: SUSPECT_TRIES - 1, BUSY: SUSPECT_TRIES - 1}), NOW) is None
    # Some trouble in few tries may be chance.
    assert next_shift(0.5, NOW - 20_000, buckets({TRIES: SUSPECT_TRIES, BUSY: SUSPECT_TRIES // 2 - 1}), NOW) is None


def test_old_trouble_and_trouble_before_the_last_shift_do_not_count() -> None:
    trouble = {TRIES: 100, BUSY: 100}
    assert next_shift(1.0, 0, buckets({}, {}, {}, {}, trouble), NOW) is None
    # Shifted 16 s ago: the bucket of that moment rests on what it rested on.
    assert next_shift(0.2, NOW - 16_000, buckets({}, {}, trouble), NOW) is None
    assert next_shift(0.2, NOW - 16_000, buckets({}, trouble), NOW) is not None


def test_slow_tries_take_a_step_too() -> None:
    shift = next_shift(1.0, 0, buckets({TRIES: 100, SLOW: 30}), NOW)
    assert shift is not None and (shift.factor, shift.slow, shift.cause) == (0.5, 30, None)
    assert shift.reason == "0 of 100 tries went wrong in the last 30 s; 30 took more than 5 s"
    assert next_shift(1.0, 0, buckets({TRIES: 100, SLOW: 29}), NOW) is None


def test_after_a_rest_a_step_comes_back() -> None:
    since = NOW - REST_MS
    shift = next_shift(0.02, since, buckets({TRIES: 20}, {TRIES: 20, BUSY: 2}), NOW)
    assert shift is not None and shift.factor == 0.2
    assert shift.reason == "2 of 40 tries went wrong in the last 60 s, most with provider_busy"
    assert next_shift(0.02, since + 1, buckets({TRIES: 20}), NOW) is None
    # Trouble that is too little for a step down holds it where it is.
    assert next_shift(0.02, since, buckets({TRIES: 10, BUSY: 1}), NOW) is None
    assert next_shift(0.02, since, buckets({TRIES: 20, SLOW: 6}), NOW) is None
    # One that nobody used in the meantime may try again.
    assert next_shift(0.02, since, {}, NOW) is not None
    assert next_shift(1.0, since, buckets({TRIES: 20}), NOW) is None


@given(st.integers(0, 200), st.integers(0, 200), st.integers(0, 200), st.integers(0, 200))
def test_more_trouble_never_takes_fewer_steps(tries: int, one: int, other: int, slow: int) -> None:
    less, more = sorted((min(one, tries), min(other, tries)))
    assert steps_down(tries, less, slow) <= steps_down(tries, more, slow)
    assert steps_down(tries, less, 0) <= steps_down(tries, less, slow)
    assert steps_down(tries, less, slow) <= steps_down(tries, less, slow, suspect=True)


counted = st.builds(
    lambda tries, share: Counter({TRIES: tries, BUSY: int(tries * share)}), st.integers(0, 300), st.floats(0, 1)
)


@given(st.lists(counted, min_size=1, max_size=40), st.sampled_from([1000, 3000, 10_000]))
def test_it_never_flaps_and_always_recovers(history: list[Counter[str]], look_every: int) -> None:
    """Whatever happens: shifts stay on the steps, are fifteen seconds apart, go up one at a time; and in the end it is
    back at its full weight."""
    start = NOW // BUCKET_MS
    seen = {start + i: counts for i, counts in enumerate(history)}
    factor, since, now = 1.0, 0, NOW
    shifts = []
    while now < NOW + len(history) * BUCKET_MS + (len(STEPS) + 1) * (REST_MS + BUCKET_MS):
        shift = next_shift(factor, since, {b: c for b, c in seen.items() if b <= now // BUCKET_MS}, now)
        if shift is not None:
            assert shift.factor in STEPS and shift.factor != factor and now - since >= PAUSE_MS
            if shift.factor > factor:
                assert STEPS.index(factor) - STEPS.index(shift.factor) == 1 and now - since >= REST_MS
            factor, since = shift.factor, shift.since
            shifts.append(shift)
        now += look_every
    assert factor == 1.0
    if not any(counts[BUSY] >= 0.15 * counts[TRIES] for counts in history if counts[TRIES]):
        assert shifts == []


def row(stage: str, **more: Any) -> EventRow:
    tried: Any = {"account": "a", "took_ms": 40}
    return EventRow(index=0, tag="t", stage=stage, nth=0, at=0, **tried | more)


@pytest.mark.parametrize(
    ("event", "counted"),
    [
        (row("sent"), [("a", (TRIES,))]),
        (row("sent", took_ms=SLOW_MS + 1), [("a", (TRIES, SLOW))]),
        (row("failed", reason="address_unknown"), [("a", (TRIES,))]),
        (row("retrying", reason="throttled"), [("a", (TRIES,))]),
        (row("retrying", reason="recipient_limit"), [("a", (TRIES,))]),
        (row("retrying", reason="connection_failed"), [("a", (TRIES, "connection_failed"))]),
        (row("retrying", reason="timed_out", took_ms=SLOW_MS + 1), [("a", (TRIES, "timed_out"))]),
        (row("unknown", reason="timed_out"), [("a", (TRIES, "timed_out"))]),
        (row("dead_lettered", reason="provider_busy"), [("a", (TRIES, "provider_busy"))]),
        (row("expired", reason="provider_busy"), [("a", (TRIES, "provider_busy"))]),
        # Of whatever kind: the account said that it is down.
        (row("retrying", reason="sender_refused", account_down=True), [("a", (TRIES, "sender_refused"))]),
        (
            row("sent", passed_over=(("b", "credentials_refused", "535"), ("c", "avoided", ""))),
            [("b", (TRIES, "credentials_refused")), ("a", (TRIES,))],
        ),
        # Nobody asked an account to send.
        (row("unknown", reason="interrupted"), []),
        (row("retrying", reason="unresolved"), []),
        (row("recalled", reason="recalled"), []),
        (row("deferred", reason="rate_limited", took_ms=None), []),
        (row("accepted", account=None, took_ms=None), []),
        (row("failed", reason="rendering_failed", account=None, took_ms=None), []),
    ],
)
def test_what_counts_for_and_against_an_account(event: EventRow, counted: list[tuple[str, tuple[str, ...]]]) -> None:
    assert counts_of(event) == counted


@pytest.mark.parametrize("reason", Reason)
def test_whose_fault_a_try_was_decides_whether_it_counts(reason: Reason) -> None:
    """Thirty recipients who cannot be reached, however they are quoted, take no weight from an account."""
    event, blame = row("retrying", reason=reason), blame_of(reason)
    if blame is Blame.OURS:
        assert counts_of(event) == []
    elif blame in {Blame.ACCOUNT, Blame.NETWORK}:
        assert counts_of(event) == [("a", (TRIES, reason))]
    else:
        assert counts_of(event) == [("a", (TRIES,))]
