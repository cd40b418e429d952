"""The operations on the guard against SMS pumping: its table, and what people decide of prefixes."""

import re
from collections.abc import Iterator

from functions.manage.deps import ManageDeps
from shared.api.audit import Auditor
from shared.api.kit import Call, OperationFunction
from shared.api.pumping import GuardView, HandState, PrefixView, RuleView
from shared.errors import ConflictError, LostError, NotFoundError, invalid_field, not_found
from shared.model.pumping import SHORTEST, PrefixState, Recent, Rule
from shared.policy.pumping import MINUTE_MS, is_over, window
from shared.store.pumping import Overview, Seen

MOST = 50
"""Partitions whose counts are read for a table."""
MINUTES = {PrefixState.HELD: 60, PrefixState.RELEASED: 24 * 60}
"""How long a person's decision holds unless they say so."""
_PREFIX = re.compile(r"[1-9][0-9]{0,6}").fullmatch
_ROUNDS = 3


def guard_operations(deps: ManageDeps) -> dict[str, OperationFunction]:
    """The operations on the guard, by id."""
    guard = Guard(deps)
    return {
        "get_verification_guard": guard.show,
        "set_guard_prefix": guard.decide,
        "delete_guard_prefix": guard.forget,
    }


class Guard:
    """The operations. The function that starts verifications follows within ten seconds."""

    def __init__(self, deps: ManageDeps) -> None:
        self._deps = deps
        self._auditor = Auditor(deps.catalog, deps.clock)

    def show(self, call: Call) -> GuardView:
        """What the guard knows of prefixes."""
        tenant, now = call.caller.tenant, self._deps.clock.now_ms()
        overview = self._deps.pumping.overview(tenant)
        latest = sorted(overview.seen.values(), key=lambda each: (-each.hour, each.prefix))
        rows = [row for seen in latest[:MOST] for row in self._rows(tenant, seen, overview, now)]
        shown = {row.prefix for row in rows}
        rules = (rule for rule in _standing(overview, now) if rule.prefix not in shown)
        rows += [self._lone(tenant, rule, now) for rule in rules]
        rows.sort(key=lambda row: (row.state is None, -row.started - row.refused, row.prefix))
        mode = self._deps.catalog.settings(tenant).verification_guard.mode
        return GuardView(mode=mode, prefixes=rows, more=max(0, len(latest) - MOST))

    def decide(self, call: Call) -> RuleView:
        """Hold, release or block a prefix. Raises: InvalidError, ConflictError."""
        prefix, body = _prefix(call), call.body
        _check(body)
        now = self._deps.clock.now_ms()
        minutes = body.minutes or MINUTES.get(body.state)
        rule = Rule(
            prefix=prefix,
            state=body.state,
            since=now,
            until=None if minutes is None else now + minutes * MINUTE_MS,
            by=call.caller.key_id,
            why=body.reason,
        )
        self._change(call, prefix, rule)
        return RuleView.of(rule)

    def forget(self, call: Call) -> None:
        """Leave a prefix to the guard again, as if nothing had been decided. Raises: NotFoundError, ConflictError."""
        if not _PREFIX(call.path["prefix"].removeprefix("+")):
            raise not_found("prefix")
        self._change(call, _prefix(call), None)

    def _change(self, call: Call, prefix: str, after: Rule | None) -> None:
        tenant = call.caller.tenant
        for _ in range(_ROUNDS):
            before = self._deps.pumping.overview(tenant).rules.get(prefix)
            if before is None and after is None:
                raise NotFoundError("Nothing was decided of this prefix.")
            views = [None if each is None else RuleView.of(each) for each in (before, after)]
            record = self._auditor.record(call, f"verification-guard/prefix/{prefix}", views[0], views[1])
            try:
                self._deps.pumping.change(tenant, before, after, record)
                return
            except LostError:
                continue
        raise ConflictError("The guard is deciding on this prefix; look at it and try again.")

    def _rows(self, tenant: str, seen: Seen, overview: Overview, now: int) -> Iterator[PrefixView]:
        """The first four digits, and longer prefixes of which something was decided."""
        recent = self._deps.pumping.recent(tenant, seen.prefix, now)
        rules = {rule.prefix: rule for rule in _standing(overview, now)}
        longer = sorted(each for each in rules if each.startswith(seen.prefix) and each != seen.prefix)
        for prefix in (seen.prefix, *longer):
            yield _row(prefix, seen.country, recent, rules.get(prefix), now)

    def _lone(self, tenant: str, rule: Rule, now: int) -> PrefixView:
        """One to whose numbers no code was sent yet, or a short one."""
        counted = len(rule.prefix) >= SHORTEST
        recent = self._deps.pumping.recent(tenant, rule.prefix, now) if counted else Recent()
        return _row(rule.prefix, rule.country, recent, rule, now)


def _row(prefix: str, country: str | None, recent: Recent, rule: Rule | None, now: int) -> PrefixView:
    suffix = prefix[SHORTEST:]
    usual = recent.usual.of(suffix).hour if len(prefix) >= SHORTEST else 0.0
    return PrefixView.made(prefix, country, window(recent, suffix, now), usual, rule)


def _standing(overview: Overview, now: int) -> Iterator[Rule]:
    """The rules that still say something. A hold of the guard stands until a start tries whether it is needed."""
    for rule in overview.rules.values():
        waits = not rule.by_hand and rule.state is PrefixState.HELD
        if waits or not is_over(rule, now):
            yield rule


def _prefix(call: Call) -> str:
    """Raises: InvalidError."""
    prefix = call.path["prefix"].removeprefix("+")
    if not _PREFIX(prefix):
        raise invalid_field("prefix", "give the first one to seven digits of numbers with their country code, as 62812")
    return prefix


def _check(body: HandState) -> None:
    """Raises: InvalidError."""
    if body.state is PrefixState.BLOCKED and body.minutes is not None:
        raise invalid_field("minutes", "leave it out: what is blocked stays so; `held` is for a time")
