"""Retry schedules: how often, and within what time."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.model.words import MessageClass
from shared.policy.retry import SCHEDULES, wait_s


@pytest.mark.parametrize(
    ("message_class", "tries", "window"),
    [(MessageClass.VERIFICATION, 5, 120), (MessageClass.NOTIFICATION, 8, 3600), (MessageClass.MARKETING, 10, 21600)],
)
def test_tries_fill_the_window_and_no_more(message_class: MessageClass, tries: int, window: float) -> None:
    waits = []
    for attempt in range(1, 100):
        wait = wait_s(message_class, attempt, 0.999999)
        if wait is None:
            break
        waits.append(wait)
    assert len(waits) == tries - 1
    assert sum(waits) == pytest.approx(window, rel=0.001)
    assert all(later == pytest.approx(2 * earlier) for earlier, later in pairwise(waits))


@given(st.sampled_from(MessageClass), st.integers(1, 4), st.floats(0, 1, exclude_max=True))
def test_jitter_is_full(message_class: MessageClass, attempt: int, chance: float) -> None:
    wait = wait_s(message_class, attempt, chance)
    assert wait is not None and 0 <= wait <= SCHEDULES[message_class].ceiling_s(attempt)


def test_the_providers_wish_is_honoured_within_the_window() -> None:
    assert wait_s(MessageClass.VERIFICATION, 1, 0, after=60) == 60
    assert wait_s(MessageClass.VERIFICATION, 1, 0, after=3600) is None
    assert wait_s(MessageClass.MARKETING, 1, 0, after=3600) == 3600
