"""Which prefixes codes are not sent to: looks rules up, counts starts, and holds, tries and clears prefixes."""

from collections.abc import Iterable
from typing import Final

import msgspec
from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit
from msgspec.structs import replace

from functions.ingest.guard_limits import Start
from shared.aws.errors import AWS_ERRORS
from shared.base.cache import TtlCache
from shared.base.logs import log_error
from shared.errors import LostError, TooManyError, forbidden
from shared.model.audit import AuditRecord, record_change
from shared.model.clock import Clock, iso
from shared.model.pumping import GUARD, SHORTEST, GuardMode, NewCountries, PrefixState, Recent, Rule
from shared.policy import pumping as policy
from shared.policy.pumping import HOUR_MS, LEAST_OF_PEERS, MINUTE_MS, Suspected, Trial, Window
from shared.store.pumping import Overview, Pumping
from shared.store.pumping_hours import PumpingHours

logger = Logger(child=True)

CACHE_SECONDS: Final = 10
MAX_TENANTS: Final = 1_000
MAX_PARTITIONS: Final = 2_000
MOST_PEERS: Final = 12
"""So many other partitions are looked at before a prefix is held."""


class Holds:
    """Decides by what it remembers for ten seconds, and looks again before it holds; one per process."""

    def __init__(
        self, pumping: Pumping, hours: PumpingHours, clock: Clock, metrics: EphemeralMetrics, deployment: str
    ) -> None:
        self._pumping = pumping
        self._hours = hours
        self._metrics = metrics
        self._deployment = deployment
        self._overviews: TtlCache[Overview] = TtlCache(clock, CACHE_SECONDS, MAX_TENANTS, 0)
        self._recents: TtlCache[Recent] = TtlCache(clock, CACHE_SECONDS, MAX_PARTITIONS, 0)
        self._last: dict[str, Overview] = {}
        self._rolling: TtlCache[bool] = TtlCache(clock, CACHE_SECONDS, MAX_PARTITIONS, 0)

    def check_rules(self, start: Start) -> None:
        """Refuse what a rule, or the country, does not let through. Raises: TooManyError, ForbiddenError."""
        overview = self._overview(start.tenant)
        rule = policy.ruling(start.digits, overview.rules, start.now)
        if rule is None:
            self._check_country(start, overview)
        elif rule.by_hand:
            if rule.state is not PrefixState.RELEASED:
                self._refuse(start, rule)
        elif rule.state is PrefixState.HELD and policy.is_over(rule, start.now):
            after = policy.trial(rule, start.now)
            self._change(start, "try_prefix", rule, after)
        elif rule.state is PrefixState.HELD and _binds(start):
            self._refuse(start, rule)

    def count(self, start: Start) -> None:
        """Count a start and judge its prefixes by it. Raises: TooManyError; what the table raises."""
        counts = self._pumping.start(start.tenant, start.digits, start.now)
        exact = self._recent(start)
        if exact.usual.hour != start.now // HOUR_MS:
            exact = self._roll(start, exact)
        minute = start.now // MINUTE_MS
        exact = policy.present(exact, minute, counts)
        rules = self._overview(start.tenant).rules
        rule = policy.ruling(start.digits, rules, start.now)
        if rule is None:
            self._judge(start, exact, rules)
        elif rule.state is PrefixState.TRIAL:
            self._try(start, rule, exact)

    def tell(self, metric: str) -> None:
        """Count something for an alarm; the log says what it is."""
        self._metrics.add_dimension(name="deployment", value=self._deployment)
        self._metrics.add_metric(name=metric, unit=MetricUnit.Count, value=1)
        self._metrics.flush_metrics()

    # Countries

    def _check_country(self, start: Start, overview: Overview) -> None:
        """Note a country's first start, or refuse it. Raises: ForbiddenError."""
        country, wanted = start.country, start.guard.new_countries
        if country is None or country in overview.countries:
            return
        if wanted is NewCountries.BLOCK and start.guard.mode is GuardMode.ENFORCE:
            raise forbidden(
                f"No code was ever sent by SMS to {country}, and `verification_guard.new_countries` of the settings "
                "blocks such countries, so none was sent. If people there are expected, release its prefix by "
                f"`mepush verify release {start.digits[:SHORTEST]}`, or allow new countries for a while."
            )
        target, after = f"verification-guard/country/{country}", {"country": country, "new_countries": wanted.value}
        record = record_change(start.now, start.tenant, GUARD, "first_code_to_country", target, None, after)
        try:
            self._pumping.admit(start.tenant, country, record)
            logger.warning("first code to a country", country=country, tenant=start.tenant)
            if wanted is not NewCountries.ALLOW:
                self.tell("NewCountries")
        except LostError:
            pass  # another process was faster
        except AWS_ERRORS as error:
            log_error(logger, "country not noted", error)
        self._overviews.drop(start.tenant)

    # Prefixes

    def _judge(self, start: Start, exact: Recent, rules: dict[str, Rule]) -> None:
        found = policy.suspected(start.digits, exact, rules, start.guard, start.now)
        if found is None or start.known:
            return
        # What is remembered may be ten seconds old, and approvals came meanwhile.
        rules = self._overview(start.tenant, fresh=True).rules
        found = policy.suspected(start.digits, self._recent(start, fresh=True), rules, start.guard, start.now)
        if found is not None:
            self._hold(start, found, rules)

    def _try(self, start: Start, rule: Rule, exact: Recent) -> None:
        outcome, figures = policy.tried(rule, exact, start.guard, start.now)
        if outcome is Trial.WAIT and _binds(start):
            self._pumping.refuse(start.tenant, start.digits, start.now, counted=start.now)
            raise _held(rule, start.now + 1000 * policy.WAIT_S, start.now)
        if outcome not in (Trial.CLEAR, Trial.HOLD):
            return
        outcome, figures = policy.tried(rule, self._recent(start, fresh=True), start.guard, start.now)
        if outcome is Trial.CLEAR:
            self._change(start, "clear_prefix", rule, policy.cleared(rule, start.now, figures))
        elif outcome is Trial.HOLD:
            self._hold(start, Suspected(rule.prefix, figures), self._overview(start.tenant).rules)

    def _hold(self, start: Start, found: Suspected, rules: dict[str, Rule]) -> None:
        """Hold a prefix, unless the others do no better. Raises: TooManyError for the start that it was found by."""
        others = self._peers(start, found.prefix, rules)
        figures = replace(found.figures, peers_matured=others.matured, peers_approved=others.approved)
        if policy.spared(figures):
            return
        before = rules.get(found.prefix)
        after = policy.hold(Suspected(found.prefix, figures), before, start.guard, start.now, start.country)
        if self._change(start, "hold_prefix", before, after):
            logger.warning("prefix held", prefix=after.prefix, why=after.why, tenant=start.tenant)
            self.tell("PrefixesHeld")
        if _binds(start):
            self._pumping.refuse(start.tenant, start.digits, start.now, counted=start.now)
            raise _held(after, after.until or start.now, start.now)

    def _peers(self, start: Start, prefix: str, rules: dict[str, Rule]) -> Window:
        """How codes are entered elsewhere: in the rest of the country, or if that says nothing, of the tenant."""
        head, seen = prefix[:SHORTEST], self._overview(start.tenant).seen
        others = sorted((each for each in seen.values() if each.prefix != head), key=lambda e: (-e.hour, e.prefix))
        near = [each.prefix for each in others if each.country == start.country][:MOST_PEERS]
        far = [each.prefix for each in others if each.country != start.country][:MOST_PEERS]
        found = self._sum(start, [head, *near], rules, prefix)
        return found if found.matured >= LEAST_OF_PEERS else self._sum(start, far, rules, prefix)

    def _sum(self, start: Start, heads: Iterable[str], rules: dict[str, Rule], prefix: str) -> Window:
        matured = approved = 0
        for head in heads:
            recent = self._recent(start, head)
            inner = [r for r in rules.values() if r.prefix.startswith(head) and not r.by_hand and r.prefix != prefix]
            if any(len(r.prefix) <= SHORTEST for r in inner) or (head == prefix):
                continue  # it is held as a whole, or judged itself
            less = prefix[SHORTEST:] if prefix.startswith(head) else ""
            found = policy.peers_of(recent, start.now, start.guard, inner, less)
            matured, approved = matured + found.matured, approved + found.approved
        return Window(matured=matured, approved=approved)

    def _refuse(self, start: Start, rule: Rule) -> None:
        """Refuse a start for a rule, and count that. Raises: TooManyError, ForbiddenError."""
        try:
            self._pumping.refuse(start.tenant, start.digits, start.now)
        except AWS_ERRORS as error:
            log_error(logger, "refused start not counted", error)
        if rule.state is PrefixState.BLOCKED:
            words = f"No code is sent by SMS to numbers that begin with +{rule.prefix}: somebody blocked them"
            reason = f" ({rule.why})" if rule.why else ""
            raise forbidden(
                f"{words}{reason}. Send it by another channel, or have the prefix released by `mepush verify release "
                f"{rule.prefix}`."
            )
        raise _held(rule, rule.until or start.now + HOUR_MS, start.now)

    def _change(self, start: Start, action: str, before: Rule | None, after: Rule) -> bool:
        """Replace a rule; whether this process did it, and no other one."""
        record = _record(start, action, before, after)
        try:
            self._pumping.change(start.tenant, before, after, record)
            return True
        except LostError:
            return False
        finally:
            self._overviews.drop(start.tenant)

    # What is remembered

    def _overview(self, tenant: str, *, fresh: bool = False) -> Overview:
        """A tenant's rules. Raises: nothing; where they cannot be read, what was read last counts."""
        try:
            found = self._overviews.get(tenant, lambda: self._pumping.overview(tenant), fresh) or Overview()
        except AWS_ERRORS as error:
            log_error(logger, "rules of the guard cannot be read", error)
            return self._last.get(tenant, Overview())
        if len(self._last) < MAX_TENANTS or tenant in self._last:
            self._last[tenant] = found
        return found

    def _recent(self, start: Start, head: str = "", *, fresh: bool = False) -> Recent:
        head = head or start.digits[:SHORTEST]
        key = f"{start.tenant}#{head}"
        return self._recents.get(key, lambda: self._pumping.recent(start.tenant, head, start.now), fresh) or Recent()

    def _roll(self, start: Start, recent: Recent) -> Recent:
        """Have the hours before this one summed up, if nobody is at it."""
        head, found = start.digits[:SHORTEST], recent

        def roll() -> bool:
            nonlocal found
            table = self._hours.roll(start.tenant, head, start.country, start.now)
            if table is not None:
                found = replace(recent, usual=table)
                self._recents.drop(f"{start.tenant}#{head}")
            return True

        # While somebody else is at it, the hour before this one says what is usual.
        self._rolling.get(f"{start.tenant}#{head}#{start.now // HOUR_MS}", roll)
        return found


def _binds(start: Start) -> bool:
    """Whether holds of the guard count for a start."""
    return start.guard.mode is GuardMode.ENFORCE and not start.known


def _held(rule: Rule, until: int, now: int) -> TooManyError:
    words = (
        f"Codes by SMS to numbers that begin with +{rule.prefix} are held until {iso(until)}, so none was sent. "
        f"{rule.why} Send it by another channel, or start again then. If the codes are wanted, have the prefix "
        f"released by `mepush verify release {rule.prefix}`; `mepush verify guard` shows the figures."
    )
    return TooManyError(words, retry_after_s=max(1, -(-(until - now) // 1000)))


def _record(start: Start, action: str, before: Rule | None, after: Rule) -> AuditRecord:
    old, new = (None if each is None else msgspec.to_builtins(each) for each in (before, after))
    target = f"verification-guard/prefix/{after.prefix}"
    return record_change(start.now, start.tenant, GUARD, action, target, old, new)
