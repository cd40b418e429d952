"""Faults that the sandbox providers play: one model for all of them, by script or by chance."""

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from shared.model.clock import Clock, SystemClock

FaultKind = Literal[
    "delay",
    "trickle",
    "reset_before",
    "reset_after",
    "status",
    "throttle",
    "bad_json",
    "code",
    "outage",
    "outage_refused",
    "outage_dropped",
    "mixed",
]
OUTAGES = frozenset({"outage", "outage_refused", "outage_dropped"})


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault that a sandbox plays.

    kind:
      `delay` waits `seconds`, then goes on. `trickle` answers rightly, but takes `seconds` over it.
      `reset_before` drops the connection without accepting; `reset_after` accepts, then drops it without an answer.
      `status` answers HTTP (or SMTP) `status`. `code` answers with the vendor's error `code` (by SMTP: `status`, and
      `code` as its text). `throttle` answers as the vendor does when it is too fast. `bad_json` answers what cannot be
      read (by HTTP: 200 with broken JSON).
      `outage` answers everything as an overloaded front end does (HTTP 503, SMTP 421) for `seconds` from now;
      `outage_refused` lets nothing listen for as long, and cuts what is connected; `outage_dropped` accepts connections
      and drops them (over HTTP when it has read a request).
      `mixed` plays one of the provider's own mixture of faults, drawn by `seed`.
    to: only for this recipient. at: only at this step of the protocol (each sandbox says which it has).
    times: how often; -1 for always. rate: how likely it is at each opportunity, drawn by `seed`: the n-th call to the
    same recipients always draws the same, whatever other threads do meanwhile.
    accepted: with `status`, `code`, `throttle` and `bad_json`, the message is accepted all the same.
    seconds: with `status` and `throttle` over HTTP, the Retry-After header; none for 0.
    """

    kind: FaultKind
    code: str = ""
    status: int = 500
    seconds: float = 0.0
    to: str | None = None
    at: str | None = None
    times: int = 1
    rate: float = 1.0
    seed: int = 0
    accepted: bool = False


@dataclass(slots=True)
class Planned:
    """A fault that was added. left: how often it will still play, -1 for always. played: how often it has."""

    fault: Fault
    left: int
    played: int = 0
    until_ms: int = 0
    _asked: dict[int, int] = field(default_factory=dict, repr=False)

    def draw(self, recipients: tuple[str, ...]) -> int | None:
        """A number for the mixture if chance has the fault play now, otherwise None."""
        if self.fault.rate >= 1 and self.fault.kind != "mixed":
            return 0
        who = " ".join(sorted(recipients))
        n = self._asked[hash(who)] = self._asked.get(hash(who), 0) + 1
        digest = hashlib.blake2b(f"{self.fault.seed} {n} {who}".encode(), digest_size=16).digest()
        if int.from_bytes(digest[:8], "big") >= self.fault.rate * 2**64:
            return None
        return int.from_bytes(digest[8:], "big")


class Faults:
    """The faults that a sandbox has to play, in the order they were added; thread-safe.

    plays_at: whether a fault belongs to a step. mixture: what `mixed` draws from. clock: measures outages.
    """

    def __init__(
        self,
        plays_at: Callable[[Fault, str], bool] = lambda fault, at: fault.at in (None, at),
        mixture: tuple[Fault, ...] = (),
        clock: Clock | None = None,
    ) -> None:
        self._plays_at = plays_at
        self._mixture = mixture
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._planned: list[Planned] = []
        self._outages: list[Planned] = []
        self._watchers: list[Callable[[], None]] = []

    def watch(self, watcher: Callable[[], None]) -> None:
        """Call `watcher` whenever outages are added or removed."""
        self._watchers.append(watcher)

    def add(self, fault: Fault) -> Planned:
        """Play `fault` from now on, `fault.times` times; an outage begins now."""
        planned = Planned(fault, fault.times)
        outage = fault.kind in OUTAGES
        with self._lock:
            if outage:
                planned.until_ms = self._clock.now_ms() + round(fault.seconds * 1000)
                planned.left, planned.played = 0, 1
                self._outages = [*self._outages, planned]
            else:
                self._planned = [*self._planned, planned]
        if outage:
            self._tell()
        return planned

    def remove(self, planned: Planned) -> None:
        """Play `planned` no more."""
        with self._lock:
            planned.left = planned.until_ms = 0
            self._planned = [p for p in self._planned if p is not planned]
            self._outages = [p for p in self._outages if p is not planned]
        self._tell()

    def clear(self) -> None:
        """Play none any more."""
        with self._lock:
            for planned in (*self._planned, *self._outages):
                planned.left = planned.until_ms = 0
            self._planned, self._outages = [], []
        self._tell()

    def active(self, planned: Planned) -> bool:
        """Whether `planned` may still play."""
        return planned.left != 0 or self._clock.now_ms() < planned.until_ms

    def outage(self, kind: str) -> bool:
        """Whether there is an outage of this kind now."""
        if not self._outages:
            return False
        now = self._clock.now_ms()
        return any(p.fault.kind == kind and now < p.until_ms for p in self._outages)

    def take(self, *recipients: str, at: str = "", part: bool = False) -> Fault | None:
        """Use up and return the next fault for a call to these recipients at a step of the protocol.

        part: the step is a part of a call for which `take` was asked already, so it is no matter of outages.
        """
        if not part and self.outage("outage"):
            return Fault("outage", status=503)
        if not self._planned:
            return None
        with self._lock:
            for planned in self._planned:
                fault = planned.fault
                if not self._plays_at(fault, at) or not (fault.to is None or fault.to in recipients):
                    continue
                drawn = planned.draw(recipients)
                if drawn is None:
                    continue
                planned.played += 1
                if planned.left > 0:
                    planned.left -= 1
                if planned.left == 0:
                    self._planned = [p for p in self._planned if p is not planned]
                return self._mixture[drawn % len(self._mixture)] if fault.kind == "mixed" else fault
        return None

    def _tell(self) -> None:
        for watcher in self._watchers:
            watcher()
