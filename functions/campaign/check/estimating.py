"""What a run will cost and how long it will take, about: from its messages, a sample of them, and the accounts."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Protocol

from shared.model.accounts import Account, AccountState
from shared.model.runs import Estimate, Fee, PinnedVariant, Run
from shared.model.templates import Template, TemplateVersion
from shared.model.tenants import TenantSettings
from shared.model.words import Channel, KeyKind
from shared.policy.rates import DAY, SECOND, lanes_of
from shared.policy.resolve import resolve
from shared.providers.declared import fee_of, rate_of, units_of
from shared.rendering.render import RenderingError, TemplateError, compile_content

SAMPLE_ROWS = 200
"""So many recipients of a variant tell how long its texts are."""


class Sampled(Protocol):
    """A row that can be sent. variant: its name."""

    @property
    def to(self) -> str: ...

    @property
    def variables(self) -> Mapping[str, Any]: ...

    @property
    def variant(self) -> str: ...


class Configured(Protocol):
    """Where it is read what people have configured; seconds old at most."""

    def settings(self, tenant: str) -> TenantSettings: ...

    def account(self, tenant: str, account_id: str) -> Account | None: ...

    def template(self, tenant: str, template_id: str) -> Template | None: ...

    def version(self, tenant: str, template_id: str, version: int) -> TemplateVersion | None: ...


@dataclass(slots=True)
class _Load:
    """What an account is to send."""

    account: Account
    messages: int = 0
    units: float = 0.0
    """That it is charged for."""


class Estimator:
    """Estimates runs; thread-safe."""

    def __init__(self, configured: Configured) -> None:
        self._configured = configured

    def estimate(self, run: Run, sample: Sequence[Sampled]) -> Estimate:
        """What a checked run will cost and how long it will take. sample: some of its rows.

        The fees are those of the messages that go out: not of suppressed ones, and of none with a test key. Nobody
        knows how long providers take, so the time is that of the accounts' rates and the throttle alone: quiet hours,
        recipients' own time zones, what else goes by these accounts and tries that fail come on top.
        """
        queued, sent = run.tally.messages, run.tally.messages - run.tally.suppressed
        loads = [] if run.kind is KeyKind.TEST else self._loads(run, sent, sample)
        bounds = [seconds for load in loads if (seconds := _seconds(load)) is not None]
        if run.throttle is not None:
            bounds.append(queued / (run.throttle / 60))
        seconds = max(bounds, default=None)
        return Estimate(
            messages=queued,
            fees=tuple(_fee(load) for load in loads),
            per_second=None if not seconds else queued / seconds,
            seconds=seconds,
        )

    def _loads(self, run: Run, messages: int, sample: Sequence[Sampled]) -> list[_Load]:
        """What each account is to send, by the weights of variants and accounts."""
        loads: dict[str, _Load] = {}
        weights = [variant.weight for variant in run.variants]
        for variant, count in zip(run.variants, _divided(messages, weights), strict=True):
            accounts = self._accounts(run, variant)
            rows = [row for row in sample if row.variant == variant.name][:SAMPLE_ROWS]
            units = self._units(run, variant, [account for account, _ in accounts], rows)
            shares = _divided(count, [weight for _, weight in accounts])
            for (account, _), share in zip(accounts, shares, strict=True):
                load = loads.setdefault(account.id, _Load(account))
                load.messages += share
                load.units += share * units[account.id]
        return [load for load in loads.values() if load.messages]

    def _accounts(self, run: Run, variant: PinnedVariant) -> list[tuple[Account, float]]:
        """The accounts that may send a variant's messages, each with its weight."""
        template = self._configured.template(run.tenant, variant.template)
        if template is None:
            return []
        settings = self._configured.settings(run.tenant)
        weights = resolve(settings, template, run.channel, run.message_class).weights or {}
        found = [self._configured.account(run.tenant, id) for id in template.accounts]
        active = [account for account in found if account is not None and account.state is AccountState.ACTIVE]
        weighed = [(account, float(weights.get(account.id, account.weight))) for account in active]
        # As routing has it: those without weight only if there is no other.
        return [each for each in weighed if each[1] > 0] or [(account, 1.0) for account in active]

    def _units(
        self, run: Run, variant: PinnedVariant, accounts: Sequence[Account], rows: Sequence[Sampled]
    ) -> Mapping[str, float]:
        """For how many units each account charges a message of a variant, on average."""
        ones = dict.fromkeys((account.id for account in accounts), 1.0)
        if run.channel is not Channel.SMS or not rows:
            return ones
        version = self._configured.version(run.tenant, variant.template, variant.version)
        if version is None:
            return ones
        totals, rendered = Counter[str](), 0
        try:
            compiled = compile_content(version.content)
        except TemplateError:
            return ones
        for row in rows:
            try:
                content = compiled.render(run.campaign.variables, row.variables)
            except RenderingError:
                # It fails at dispatch too, and costs nothing.
                continue
            rendered += 1
            totals.update({account.id: units_of(content, account, row.to) for account in accounts})
        return {id: total / rendered for id, total in totals.items()} if rendered else ones


def _divided(count: int, weights: Sequence[float]) -> Iterator[int]:
    """A whole number divided by weights, none of it lost."""
    total, before = sum(weights), 0
    for so_far in accumulate(weights):
        upto = round(count * so_far / total)
        yield upto - before
        before = upto


def _fee(load: _Load) -> Fee:
    price, _ = fee_of(load.account)
    units = round(load.units)
    amount = None if price is None else round(units * price.amount, 6)
    currency = None if price is None else price.currency
    return Fee(account=load.account.id, provider=load.account.provider, units=units, amount=amount, currency=currency)


def _seconds(load: _Load) -> float | None:
    """How long an account takes at its rate, without the part that is kept for codes; None if it has none."""
    rate, _ = rate_of(load.account)
    if rate is None:
        return None
    lane = lanes_of(rate).main
    if not lane.per_day:
        return load.messages * lane.interval / SECOND
    days = (load.messages - 1) // lane.per_day
    return (days * DAY + (load.messages - days * lane.per_day) * lane.interval) / SECOND
