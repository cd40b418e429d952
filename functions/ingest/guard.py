"""The guard against SMS pumping at a start: who is refused, what is counted, and which prefixes are held for it.

The counts may be out of reach: then codes are sent, since the limits of keys and those that people set hold anyway.
"""

from collections.abc import Callable, Sequence

from aws_lambda_powertools import Logger
from msgspec import Struct

from functions.ingest.guard_limits import GuardLimits, Start
from functions.ingest.holds import Holds
from shared.aws.errors import AWS_ERRORS
from shared.base.logs import log_error
from shared.errors import ForbiddenError, PlatformError, TooManyError
from shared.model.accounts import UnitFee
from shared.model.clock import Clock
from shared.model.phones import takes_texts
from shared.model.pumping import GuardMode
from shared.store.catalog import Catalog
from shared.store.pumping import prefix_of

logger = Logger(child=True)


class PumpingGuard(Struct, frozen=True):
    """Lets starts by SMS through, or does not."""

    catalog: Catalog
    holds: Holds
    limits: GuardLimits
    clock: Clock

    def admit(
        self, tenant: str, number: str, *, known: bool, bind: str | None, fees: Callable[[], Sequence[UnitFee]]
    ) -> str | None:
        """Let a start through; the prefix under which its approval is to be counted, if it was.

        number: in E.164. known: it gave a code back within a day. bind: a digest. fees: of accounts that may send it.
        Raises: TooManyError, ForbiddenError, NotCountedError.
        """
        guard = self.catalog.settings(tenant).verification_guard
        if guard.mode is GuardMode.OFF:
            return None
        country, now = takes_texts(number)[0], self.clock.now_ms()
        start = Start(tenant, number[1:], country, known, bind, guard, now)
        try:
            self.holds.check_rules(start)
        except AWS_ERRORS as error:
            log_error(logger, "rules of the guard not applied", error)
        self._may(start, lambda: self.limits.check_bind(start))
        self._may(start, lambda: self.limits.take_places(start, fees))
        try:
            self.holds.count(start)
        except AWS_ERRORS as error:
            log_error(logger, "start not counted", error)
            self.holds.tell("StartsNotCounted")
            return None
        return prefix_of(number)

    @staticmethod
    def _may(start: Start, check: Callable[[], None]) -> None:
        """Check a limit, which refuses nothing where the guard only monitors."""
        try:
            check()
        except (TooManyError, ForbiddenError) as refused:
            _refuse(start, refused)


def _refuse(start: Start, refused: PlatformError) -> None:
    if start.guard.mode is GuardMode.ENFORCE:
        raise refused
    logger.info("a start would be refused", why=refused.detail, tenant=start.tenant)
