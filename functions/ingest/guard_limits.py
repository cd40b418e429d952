"""What people allow of codes by SMS: starts with a `bind`, of a day, to a country, and what they may cost."""

from collections.abc import Callable, Iterator, Sequence
from math import ceil
from typing import Final, NamedTuple

from aws_lambda_powertools import Logger
from msgspec import Struct

from shared.aws.errors import AWS_ERRORS
from shared.base.logs import log_error
from shared.errors import NotCountedError, TooManyError
from shared.model.accounts import UnitFee
from shared.model.clock import Clock, iso
from shared.model.pumping import VerificationGuard
from shared.policy.pumping import DAY_MS, HOUR_MS
from shared.store.pumping import Pumping
from shared.store.texts import Of, Texts

logger = Logger(child=True)

COUNTED: Final = "verifications"
"""Stands for a key in the counts of texts."""
_PARTS: Final = 10_000
"""Fees are counted in ten-thousandths of their currency."""


class Start(Struct, frozen=True):
    """A code by SMS that is asked for."""

    tenant: str
    digits: str
    """The number in E.164, without its +."""
    country: str | None
    known: bool
    """Whether the number has given a code back within a day."""
    bind: str | None
    """A digest."""
    guard: VerificationGuard
    now: int
    """Milliseconds since the epoch."""


class _Place(NamedTuple):
    which: str
    wanted: int
    limit: int
    words: str


class GuardLimits(Struct, frozen=True):
    """Takes places, as far as there are limits."""

    pumping: Pumping
    texts: Texts
    clock: Clock

    def check_bind(self, start: Start) -> None:
        """Count a start with a `bind`. What cannot be counted is let through. Raises: TooManyError."""
        most = start.guard.per_bind_per_hour
        if start.bind is None or not most:
            return
        try:
            found = self.pumping.bound(start.tenant, start.bind, start.now)
        except AWS_ERRORS as error:
            log_error(logger, "bind not counted", error)
            return
        if found > most:
            words = f"The session, device or address in `bind` has started {most:,} verifications by SMS in this hour"
            raise _too_many(f"{words} (`verification_guard.per_bind_per_hour` of the settings)", start.now, HOUR_MS)

    def take_places(self, start: Start, fees: Callable[[], Sequence[UnitFee]]) -> None:
        """Take the day's places. fees: of the accounts that may send it.

        Raises: TooManyError, NotCountedError: what people limit does not go uncounted.
        """
        had: list[_Place] = []
        for place in _places(start, fees):
            try:
                got = self.texts.take(_of(start, place), place.wanted, place.limit).places
            except AWS_ERRORS as error:
                log_error(logger, "verifications not counted", error)
                raise _uncounted() from None
            had.append(place._replace(wanted=got))
            if got < place.wanted:
                anew = (start.now // DAY_MS + 1) * DAY_MS
                for each in had:
                    self.texts.give_back(_of(start, each), each.wanted, anew)
                raise _too_many(place.words, start.now, DAY_MS)


def _of(start: Start, place: _Place) -> Of:
    return Of(start.tenant, COUNTED, place.which)


def _places(start: Start, fees: Callable[[], Sequence[UnitFee]]) -> Iterator[_Place]:
    guard = start.guard
    if guard.per_day is not None:
        words = f"{guard.per_day:,} verifications by SMS were started today (`verification_guard.per_day`)"
        yield _Place("all", 1, guard.per_day, words)
    most = guard.per_country_per_day.get(start.country or "")
    if most is not None:
        words = f"{most:,} verifications were started today by SMS to {start.country}"
        yield _Place(f"country.{start.country}", 1, most, f"{words} (`verification_guard.per_country_per_day`)")
    if guard.spend_per_day is not None:
        cap = guard.spend_per_day
        # Which of them sends it is known later: the dearest counts.
        cost = max((fee.amount for fee in fees() if fee.currency == cap.currency), default=0.0)
        words = f"The {cap.amount:,.2f} {cap.currency} that verifications by SMS may cost a day are used up"
        wanted, limit = ceil(cost * _PARTS), int(cap.amount * _PARTS)
        if wanted:
            yield _Place(f"spend.{cap.currency}", wanted, limit, f"{words} (`verification_guard.spend_per_day`)")


def _too_many(words: str, now: int, window_ms: int) -> TooManyError:
    until = (now // window_ms + 1) * window_ms
    text = (
        f"{words}, so no code was sent. Start again at {iso(until)}, or send it by another channel. See whether the "
        "codes were wanted before you allow more."
    )
    return TooManyError(text, retry_after_s=max(1, -(-(until - now) // 1000)))


def _uncounted() -> NotCountedError:
    return NotCountedError(
        "How many verifications by SMS were started today cannot be told just now, so no code was sent. Send the "
        "request again, with the same Idempotency-Key if it had one."
    )
