"""When a delivery is tried again. Pure."""

from msgspec import Struct

from shared.model.webhooks import Attempt, Delivery

WAITS_S = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Between one try and the next: ten tries in about 75 hours (Standard Webhooks 1.0.0, "Deliverability and
reliability", the suggested schedule)."""
JITTER = 0.2
"""A wait is up to so much longer, so that what failed together does not come back together."""
LONGEST_MS = int(sum(WAITS_S) * (1 + JITTER) * 1000)
"""After this nothing is tried again, however often an endpoint asked for more time."""
SLOW_DOWN = frozenset({429, 502, 503, 504})
"""Statuses by which an endpoint says that it gets too much. The specification names 429, 502 and 504; 503 is what
`Retry-After` was made for (RFC 9110, section 10.2.3)."""
GONE = 410


class Answer(Struct, frozen=True):
    """What came of a try."""

    attempt: Attempt
    retry_after_ms: int | None = None
    """How long the endpoint asks to be left alone."""

    @property
    def ok(self) -> bool:
        """Only 2xx is: a redirect leads elsewhere, and is not followed."""
        return self.attempt.status is not None and 200 <= self.attempt.status < 300

    @property
    def gone(self) -> bool:
        """The endpoint wants no more events."""
        return self.attempt.status == GONE


def next_try(delivery: Delivery, answer: Answer, now: int, chance: float) -> int | None:
    """When a delivery is due after a try that failed, in milliseconds since the epoch; None if it is given up.

    delivery: with the try counted. chance: from 0 to 1.
    """
    end = delivery.since + LONGEST_MS
    if answer.gone or delivery.tries > len(WAITS_S) or now >= end:
        return None
    wait = int(WAITS_S[delivery.tries - 1] * (1 + JITTER * chance) * 1000)
    return min(now + max(wait, answer.retry_after_ms or 0), end)
