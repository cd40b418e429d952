"""Plays the part of providers that call back: requests to a URL, each when it is due by the stack's clock."""

import heapq
import itertools
import threading
from dataclasses import replace

import httpx

from local.clock import LocalClock
from local.pollers import Poller
from local.sandbox.base import Callback

TIMEOUT_S = 30.0
"""How long a provider waits for an answer here; of the real ones few say."""


class LocalCallbacks(Poller):
    """Makes the requests.

    answers: what came of each, in order: the URL without its last part, which is secret, and the status; 0 for none.
    """

    def __init__(self, clock: LocalClock) -> None:
        super().__init__("callbacks")
        self._clock = clock
        self._lock = threading.Lock()
        self._order = itertools.count()
        self._due: list[tuple[float, int, Callback]] = []
        # Straight to the stack's own address, whatever proxies the machine has.
        self._http = httpx.Client(timeout=TIMEOUT_S, trust_env=False)
        self.answers: list[tuple[str, int]] = []

    def call(self, callback: Callback, delay_s: float = 0.0) -> None:
        """Have a request made in so many seconds."""
        with self._lock:
            due = self._clock.now_ms() + 1000 * delay_s
            heapq.heappush(self._due, (due, next(self._order), callback))
        self.wake()

    def step(self) -> bool:
        callback = self._take()
        if callback is None:
            return False
        try:
            self._make(callback)
        finally:
            self._work_ends()
        return True

    def due_ms(self) -> float | None:
        with self._lock:
            return self._due[0][0] if self._due else None

    def stop(self, timeout: float = 5.0) -> None:
        super().stop(timeout)
        self._http.close()

    def _take(self) -> Callback | None:
        with self._lock:
            if not self._due or self._due[0][0] > self._clock.now_ms():
                return None
            # Before it is gone from what is due, so that the stack never looks quiet in between.
            self._work_begins()
            return heapq.heappop(self._due)[2]

    def _make(self, callback: Callback) -> None:
        try:
            answer = self._http.post(
                callback.url, content=callback.body, headers={"Content-Type": callback.content_type}
            )
            status, good = answer.status_code, callback.good(answer.status_code, answer.content)
        except httpx.HTTPError:
            status, good = 0, False
        self.answers.append((callback.url.rpartition("/")[0], status))
        if not good and callback.tries > 1:
            self.call(replace(callback, tries=callback.tries - 1), callback.again_s)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._awake.clear()
            if self.step():
                continue
            due = self.due_ms()
            self._awake.wait(None if due is None else max((due - self._clock.now_ms()) / 1000, 0.001))
