"""What time AWS says it is: every answer that a client of this process gets is listened to, from the first one on."""

import time
from email.utils import parsedate_to_datetime
from typing import Any

from aws_lambda_powertools import Logger

from shared.base.snapshots import after_restore
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


LISTENERS: dict[str, Any] = {"before-parameter-build": _before, "after-call": _after}
"""By botocore's name of an event, what listens to it at every client of AWS itself."""


def of_process() -> Heard:
    """What the clients of this process have heard."""
    return _heard


# A snapshot is restored on another machine, at another time.
after_restore(_heard.forget)
