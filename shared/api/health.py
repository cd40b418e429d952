"""What the platform says of its own health."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from shared.model.accounts import AccountState
from shared.model.base import Model
from shared.model.webhooks import Stopped, WebhookState


class Finding(Model):
    """Something that is not as it should be, and what to do about it."""

    problem: str
    action: str


class HealthBalance(Model):
    """The messages accepted in the last 24 hours: accepted + redriven = outcomes + in_flight."""

    accepted: int
    redriven: int
    outcomes: int
    in_flight: int


class SweepView(Model):
    """The last sweep of the watch."""

    at: datetime
    age_seconds: int
    duration_ms: int
    unfinished: bool
    found: dict[str, int]
    """What is stuck, by kind."""
    mended: dict[str, int]
    """What it did."""
    failed: list[str]
    """Parts that broke off."""


class QueueView(Model):
    """A queue, about: messages that wait, that are worked on, that are due later, and dead letters not taken yet."""

    name: str
    waiting: int
    hidden: int
    delayed: int
    dead: int


class ShardView(Model):
    """How long ago the oldest event arrived that is not in the timeline yet; 0 if all are."""

    shard: str
    lag_seconds: float


class AccountHealth(Model):
    """What became of the tries through an account, for messages accepted in this hour and the one before."""

    account: str
    provider: str
    state: AccountState
    verdict: Literal["healthy", "failing", "idle"]
    sent: int
    retrying: int
    failed: int
    unknown: int
    dead_lettered: int
    sent_day: int = 0
    """`sent_day` and `reported_day`: of the day before these hours, what was sent, and what was reported of it."""
    reported_day: int = 0
    tells: bool = False
    """Whether the provider says of each message whether it arrived, once that is switched on."""
    factor: float
    """How much of its weight routing lets it have; 1 for all of it."""
    shifted_at: datetime | None
    """When that last changed; null if it never did."""
    shift_reason: str | None


class WebhookHealth(Model):
    """How an endpoint of a webhook is."""

    webhook: str
    state: WebhookState
    stopped: Stopped | None
    """Why it is not active."""
    failing_since: datetime | None
    """Since when nothing has come through; null if it works."""
    failures: int
    """So many tries have failed since then."""


class Health(Model):
    """Whether the platform is well, what is not, and what to do."""

    verdict: Literal["healthy", "warning", "unhealthy"]
    """`warning` if it works, and people should see to something all the same."""
    findings: list[Finding]
    """What keeps it from working."""
    warnings: list[Finding] = Field(default_factory=list)
    balance: HealthBalance
    oldest_in_flight: datetime | None
    """Since when the oldest message has been due that should have come to an end by now, as of the last sweep; null if
    nothing is in flight for too long."""
    in_flight_too_long: int
    """How many such messages there are, as of the last sweep."""
    sweep: SweepView | None = Field(description="Null before the first one.")
    queues: list[QueueView]
    schedules_dead: int = Field(description="Schedules that could not deliver.")
    trace_dead: int = Field(description="Batches of events that the trace gave up.")
    dead_letters: int = Field(0, description="Dead letters that wait for a decision, of at most 100.")
    dead_letters_more: bool = Field(False, description="Whether there are more of them.")
    receipts_dead: int = Field(0, description="Receipts that cannot be read.")
    webhooks_dead: int = Field(0, description="Events and batches of events for webhooks that were given up.")
    webhooks: list[WebhookHealth] = Field(default_factory=list)
    stream: list[ShardView]
    accounts: list[AccountHealth]
