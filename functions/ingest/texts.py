"""How many texts a key may send on a day (UTC): takes places for a request's numbers, and says who gets none.

Fraudsters have texts sent to numbers that pay them. Runs of campaigns take no places: they have their check, and
`approve_above`. Test keys send nothing.
"""

from typing import NamedTuple

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit
from msgspec import Struct

from shared.api.kit import Caller
from shared.aws.errors import AWS_ERRORS
from shared.base.logs import log_error
from shared.errors import NotCountedError
from shared.model.base import Model
from shared.model.clock import Clock, iso
from shared.model.phones import takes_texts
from shared.model.reasons import Reason
from shared.model.words import KeyKind
from shared.policy.admission import RefusedError
from shared.store.catalog import Catalog
from shared.store.texts import DAY_MS, Of, Taken, Texts

logger = Logger(child=True)

EVENTS = "events"
"""Stands for the key of events, which bear none: all of a tenant's count together."""


class Limits(NamedTuple):
    """A key's texts per day."""

    all: int
    abroad: int
    own: bool
    """Whether `all` is the key's own limit, and not the settings'."""


class Grant(Model):
    """The places that a request has got, kept with its claim: a repeat gets the same answer."""

    all: int
    """`all` and `abroad`: places."""
    abroad: int
    of_all: int
    """`of_all` and `of_abroad`: the limits."""
    of_abroad: int
    own: bool
    """See `Limits`."""
    anew: int
    """When the limits start anew, in milliseconds since the epoch."""
    events: bool = False
    """Whether they are those of events, which bear no key."""


class Seats:
    """Gives a grant's places to a request's numbers, in its order; without a grant each gets one."""

    def __init__(self, region: str, grant: Grant | None) -> None:
        self._region = region
        self.grant = grant
        self.all = self.abroad = 0

    def take(self, field: str, number: str) -> None:
        """Give a number a place. Raises: RefusedError if there is none."""
        abroad = takes_texts(number)[0] != self._region
        grant = self.grant
        if grant is not None and abroad and self.abroad >= grant.abroad:
            raise RefusedError(field, number, Reason.KEY_LIMIT, _words(grant, field, abroad=True))
        if grant is not None and self.all >= grant.all:
            raise RefusedError(field, number, Reason.KEY_LIMIT, _words(grant, field, abroad=False))
        self.all += 1
        self.abroad += abroad


