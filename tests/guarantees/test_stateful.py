"""Random lives of the platform against a plain model: what was accepted must come to one end, however it gets there.

Requests, repeats, deliveries that come twice or late, providers' answers, functions that die, services that are out of
reach, jumps of the clock, redrives, discards and sweeps of the watch, in any order. At the end everything is well again
and what is left is worked off; then every promise is checked for every message. `make soak` runs it long.
"""

from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from shared.model.outcome import AccountDown, Outcome, Rejected, Retry
from shared.model.reasons import Reason
from shared.model.words import MessageClass
from shared.providers.base import Outgoing
from tests.guarantees.fault_points import Position
from tests.guarantees.platform import LOST, PROVIDER_FAULTS, NotCarriedOutError, Platform, platform
from tests.guarantees.test_crash_matrix import BUSY, UNSEEN

ANSWERS: dict[str, Outcome | None] = {
    "taken": None,
    "busy": BUSY,
    "wait": Retry(Reason.THROTTLED, "wait", 1000),
    "lost": LOST,
    "unseen": UNSEEN,
    "refused": Rejected(Reason.ADDRESS_UNKNOWN, "550"),
    "down": AccountDown(Reason.CREDENTIALS_REFUSED, "535"),
}
SERVICES = ("kinesis", "sqs", "dynamodb", "scheduler")
QUIET = settings(
    deadline=None,
    stateful_step_count=20,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)


class Life(RuleBasedStateMachine):
    """One life. requests: (template, addresses, fields, key, message ids), as they were accepted."""

    one: Platform

    @initialize()
    def begin(self) -> None:
        self.one.reset()
        self.one.allow_tries(3)
        self.answers: deque[Outcome | None] = deque()
        self.requests: list[tuple[str, list[str], dict[str, Any], str, list[str]]] = []
        self.one.script = self._script

    def _script(self, message: Outgoing, n: int) -> Outcome | None:
        with suppress(IndexError):  # another thread may have taken the last one
            return self.answers.popleft()
        return None

    def _callers_can_be_served(self) -> bool:
        return self.one.points.down in (None, "kinesis", "scheduler")

    @precondition(_callers_can_be_served)
    @rule(
        provider=st.sampled_from(sorted(PROVIDER_FAULTS)),
        message_class=st.sampled_from(list(MessageClass)),
        count=st.integers(1, 3),
        later_s=st.sampled_from([0, 0, 0, 60, 1200]),
    )
    def send(self, provider: str, message_class: str, count: int, later_s: int) -> None:
        if later_s > 900 and self.one.points.down == "scheduler":
            later_s = 0
        fields = {"send_at": self.one.later(later_s)} if later_s else {}
        template, to, key = f"{provider}-{message_class}", self.one.addresses(provider, count), self.one.new_key()
        ids = self.one.send(template, to, key, **fields)
        assert len(ids) == count
        self.requests.append((template, to, fields, key, ids))

    @precondition(lambda self: self.requests and self._callers_can_be_served())
    @rule(which=st.integers(0, 10**6))
    def repeat_a_request(self, which: int) -> None:
        template, to, fields, key, ids = self.requests[which % len(self.requests)]
        if self.one.is_remembered(ids):
            assert self.one.send(template, to, key, **fields) == ids

    @precondition(lambda self: self.requests and self._callers_can_be_served())
    @rule(which=st.integers(0, 10**6))
    def recall(self, which: int) -> None:
        *_, ids = self.requests[which % len(self.requests)]
        try:
            self.one.recall(ids)
        except NotCarriedOutError:
            # That something was taken back nobody else would tell: without the stream callers are to ask again.
            if self.one.points.down != "kinesis":
                raise

    @rule(rounds=st.integers(1, 6))
    def work(self, rounds: int) -> None:
        self.one.step(rounds)

    @rule(seconds=st.sampled_from([1, 10, 40, 100, 400, 4000, 20_000]))
    def time_passes(self, seconds: int) -> None:
        self.one.stack.clock.advance(seconds)

    @rule(answers=st.lists(st.sampled_from(sorted(ANSWERS)), min_size=1, max_size=6))
    def providers_answer(self, answers: list[str]) -> None:
        self.answers.extend(ANSWERS[name] for name in answers)

    @rule(number=st.integers(0, 12), position=st.sampled_from(list(Position)))
    def strike(self, number: int, position: Position) -> None:
        self.one.points.arm(number, position)

    @precondition(lambda self: self.one.points.down is None)
    @rule(which=st.integers(0, 10**6))
    def deliver_twice(self, which: int) -> None:
        self.one.deliver_again(which)

    @rule(service=st.sampled_from(SERVICES))
    def goes_down(self, service: str) -> None:
        self.one.points.down = service

    @rule()
    def comes_back(self) -> None:
        self.one.points.down = None

    @precondition(lambda self: self.one.points.down is None)
    @rule(what=st.sampled_from(["redrive", "redrive", "discard"]))
    def decide(self, what: str) -> None:
        self.one.decide(what, **({"note": "over"} if what == "discard" else {}))

    @rule()
    def sweep(self) -> None:
        with suppress(Exception):  # a function may raise anything
            self.one.stack.invoke("watch", {})

    def teardown(self) -> None:
        if not hasattr(self, "requests"):
            return
        self.one.points.down = None
        self.one.points.disarm()
        self.answers.clear()
        self.one.work()
        # What nobody works on any more is ended by the watch, an hour after its time to live.
        for _ in range(3):
            self.one.stack.clock.advance(4 * 86_400)
            self.one.sweep()
            self.one.work()
        self.one.check([message_id for *_, ids in self.requests for message_id in ids])


@pytest.fixture(scope="module")
def one() -> Iterator[Platform]:
    with platform() as made:
        yield made


def live(one: Platform, examples: int, steps: int, **more: Any) -> None:
    """Try so many lives of up to so many steps. Raises: what a broken promise raises."""
    machine: type[Life] = type("Life", (Life,), {"one": one})
    lives = settings(QUIET, max_examples=examples, stateful_step_count=steps, **more)
    run_state_machine_as_test(machine, settings=lives)


@pytest.mark.xdist_group("stateful")
def test_whatever_happens_each_message_comes_to_one_end(one: Platform) -> None:
    live(one, examples=60, steps=25, derandomize=True, database=None)
