"""The time of day, by the machine's clock as long as AWS agrees.

Leases, places in rates, claims, schedules and times to live are compared by functions on many machines. One whose clock
is wrong would send early, expire what is fresh, or take places of another day. Every answer of AWS says what time it
is there (the header `Date`, RFC 9110, to the second): a clock that differs by more than some seconds is put right.
"""

from collections.abc import Callable
from weakref import WeakSet

from aws_lambda_powertools import Logger

from shared.aws.clients import client
from shared.aws.errors import AWS_ERRORS
from shared.aws.heard import Heard, of_process
from shared.base.logs import log_error
from shared.model.clock import SystemClock

logger = Logger(child=True)


class ServiceClock:
    """The machine's clock, put right by what AWS answered to any client of this process.

    ask: asks AWS for anything, when nothing was heard yet or the machine's clock was set; once each time.
    """

    def __init__(self, ask: Callable[[], object], heard: Heard | None = None) -> None:
        self._ask = ask
        self._heard = of_process() if heard is None else heard
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

    clock = ServiceClock(ask)
    _made.add(clock)
    return clock


_made: WeakSet[ServiceClock] = WeakSet()


def look() -> None:
    """Have the clocks of this process know the time now, instead of when they are first looked at."""
    for clock in list(_made):
        clock.now_ms()
