"""How long messages take, as counts that add up."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.policy.latency import LONGEST_MS, counted, latency_name, percentile


def counts_of(times: list[int]) -> Counter[str]:
    return Counter(latency_name("sent", ms) for ms in times)


@given(st.lists(st.integers(1, LONGEST_MS), min_size=1, max_size=200), st.sampled_from([0.5, 0.95, 0.99]))
def test_a_percentile_is_known_to_within_a_tenth(times: list[int], share: float) -> None:
    exact = sorted(times)[max(0, -(-int(share * 1000 * len(times)) // 1000) - 1)]
    found = percentile(counts_of(times), "sent", share)
    assert found is not None
    assert abs(found - exact) <= 0.1 * exact + 1


def test_counts_of_parts_add_up_to_those_of_the_whole() -> None:
    chance = random.Random(1)
    times = [int(chance.lognormvariate(6, 2)) for _ in range(5000)]
    parts = counts_of(times[:1234]) + counts_of(times[1234:])
    assert parts == counts_of(times) and counted(parts, "sent") == 5000


@pytest.mark.parametrize("ms", [-5, 0, 1])
def test_no_time_at_all_is_a_millisecond(ms: int) -> None:
    assert percentile(counts_of([ms]), "sent", 0.5) == 1


def test_other_stages_and_names_do_not_matter() -> None:
    counts = counts_of([100]) + Counter({"sent": 7, "delivered@40": 9, "undelivered:mailbox_full": 3})
    assert percentile(counts, "sent", 0.99) == percentile(counts_of([100]), "sent", 0.99)
    assert percentile(counts, "failed", 0.5) is None and counted(counts, "failed") == 0


def test_so_few_buckets_are_in_use_that_they_fit_into_an_item() -> None:
    names = {latency_name("delivered", ms) for ms in (*range(1, 100_000), LONGEST_MS, 10 * LONGEST_MS)}
    assert len(names) < 130
