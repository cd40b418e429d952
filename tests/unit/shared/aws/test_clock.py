"""A machine's clock that is wrong is put right by what AWS answers, and by nothing else."""

import subprocess
import sys
import time
from email.utils import formatdate
from typing import Any

import pytest

from shared.aws import heard as module
from shared.aws.clock import ServiceClock
from shared.aws.heard import TOLERANCE_MS, Heard
from shared.model.clock import SystemClock
from tests.fakes import out_of_reach

DAY_MS = 86_400_000
TRUE_MS = 1_800_000_000_700


class Machine:
    """A machine whose clock is wrong; time passes when it is told, and is true elsewhere."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, wrong_ms: int = 0) -> None:
        self.true, self.mono, self.wrong, self.asked = TRUE_MS, 5_000_000, wrong_ms, 0
        monkeypatch.setattr(SystemClock, "now_ms", lambda _: self.true + self.wrong)
        monkeypatch.setattr(time, "monotonic_ns", lambda: self.mono * 1_000_000)
        monkeypatch.setattr(module, "_heard", heard := Heard())
        self.clock = ServiceClock(self.ask, heard)
        self.broken = False

    def ask(self, before_ms: int = 20, after_ms: int = 20) -> None:
        """A request: so long on the way there, and back."""
        self.asked += 1
        if self.broken:
            raise out_of_reach("dynamodb")
        context: dict[str, Any] = {}
        module._before(context=context)
        self.passes(before_ms)
        date = formatdate(self.true // 1000, usegmt=True)
        self.passes(after_ms)
        module._after(parsed={"ResponseMetadata": {"HTTPHeaders": {"date": date}}}, context=context)

    def passes(self, ms: int) -> None:
        self.true += ms
        self.mono += ms

    def off(self) -> int:
        return abs(self.clock.now_ms() - self.true)


@pytest.mark.parametrize("wrong_ms", [DAY_MS, -DAY_MS, 3_600_000, -60_000, 8_000, -8_000])
def test_a_clock_that_is_wrong_is_put_right_before_it_is_used(monkeypatch: pytest.MonkeyPatch, wrong_ms: int) -> None:
    machine = Machine(monkeypatch, wrong_ms)
    assert machine.off() <= 1000
    machine.passes(600_000)
    assert machine.off() <= 1000 and machine.asked == 1


@pytest.mark.parametrize("wrong_ms", [0, 900, -900, 3_000, -3_000])
def test_a_clock_that_is_about_right_is_left_alone(monkeypatch: pytest.MonkeyPatch, wrong_ms: int) -> None:
    machine = Machine(monkeypatch, wrong_ms)
    for ms in range(0, 3000, 137):
        machine.passes(ms)
        machine.ask()
        assert machine.clock.now_ms() == machine.true + wrong_ms


def test_a_slow_answer_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch)
    for before, after in ((60_000, 10), (10, 60_000), (0, 3_600_000)):
        machine.ask(before, after)
        assert machine.clock.now_ms() == machine.true


@pytest.mark.parametrize("first, second", [(0, DAY_MS), (DAY_MS, 0), (-DAY_MS, 3_600_000)])
def test_a_clock_that_is_set_is_asked_about_again(monkeypatch: pytest.MonkeyPatch, first: int, second: int) -> None:
    machine = Machine(monkeypatch, first)
    assert machine.off() <= 1000
    machine.wrong = second
    assert machine.off() <= 1000
    assert machine.asked == 2


def test_a_machine_that_slept_is_asked_about_again(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch)
    machine.clock.now_ms()
    machine.true += DAY_MS
    assert machine.clock.now_ms() == machine.true


def test_while_aws_cannot_be_asked_the_machine_is_trusted_and_not_asked_each_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine = Machine(monkeypatch, TOLERANCE_MS * 3)
    machine.broken = True
    assert [machine.clock.now_ms() for _ in range(3)] == [machine.true + machine.wrong] * 3
    assert machine.asked == 1
    machine.broken = False
    # The next request of anybody says it.
    machine.ask()
    assert machine.off() <= 1000


@pytest.mark.parametrize("headers", [{}, {"date": "yesterday"}])
def test_an_answer_without_a_time_says_nothing(monkeypatch: pytest.MonkeyPatch, headers: dict[str, str]) -> None:
    machine = Machine(monkeypatch)
    context: dict[str, Any] = {}
    module._before(context=context)
    module._after(parsed={"ResponseMetadata": {"HTTPHeaders": headers}}, context=context)
    assert machine.clock.now_ms() == machine.true


_FIRST = """
import sys
from shared.aws.clients import client
made = client("dynamodb", region_name="eu-central-1")
assert "shared.aws.clock" not in sys.modules
said = {"ResponseMetadata": {"HTTPHeaders": {"date": "Mon, 01 Jan 2024 00:00:00 GMT"}}}
made.meta.events.emit("after-call.dynamodb.GetItem", parsed=said, context={"mepush_asked_at": 1_800_000_000_000},
    http_response=None, model=None)
from shared.aws.clock import service_clock
print(service_clock("catalog")._heard.ahead > 0)
"""


def test_a_client_that_is_made_before_the_clock_is_listened_to() -> None:
    ran = subprocess.run([sys.executable, "-c", _FIRST], capture_output=True, text=True, check=False)
    assert ran.stdout.splitlines()[-1:] == ["True"], ran.stderr
