"""When deliveries are tried again, and when they are given up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from functions.webhooks.retrying import JITTER, LONGEST_MS, WAITS_S, Answer, next_try
from shared.model.webhooks import Attempt, Delivery

NOW = 1_736_935_200_000
FAILED = Answer(Attempt(at=NOW, ms=1, status=500))


def delivery(tries: int, since: int = NOW) -> Delivery:
    return Delivery(tenant="t", endpoint="e", id="msg_1", type="x", at=NOW, body="{}", since=since, tries=tries)


def test_ten_tries_in_some_75_hours() -> None:
    now, waits = NOW, []
    for tries in range(1, 11):
        due = next_try(delivery(tries), FAILED, now, 0.0)
        if due is None:
            break
        waits.append((due - now) // 1000)
        now = due
    assert tuple(waits) == WAITS_S == (5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
    assert tries == 10 and 75 <= (now - NOW) / 3_600_000 < 76


@pytest.mark.parametrize("status", [None, 100, 199, 301, 302, 304, 400, 404, 429, 500, 503, 599])
def test_all_but_2xx_is_tried_again(status: int | None) -> None:
    answer = Answer(Attempt(at=NOW, ms=1, status=status))
    assert not answer.ok and next_try(delivery(1), answer, NOW, 0.5) is not None


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_2xx_is_enough(status: int) -> None:
    assert Answer(Attempt(at=NOW, ms=1, status=status)).ok


def test_gone_is_the_end() -> None:
    assert next_try(delivery(1), Answer(Attempt(at=NOW, ms=1, status=410)), NOW, 0.5) is None


def test_who_asks_for_more_time_gets_it_up_to_the_end() -> None:
    asked = Answer(Attempt(at=NOW, ms=1, status=429), 3_600_000)
    assert next_try(delivery(1), asked, NOW, 1.0) == NOW + 3_600_000
    # Less than the schedule has anyway changes nothing.
    assert next_try(delivery(5), asked, NOW, 0.0) == NOW + 18_000_000
    ages = replace(asked, retry_after_ms=10**12)
    assert next_try(delivery(1), ages, NOW, 0.0) == NOW + LONGEST_MS
    assert next_try(delivery(2), ages, NOW + LONGEST_MS, 0.0) is None


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 10**9), st.integers(0, 10**6)), min_size=20, max_size=20))
def test_it_always_ends(tries: list[tuple[float, int, int]]) -> None:
    now = NOW
    for number, (chance, retry_after, took) in enumerate(tries, 1):
        answer = Answer(Attempt(at=now, ms=1, status=503), retry_after)
        due = next_try(delivery(number), answer, now + took, chance)
        if due is None:
            assert number <= len(WAITS_S) + 1
            return
        assert due <= NOW + LONGEST_MS
        wait = WAITS_S[number - 1]
        assert due >= min(NOW + LONGEST_MS, now + took + wait * 1000)
        assert due - now - took <= max(wait * (1 + JITTER) * 1000, retry_after)
        now = max(now + took, due)
    raise AssertionError("it did not end")
