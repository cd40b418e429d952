"""When to try again, by class: exponential with full jitter, until the class's tries are used up."""

from dataclasses import dataclass

from shared.model.words import MessageClass


@dataclass(frozen=True, slots=True)
class RetrySchedule:
    """tries: in all, the first included. window_s: the time within which the last try is due at the latest."""

    tries: int
    window_s: float

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