class TextLimits(Struct, frozen=True):
    """Takes the places of the day, and tells people when there are few or none."""

    catalog: Catalog
    texts: Texts
    metrics: EphemeralMetrics
    clock: Clock
    deployment: str
    """Its name in metrics."""

    def grant(self, caller: Caller, seats: Seats) -> Grant | None:
        """Places for a request; None if it needs none. Raises: NotCountedError if they cannot be counted."""
        if not seats.all or caller.kind is KeyKind.TEST:
            return None
        try:
            found = self._take(caller, seats, self._limits(caller, self.catalog))
            # Who has just raised a limit need not wait.
            if self._short(found, seats) and (limits := self._limits(caller, self.catalog.fresh)) != _limits_of(found):
                found = self._take(caller, seats, limits, found)
        except AWS_ERRORS as error:
            log_error(logger, "texts not counted", error)
            raise uncounted() from None
        if self._short(found, seats):
            self._tell("KeyLimitReached", caller)
        return found

    def at_hand(self, caller: Caller, seats: Seats) -> Grant | None:
        """Places for a request whose claim is not made yet, if the process has them all without asking; `give_back`
        takes them back. None also if it needs none."""
        if not seats.all or seats.abroad or caller.kind is KeyKind.TEST:
            return None
        try:
            limits = self._limits(caller, self.catalog)
        except AWS_ERRORS as error:
            log_error(logger, "texts not counted yet", error)
            return None
        granted = _grant(caller, limits, seats.all, 0, self.clock.now_ms())
        return granted if self.texts.at_hand(_of(caller), seats.all) else None

    def give_back(self, caller: Caller, grant: Grant) -> None:
        """Take back what `at_hand` gave, for a request that had its places before."""
        self.texts.give_back(_of(caller), grant.all, grant.anew)

    def _limits(self, caller: Caller, catalog: Catalog) -> Limits:
        settings = catalog.settings(caller.tenant)
        key = catalog.key(caller.key_id) if caller.key_id else None
        own = key.texts_per_day if key is not None else None
        every = settings.texts_per_key_per_day if own is None else own
        return Limits(every, settings.texts_abroad_per_key_per_day, own is not None)

    def _take(self, caller: Caller, seats: Seats, limits: Limits, had: Grant | None = None) -> Grant:
        """Places beyond those that were had already. Those of a request that is not queued then count as spent."""
        had_all, had_abroad = (had.all, had.abroad) if had is not None else (0, 0)
        now = self.clock.now_ms()
        abroad = had_abroad + self._some(caller, "abroad", seats.abroad - had_abroad, limits.abroad)
        wanted = seats.all - seats.abroad + abroad
        every = had_all + self._some(caller, "all", wanted - had_all, limits.all)
        return _grant(caller, limits, every, abroad, now)

    def _some(self, caller: Caller, which: str, wanted: int, limit: int) -> int:
        if wanted <= 0:
            return 0
        taken: Taken = self.texts.take(_of(caller, which), wanted, limit)
        if taken.near:
            self._tell("KeyLimitNear", caller)
        return taken.places

    @staticmethod
    def _short(grant: Grant, seats: Seats) -> bool:
        return grant.all < seats.all or grant.abroad < seats.abroad

    def _tell(self, name: str, caller: Caller) -> None:
        """Count it for the alarm; the log says which key it is, since a dimension for each would cost."""
        logger.warning(_LOGGED[name], key=caller.key_id or EVENTS, tenant=caller.tenant)
        self.metrics.add_dimension(name="deployment", value=self.deployment)
        self.metrics.add_metric(name=name, unit=MetricUnit.Count, value=1)
        self.metrics.flush_metrics()


_LOGGED = {"KeyLimitReached": "key limit reached", "KeyLimitNear": "key limit near"}


def _of(caller: Caller, which: str = "all") -> Of:
    return Of(caller.tenant, caller.key_id or EVENTS, which)


def _grant(caller: Caller, limits: Limits, every: int, abroad: int, now: int) -> Grant:
    return Grant(
        all=every,
        abroad=abroad,
        of_all=limits.all,
        of_abroad=limits.abroad,
        own=limits.own,
        anew=(now // DAY_MS + 1) * DAY_MS,
        events=not caller.key_id,
    )


def _limits_of(grant: Grant) -> Limits:
    return Limits(grant.of_all, grant.of_abroad, grant.own)


def _words(grant: Grant, field: str, *, abroad: bool) -> str:
    name = "texts_abroad_per_key_per_day" if abroad else "texts_per_key_per_day"
    where = f"`{name}` of the settings"
    if grant.own and not abroad:
        where = "`texts_per_day`, which it was made with"
    count, to = (grant.of_abroad, " to numbers abroad") if abroad else (grant.of_all, "")
    who = "All events together" if grant.events else "The key"
    # The message itself may not be a text at all.
    then = "send it then" if field == "to" else f"send it then, or now without `{field}`"
    return (
        f"{who} may send {count:,} texts a day{to} ({where}), and they are used up. It starts anew at "
        f"{iso(grant.anew)}: {then}. See whether the texts were wanted before you raise the limit."
    )


def uncounted() -> NotCountedError:
    """The answer where nothing may be accepted, since nobody knows how many texts there were."""
    return NotCountedError(
        "How many texts the key has sent today cannot be told just now, so nothing was accepted. Send the request "
        "again, with the same Idempotency-Key if it had one."
    )
