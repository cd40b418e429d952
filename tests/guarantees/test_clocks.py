"""The clock of one function's machine is wrong: nothing is sent early or late, expires, or waits for another day."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import pytest

from shared.model.clock import SystemClock
from tests.guarantees.platform import Platform, platform

pytestmark = pytest.mark.xdist_group("outages")

HOUR_S = 3600
DAY_MS = 86_400_000
FUNCTIONS = ["ingest", "dispatch_email", "trace", "watch", "recall", "dead_letters"]


@pytest.fixture(scope="module")
def one() -> Iterator[Platform]:
    with platform() as made:
        yield made


@contextmanager
def wrong(one: Platform, function: str, by_ms: int) -> Iterator[None]:
    """Have the machine of a function show another time than everything else."""
    invoke, true = one.stack.runner.invoke, SystemClock.now_ms

    def invoked(name: str, event: Any) -> Any:
        if name != function:
            return invoke(name, event)
        with patch.object(SystemClock, "now_ms", lambda clock: true(clock) + by_ms):
            return invoke(name, event)

    with patch.object(one.stack.runner, "invoke", invoked):
        yield


@pytest.mark.parametrize("by_ms", [DAY_MS, -DAY_MS, 3_600_000])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_wrong_clock_changes_nothing(one: Platform, function: str, by_ms: int) -> None:
    one.reset()
    one.set_rate("mail-smtp", {"per_second": 0.5, "burst": 1, "code_share": 0})
    try:
        with wrong(one, function, by_ms):
            now = one.send("smtp-notification", one.addresses("smtp", 3))
            later = one.send("ses-notification", one.addresses("ses", 2), send_at=one.later(3 * HOUR_S))
            one.step(30)
            one.sweep()
            one.stack.drain(until_due=True, horizon_s=600)
            one.sweep()
            one.step(30)
            ended = {id for id, events in one.timelines().items() if any(e.stage == "sent" for e in events)}
            # Those at a rate have gone within minutes, and those of a schedule have not.
            assert ended == set(now)
            assert one.recall(later) == {"recalled": 2}
            third = one.send("ses-notification", one.addresses("ses", 1), send_at=one.later(2 * HOUR_S))
            one.work()
        assert one.check([*now, *later, *third]) == {"sent": 4, "recalled": 2}
        events = one.timelines()[third[0]]
        sent = next(e.at for e in events if e.stage == "sent")
        accepted = next(e.at for e in events if e.stage == "accepted")
        assert abs(sent - accepted - 2 * HOUR_S * 1000) < 120_000
        # Nobody else has to wait for what one with a wrong clock took.
        after = one.send("smtp-notification", one.addresses("smtp", 1))
        began = one.stack.clock.now_ms()
        one.work()
        assert one.check([*now, *later, *third, *after]) == {"sent": 5, "recalled": 2}
        assert one.stack.clock.now_ms() - began < 120_000
    finally:
        one.set_rate("mail-smtp", None)
