"""What a process remembers of a table."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.base.cache import FOREVER, TtlCache
from tests.fakes import FakeClock


class Loads:
    """Answers with `value` and counts."""

    def __init__(self, value: str | None) -> None:
        self.value = value
        self.count = 0

    def __call__(self) -> str | None:
        self.count += 1
        return self.value


def test_a_value_is_loaded_once_until_it_is_too_old(clock: FakeClock) -> None:
    cache: TtlCache[str] = TtlCache(clock, 10, 5, 1)
    load = Loads("v")
    assert [cache.get("k", load) for _ in range(3)] == ["v", "v", "v"]
    assert load.count == 1
    clock.advance(9.999)
    cache.get("k", load)
    assert load.count == 1
    clock.advance(0.001)
    cache.get("k", load)
    assert load.count == 2


@pytest.mark.parametrize("before", ["old", None])
def test_what_is_to_be_fresh_is_loaded_and_kept(clock: FakeClock, before: str | None) -> None:
    cache: TtlCache[str] = TtlCache(clock, 10, 5, 1)
    cache.get("k", Loads(before))
    assert cache.get("k", Loads("new"), fresh=True) == "new"
    assert cache.get("k", Loads("none asks")) == "new"


def test_absence_is_remembered_for_less(clock: FakeClock) -> None:
    cache: TtlCache[str] = TtlCache(clock, 10, 5, 1)
    load = Loads(None)
    assert cache.get("k", load) is None
    assert cache.get("k", load) is None
    assert load.count == 1
    load.value = "v"
    clock.advance(1)
    assert cache.get("k", load) == "v"


def test_how_long_may_depend_on_the_value(clock: FakeClock) -> None:
    cache: TtlCache[str] = TtlCache(clock, lambda value: FOREVER if value == "done" else 0, 5, 0)
    load = Loads("open")
    cache.get("k", load)
    cache.get("k", load)
    assert load.count == 2
    load.value = "done"
    cache.get("k", load)
    clock.advance(10**9)
    assert cache.get("k", load) == "done"
    assert load.count == 3


def test_the_least_used_goes_first(clock: FakeClock) -> None:
    cache: TtlCache[str] = TtlCache(clock, 10, 2, 1)
    loads = {key: Loads(key) for key in "abc"}
    for key in "abac":
        cache.get(key, loads[key])
    cache.get("a", loads["a"])
    assert loads["a"].count == 1
    cache.get("b", loads["b"])
    assert loads["b"].count == 2


def test_absences_do_not_drive_values_out_and_are_bounded_too(clock: FakeClock) -> None:
    cache: TtlCache[str] = TtlCache(clock, 10, 2, 1)
    value, absent = Loads("v"), Loads(None)
    cache.get("k", value)
    for i in range(100):
        cache.get(f"stranger-{i}", absent)
    cache.get("k", value)
    assert value.count == 1
    cache.get("stranger-0", absent)
    assert absent.count == 101
    cache.get("stranger-0", absent)
    assert absent.count == 101


def test_a_dropped_key_is_loaded_anew(clock: FakeClock) -> None:
    cache: TtlCache[str] = TtlCache(clock, 10, 5, 1)
    load = Loads("v")
    cache.get("k", load)
    cache.drop("k")
    cache.get("k", load)
    assert load.count == 2


def test_what_was_dropped_while_it_was_loaded_is_not_kept(clock: FakeClock) -> None:
    cache: TtlCache[str] = TtlCache(clock, 10, 5, 1)

    def old() -> str:
        cache.drop("k")
        return "old"

    assert cache.get("k", old) == "old"
    assert cache.get("k", Loads("new")) == "new"


def test_an_error_is_passed_on_and_not_kept(clock: FakeClock) -> None:
    cache: TtlCache[str] = TtlCache(clock, 10, 5, 1)

    def fail() -> str:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        cache.get("k", fail)
    assert cache.get("k", Loads("v")) == "v"


def test_threads_may_share_it(clock: FakeClock) -> None:
    cache: TtlCache[str] = TtlCache(clock, 10, 3, 1)
    keys = [str(i % 7) for i in range(700)]

    def ask(key: str) -> str | None:
        return cache.get(key, lambda: None if key == "0" else key)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, keys)) == [None if key == "0" else key for key in keys]
