"""Metrics of messages as they are counted: by channel and class, by account, and of codes by country and provider.

CloudWatch takes them from lines of the log in its embedded metric format: one for each place and batch, so that their
number follows the batches and not the messages. What is counted again by nobody is told again by nobody: a place is
told of after the transaction that counted. A function that dies between the two leaves its batch untold, and metrics
are then below the counters, never above. docs/metrics.md lists them, with what they cost.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from shared.model.words import Stage

MOST_VALUES = 99
"""Of one metric in a line: CloudWatch takes 100, and Powertools writes the line when it has so many."""

NAMES: Mapping[str, str] = {
    Stage.ACCEPTED: "Accepted",
    Stage.REJECTED: "Rejected",
    Stage.RETRYING: "Retries",
    Stage.SENT: "Sent",
    Stage.FAILED: "Failed",
    Stage.SUPPRESSED: "Suppressed",
    Stage.DUPLICATE: "Duplicate",
    Stage.CAPPED: "Capped",
    Stage.RECALLED: "Recalled",
    Stage.EXPIRED: "Expired",
    Stage.UNKNOWN: "Unknown",
    Stage.DEAD_LETTERED: "DeadLettered",
    Stage.DELIVERED: "Delivered",
    Stage.UNDELIVERED: "Undelivered",
    f"{Stage.UNDELIVERED}.transient": "UndeliveredTransient",
    Stage.COMPLAINED: "Complained",
    Stage.UNSUBSCRIBED: "Unsubscribed",
    Stage.VERIFIED: "Verified",
}
"""What is counted, by the name that it counts by (`shared.store.counters.counted_as`)."""
OF_ACCOUNTS = frozenset(
    {
        Stage.RETRYING,
        Stage.SENT,
        Stage.FAILED,
        Stage.UNKNOWN,
        Stage.DEAD_LETTERED,
        Stage.DELIVERED,
        Stage.UNDELIVERED,
        f"{Stage.UNDELIVERED}.transient",
        Stage.COMPLAINED,
        Stage.VERIFIED,
    }
)
"""Those that say something of the account, and are told by account too."""
OF_CODES: Mapping[str, str] = {Stage.SENT: "CodesSent", Stage.VERIFIED: "CodesVerified"}
"""What is counted of texts that carry verifications, by country and provider."""
TIMES: Mapping[str, str] = {Stage.SENT: "TimeToSend", Stage.DELIVERED: "TimeToDeliver"}
"""How long messages took to a stage, by stage: from acceptance, and from there."""


class Where(NamedTuple):
    """What an event's message has in common with others in metrics."""

    channel: str
    message_class: str
    account: str | None
    """`<tenant>/<account>`, if there is one."""


class Codes(NamedTuple):
    """What a text that carries a verification has in common with others in metrics."""

    country: str
    """ISO 3166."""
    provider: str


class Countable(Protocol):
    """An event that was counted."""

    @property
    def name(self) -> str:
        """By which it counts."""

    @property
    def messages(self) -> int:
        """Of how many it is."""

    @property
    def where(self) -> Where | None:
        """None for what metrics leave out."""

    @property
    def took_ms(self) -> int | None:
        """How long its message took to this stage, where that is known."""

    @property
    def code(self) -> Codes | None:
        """None for what is not of such a text."""


@dataclass(slots=True)
class _Tally:
    counts: Counter[str] = field(default_factory=Counter)
    times: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))

    def add(self, event: Countable) -> None:
        self.counts[event.name] += event.messages
        if event.took_ms is not None:
            self.times[event.name].append(event.took_ms)


class Live:
    """Gathers what a batch counted, and tells it. by_account: whether it is told by account, too."""

    def __init__(self, metrics: EphemeralMetrics, deployment: str, *, by_account: bool) -> None:
        self._metrics = metrics
        self._deployment = deployment
        self._by_account = by_account
        self._tallies: dict[Where, _Tally] = {}
        self._codes: dict[Codes, Counter[str]] = {}

    def add(self, events: Iterable[Countable]) -> None:
        """Events were counted."""
        tallies = self._tallies
        for event in events:
            if event.code is not None:
                self._codes.setdefault(event.code, Counter())[event.name] += event.messages
            if event.where is not None and event.name in NAMES:
                tally = tallies.get(event.where)
                if tally is None:
                    tally = tallies[event.where] = _Tally()
                tally.add(event)

    def tell(self) -> None:
        """Write what was gathered, and forget it."""
        tallies, self._tallies = self._tallies, {}
        classes: dict[tuple[str, str], list[_Tally]] = defaultdict(list)
        accounts: dict[str, list[_Tally]] = defaultdict(list)
        for where, tally in tallies.items():
            classes[where.channel, where.message_class].append(tally)
            if where.account is not None and self._by_account and OF_ACCOUNTS & tally.counts.keys():
                accounts[where.account].append(tally)
        for (channel, message_class), some in classes.items():
            self._write({"channel": channel, "class": message_class}, some, NAMES.keys())
        for account, some in accounts.items():
            self._write({"account": account}, some, OF_ACCOUNTS)
        codes, self._codes = self._codes, {}
        for code, counts in codes.items():
            self._write_codes(code, counts)

    def _write_codes(self, code: Codes, counts: Mapping[str, int]) -> None:
        dimensions = {"deployment": self._deployment, "country": code.country, "provider": code.provider}
        for name, value in dimensions.items():
            self._metrics.add_dimension(name=name, value=value)
        for stage, metric in OF_CODES.items():
            if counts.get(stage):
                self._metrics.add_metric(name=metric, unit=MetricUnit.Count, value=counts[stage])
        self._metrics.flush_metrics()

    def _write(self, dimensions: Mapping[str, str], tallies: Sequence[_Tally], names: Iterable[str]) -> None:
        metrics = self._metrics
        for name, value in {"deployment": self._deployment, **dimensions}.items():
            metrics.add_dimension(name=name, value=value)
        for name in names:
            if number := sum(tally.counts[name] for tally in tallies):
                metrics.add_metric(name=NAMES[name], unit=MetricUnit.Count, value=number)
        for stage, metric in TIMES.items():
            for took_ms in spread([ms for tally in tallies for ms in tally.times.get(stage, ())]):
                metrics.add_metric(name=metric, unit=MetricUnit.Milliseconds, value=took_ms)
        metrics.flush_metrics()


def spread(values: list[int]) -> list[int]:
    """At most `MOST_VALUES` of some values: of more, the least, the greatest and as many evenly between, in order."""
    if len(values) <= MOST_VALUES:
        return values
    ordered, step = sorted(values), (len(values) - 1) / (MOST_VALUES - 1)
    return [ordered[round(i * step)] for i in range(MOST_VALUES)]
