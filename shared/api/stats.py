"""What callers ask and read about the messages of a template, or of an account, in numbers."""

from datetime import datetime
from enum import StrEnum

from pydantic import ConfigDict, Field

from shared.api.trace import RangeQuery
from shared.model.base import Model

_STRICT = ConfigDict(extra="forbid")


class Span(StrEnum):
    """How long a time is counted together."""

    HOUR = "hour"
    DAY = "day"


class StatsQuery(RangeQuery):
    """A range of cohort hours, by default the last 24, and what is counted together within it."""

    model_config = _STRICT

    by: Span = Span.HOUR
    """Hours, or days in the tenant's time zone."""


class Latency(Model):
    """How long messages took, in milliseconds, each figure to within a tenth."""

    messages: int
    """Of how many it is known."""
    p50: int | None = None
    p95: int | None = None
    p99: int | None = None


class Latencies(Model):
    """How long messages took to each place."""

    sent: Latency
    """From acceptance until the provider took them, waiting for their time included."""
    delivered: Latency
    """From there until the provider says that they were delivered."""


class Shares(Model):
    """How many messages arrived, as far as that is reported."""

    delivered_share: float | None
    """Of those that were sent; None if none were, or nothing was reported of any."""
    delivered_share_of_reported: float | None = None
    """Of those of which it was reported whether they arrived; one that arrived and came back later counts as both,
    but they are never more than were sent."""
    verified_share: float | None = None
    """Of those that carried a verification, how many of what they carried was given back; None if none was sent."""


class CountryStats(Model):
    """Messages that carried a verification, to one country."""

    country: str | None
    """ISO 3166; null for what was no text."""
    sent: int
    verified: int
    """Whose code was given back."""
    verified_share: float | None


class StatsSpan(Shares):
    """Counts by stage of the messages accepted in one hour, or on one day."""

    start: datetime
    stages: dict[str, int]
    latency: Latencies


class ReasonStats(Model):
    """How many messages came to a stage for one reason, and what it means."""

    stage: str
    reason: str
    messages: int
    explanation: str
    explanation_zh: str | None
    action: str


class LinkStats(Model):
    """How often one link was followed."""

    target: str
    """Where it leads, as the template has it, placeholders and all; empty for links that are not told apart."""
    messages: int
    """In which a person followed it; of anonymous templates nobody knows."""
    times: int
    """By people, each time; of anonymous templates alike."""
    by_machine: int


class GroupStats(Shares):
    """Messages that have something in common."""

    name: str
    stages: dict[str, int]
    latency: Latencies
    links: list[LinkStats]
    """As those of the template; of accounts none where tracking is anonymous."""
    undelivered_for: dict[str, int] = Field(default_factory=dict)
    """How many did not arrive for which reason, for good or for now."""
    countries: list[CountryStats] = Field(default_factory=list)
    """Verifications alone, by country, the most first."""


class AccountStats(Shares):
    """An account's messages in numbers. Stages count events, as those of a template do."""

    account: str
    provider: str
    stages: dict[str, int]
    no_receipt: int
    """Sent, and nothing was reported of whether they arrived: which is no failure."""
    latency: Latencies
    reasons: list[ReasonStats]
    """Why messages were not sent or not delivered, the most frequent first."""
    countries: list[CountryStats] = Field(default_factory=list)
    """Verifications alone, by country, the most first."""
    spans: list[StatsSpan]


class TemplateStats(Shares):
    """A template's messages in numbers.

    Stages count events: `undelivered` are those that came back for good, `undelivered.transient` those for now;
    `opened` and `clicked` count messages, `opened.times` and `clicked.times` each time, `.machine` what no person did.
    Of anonymous templates `opened.anonymous` and `clicked.anonymous` count each time, at the time when it happened.
    """

    template: str
    stages: dict[str, int]
    in_flight: int
    """Accepted, without an outcome yet."""
    no_receipt: int
    """Sent, and nothing was reported of whether they arrived: which is no failure."""
    latency: Latencies
    links: list[LinkStats]
    """The links that were followed most, at most 20."""
    reasons: list[ReasonStats]
    """Why messages were not sent or not delivered, the most frequent first."""
    versions: list[GroupStats]
    accounts: list[GroupStats]
    providers: list[GroupStats] = Field(default_factory=list)
    """By the providers of these accounts; without those that are deleted."""
    countries: list[CountryStats] = Field(default_factory=list)
    """Verifications alone, by country, the most first."""
    runs: list[GroupStats]
    variants: list[GroupStats]
    spans: list[StatsSpan]
