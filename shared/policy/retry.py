"""When to try again, by class: exponential with full jitter, until the class's tries are used up."""

from msgspec import Struct

from shared.model.words import MessageClass


class RetrySchedule(Struct, frozen=True):
    """How often, and within what time, a class is tried."""

    tries: int
    """All tries, including the first one."""
    window_s: float
    """The time within which the last try is due at the latest."""

    def ceiling_s(self, attempt: int) -> float:
        """The longest wait after try number `attempt` (from 1); each doubles, and together they fill the window."""
        first = self.window_s / (2 ** (self.tries - 1) - 1)
        return float(first * 2 ** (attempt - 1))


SCHEDULES: dict[MessageClass, RetrySchedule] = {
    MessageClass.VERIFICATION: RetrySchedule(5, 120),
    MessageClass.NOTIFICATION: RetrySchedule(8, 3600),
    MessageClass.MARKETING: RetrySchedule(10, 6 * 3600),
}


def wait_s(message_class: MessageClass, attempt: int, chance: float, after: float | None = None) -> float | None:
    """Seconds to wait after try number `attempt` (from 1) failed; None when the tries are used up.

    chance: a random number in [0, 1). after: the least wait that the provider asked for; one beyond the class's window
    means that no try within it can succeed.
    """
    schedule = SCHEDULES[message_class]
    if attempt >= schedule.tries or (after or 0) > schedule.window_s:
        return None
    return max(schedule.ceiling_s(attempt) * chance, after or 0)


CHECKS_S: dict[MessageClass, tuple[float, ...]] = {
    MessageClass.VERIFICATION: (5,),
    MessageClass.NOTIFICATION: (30,),
    MessageClass.MARKETING: (60, 300, 1800, 7200),
}
"""When to ask a provider what became of a message whose outcome is unknown, in seconds after the try and each check.

A class that sends again asks once, and does so if the provider does not know of it. Marketing is never sent again.
"""


def due_ms(now: int, wait: float) -> int:
    """When a wait of that many seconds from `now` is over, rounded up so that recipients of an envelope that fail one
    after the other are due together: to a second, and for long waits to a sixteenth of them."""
    step = int(1000 * max(1.0, wait // 16))
    return -(-(now + int(wait * 1000)) // step) * step
