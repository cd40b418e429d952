"""Reads that threads share: one call for all, none that began too early, and no error that is kept."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from shared.base import shared_reads
from shared.base.shared_reads import SharedReads

SECONDS = 20
"""Far more than anything here takes: it only keeps a failing test from hanging."""
ASKERS = 10


class DiedError(BaseException):
    """The thread ends here, and no `except Exception` keeps it from that."""


class Source:
    """Something that changes; counts how often it is read."""

    def __init__(self) -> None:
        self.value = 0
        self.reads = 0

    def read(self) -> int:
        self.reads += 1
        return self.value


def test_those_who_ask_at_once_and_later_share_one_read() -> None:
    shared, source, together = SharedReads(), Source(), threading.Barrier(ASKERS)

    def ask() -> int:
        together.wait(SECONDS)
        return shared.get("k", source.read)

    with ThreadPoolExecutor(ASKERS) as pool:
        found = [pool.submit(ask) for _ in range(ASKERS)]
        assert [each.result(SECONDS) for each in found] == [0] * ASKERS
    source.value = 1
    assert shared.get("k", source.read) == 0
    assert source.reads == 1


def test_nothing_is_older_than_the_beginning() -> None:
    source = Source()
    for value in range(5):
        source.value = value
        assert SharedReads().get("k", source.read) == value


def test_each_key_is_read_by_itself() -> None:
    shared, source = SharedReads(), Source()
    assert shared.get("k", source.read) == 0
    source.value = 1
    assert (shared.get("k", source.read), shared.get("other", source.read)) == (0, 1)


def test_that_there_is_nothing_is_known_too() -> None:
    shared, reads = SharedReads(), list[str]()

    def read() -> str | None:
        reads.append("k")
        return None

    assert (shared.get("k", read), shared.get("k", read)) == (None, None)
    assert reads == ["k"]


def test_who_waits_holds_up_nobody_who_asks_for_something_else() -> None:
    shared, begun, go_on = SharedReads(), threading.Event(), threading.Event()

    def slow() -> str:
        begun.set()
        assert go_on.wait(SECONDS)
        return "slow"

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(shared.get, "slow", slow)
        assert begun.wait(SECONDS)
        assert shared.get("other", lambda: "fast") == "fast"
        go_on.set()
        assert waiting.result(SECONDS) == "slow"


@pytest.mark.parametrize("error", [ValueError("out of reach"), DiedError()])
def test_an_error_reaches_all_who_waited_and_the_next_reads_anew(
    error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = threading.Semaphore(0)

    class Waited(Future[str]):
        def result(self, timeout: float | None = None) -> str:
            waiting.release()
            return super().result(timeout)

    monkeypatch.setattr(shared_reads, "Future", Waited)
    shared, calls = SharedReads(), list[str]()

    def fail() -> str:
        calls.append("failed")
        for _ in range(ASKERS - 1):
            assert waiting.acquire(timeout=SECONDS)
        raise error

    with ThreadPoolExecutor(ASKERS) as pool:
        asking = [pool.submit(shared.get, "k", fail) for _ in range(ASKERS)]
        assert [each.exception(SECONDS) for each in asking] == [error] * ASKERS
    assert calls == ["failed"]
    assert shared.get("k", lambda: "there") == "there"
