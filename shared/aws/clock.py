"""The time of day, by the machine's clock as long as AWS agrees.

Leases, places in rates, claims, schedules and times to live are compared by functions on many machines. One whose clock
is wrong would send early, expire what is fresh, or take places of another day. Every answer of AWS says what time it
is there (the header `Date`, RFC 9110, to the second): a clock that differs by more than some seconds is put right.
"""

import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any

from aws_lambda_powertools import Logger

from shared.aws.clients import client, listeners
from shared.aws.errors import AWS_ERRORS
from shared.base.logs import log_error
from shared.model.clock import SystemClock

logger = Logger(child=True)

TOLERANCE_MS = 5_000
"""What clocks may differ by; leases end so much later (`shared/dispatch/waves.py`)."""
_SECOND_MS = 1000


class Heard:
    """What AWS said of this machine's clock: how many milliseconds it is ahead.

    It holds as long as the machine's clock and its monotonic one keep their distance. If that has changed, the clock
    was set, or the machine slept, and nothing is known.
    """

    def __init__(self) -> None:
        self.ahead = 0
        self._drift: int | None = None

    def hear(self, there: int, asked: int, answered: int) -> None:
        """AWS said `there`, at some moment between two times of the machine's clock."""
        # The header is cut to the second, and a request may take long: only what that cannot explain counts.
        ahead = 0
        if asked > there + _SECOND_MS + TOLERANCE_MS or answered < there - TOLERANCE_MS:
            ahead = (asked + answered - _SECOND_MS) // 2 - there
        if ahead and not self.ahead:
            logger.warning("this machine's clock is wrong", ahead_ms=ahead)
        self.ahead, self._drift = ahead, _drift(answered)

    def knows(self, now: int) -> bool:
        """Whether what was heard still holds."""
        return self._drift is not None and abs(_drift(now) - self._drift) <= TOLERANCE_MS

    def trust(self, now: int) -> None:
        """Take the machine's clock for right until it is set again: nothing could be heard."""
        self.ahead, self._drift = 0, _drift(now)

    def forget(self) -> None:
        """Know nothing, as at the start."""
        self.ahead, self._drift = 0, None


class ServiceClock:
    """The machine's clock, put right by what AWS answered to any client of this process.

    ask: asks AWS for anything, when nothing was heard yet or the machine's clock was set; once each time.
    """

    def __init__(self, ask: Callable[[], object], heard: Heard | None = None) -> None:
        self._ask = ask
        self._heard = _heard if heard is None else heard
        self._machine = SystemClock()

    def now_ms(self) -> int:
        """Milliseconds since the Unix epoch, UTC."""
        now = self._machine.now_ms()
        if not self._heard.knows(now):
            now = self._listen()
        return now - self._heard.ahead

    def _listen(self) -> int:
        """Ask for the time; returns what the machine's clock shows then."""
        try:
            self._ask()
        except AWS_ERRORS as error:
            log_error(logger, "the time cannot be asked for", error)
        now = self._machine.now_ms()
        if not self._heard.knows(now):
            self._heard.trust(now)
        return now


def service_clock(table: str) -> ServiceClock:
    """The clock of a function. table: one that it may read."""

    def ask() -> object:
        key = {"pk": {"S": "tenant#time"}, "sk": {"S": "time"}}
        return client("dynamodb").get_item(TableName=table, Key=key)

    return ServiceClock(ask)


def _drift(machine_ms: int) -> int:
    return machine_ms - time.monotonic_ns() // 1_000_000


_heard = Heard()
_ASKED = "mepush_asked_at"


def _before(context: dict[str, Any], **_: Any) -> None:
    context[_ASKED] = SystemClock().now_ms()


def _after(parsed: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
    date = parsed.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    if date is None or _ASKED not in context:
        return
    try:
        there = int(parsedate_to_datetime(date).timestamp() * 1000)
    except ValueError:
        return
    _heard.hear(there, context[_ASKED], SystemClock().now_ms())


listeners["before-parameter-build"] = _before
listeners["after-call"] = _after
