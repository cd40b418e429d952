"""Which account sends: by weight, and always the same for the same message."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.dispatch.accounts import choose

TAGS = [f"TAG{i:013d}" for i in range(4000)]


def test_shares_follow_the_weights() -> None:
    counts = Counter(choose({"a": 300, "b": 100, "c": 0}, tag) for tag in TAGS)
    assert counts["c"] == 0
    assert 0.72 < counts["a"] / len(TAGS) < 0.78


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(0.05, 1000), min_size=2, max_size=5))
def test_shares_follow_any_weights_however_small(weights: list[float]) -> None:
    by_id = {f"a{i}": weight for i, weight in enumerate(weights)}
    counts = Counter(choose(by_id, tag) for tag in TAGS)
    for account, weight in by_id.items():
        assert abs(counts[account] / len(TAGS) - weight / sum(weights)) < 0.04


def test_a_choice_sticks_and_a_new_account_takes_only_its_share() -> None:
    before = {"a": 100.0, "b": 100.0}
    after = {**before, "c": 100.0}
    moved = 0
    for tag in TAGS:
        first, second = choose(before, tag), choose(after, tag)
        assert choose(dict(reversed(before.items())), tag) == first
        if first != second:
            assert second == "c"
            moved += 1
    assert 0.29 < moved / len(TAGS) < 0.38


def test_less_weight_moves_messages_away_and_the_same_ones_come_back() -> None:
    full, less = ({"a": 100 * factor, "b": 100.0} for factor in (1, 0.05))
    before, during = ([choose(weights, tag) for tag in TAGS] for weights in (full, less))
    assert all(now == "b" for then, now in zip(before, during, strict=True) if then == "b")
    assert 0.03 < during.count("a") / len(TAGS) < 0.07
    assert [choose(full, tag) for tag in TAGS] == before


def test_accounts_without_weight_serve_when_there_is_no_other() -> None:
    counts = Counter(choose({"a": 0, "b": 0}, tag) for tag in TAGS)
    assert abs(counts["a"] - counts["b"]) < 400
