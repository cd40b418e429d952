"""Makes the calls of a wave, on as many threads as the providers take."""

import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor

from aws_lambda_powertools import Logger

from shared.base.logs import log_error
from shared.dispatch.attachments import Room
from shared.dispatch.plan import RESERVE_S, Call
from shared.lifecycle.verdict import Via, judge, judge_look_up
from shared.model.clock import Clock
from shared.model.envelope import Envelope
from shared.model.events import EventRow
from shared.model.outcome import Outcome, Unknown
from shared.model.reasons import Reason

logger = Logger(child=True)

_Done = tuple[Call, Sequence[Outcome | None], int, int]
"""A call that was made, what became of its messages, when it ended, and the milliseconds that it took."""


class Sender:
    """Makes calls over kept connections. pool: for calls that are made side by side. sleep: waits for their places."""

    def __init__(self, clock: Clock, pool: Executor, sleep: Callable[[float], None] = time.sleep) -> None:
        self._clock = clock
        self._pool = pool
        self._sleep = sleep
        self._room = Room()

    def call(self, envelope: Envelope, wave: Sequence[Call], remaining_s: Callable[[], float]) -> list[EventRow]:
        """Make a wave's calls on as many threads as the providers take, none before its place; returns a row per
        recipient.

        A call that might not end in time is not begun: its recipients get no row, nor do those of whom a provider says
        that it had not the time.
        """
        chance = random.random()  # noqa: S311 - spreads retries, guards nothing
        by_account: dict[str, deque[Call]] = {}
        for each in wave:
            by_account.setdefault(each.account.id, deque()).append(each)
        done: list[_Done] = []
        # Here no thread of the pool waits for it.
        self._await(wave[0], remaining_s)
        work = [
            lambda todo=todo: self._make(todo, done, remaining_s)
            for todo in by_account.values()
            for _ in range(min(todo[0].provider.threads, len(todo)))
        ]
        if len(work) == 1:
            work[0]()
        else:
            for future in [self._pool.submit(each) for each in work]:
                future.result()
        rows = []
        for each, outcomes, ended, ms in done:
            via = Via(each.account.id, each.account.provider, ms, each.provider.looks_up, each.provider.indexed)
            verdict = judge if each.tried is None else judge_look_up
            for recipient, outcome in zip(each.recipients, outcomes, strict=True):
                if outcome is None:
                    continue
                rows.append(verdict(envelope, recipient, outcome, ended, chance, via))
        return rows

    def _make(self, todo: deque[Call], done: list[_Done], remaining_s: Callable[[], float]) -> None:
        """Make calls until none is left or the time is short."""
        while True:
            try:
                call = todo.popleft()
            except IndexError:
                return
            if not self._await(call, remaining_s):
                return
            with self._room.for_call(call, remaining_s() - RESERVE_S - call.provider.worst_case_seconds) as roomy:
                if not roomy or not call.fits(remaining_s()):
                    return
                started = time.perf_counter()
                outcomes = _ask(call)
            done.append((call, outcomes, self._clock.now_ms(), int((time.perf_counter() - started) * 1000)))

    def _await(self, call: Call, remaining_s: Callable[[], float]) -> bool:
        """Wait for a call's place; False, at once, if it would not end in time after that."""
        wait = (call.not_before - self._clock.now_ms()) / 1000
        if not call.fits(remaining_s() - max(wait, 0)):
            return False
        if wait > 0:
            self._sleep(wait)
        return True


def _ask(call: Call) -> Sequence[Outcome | None]:
    try:
        outcomes: Sequence[Outcome | None]
        if call.tried is None:
            outcomes = call.provider.send(call.messages)
        else:
            outcomes = call.provider.look_up(call.messages, *call.tried)
    except Exception as error:  # a provider's own mistake: whether the message left cannot be known
        log_error(logger, "provider raised", error)
        return [Unknown(Reason.PROVIDER_ERROR, type(error).__name__)] * len(call.messages)
    if len(outcomes) != len(call.messages):
        return [Unknown(Reason.UNRECOGNISED_ANSWER, "wrong_count")] * len(call.messages)
    return outcomes
