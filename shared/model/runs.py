"""Runs: one firing of a campaign, cut into shards; and how far each has got."""

from collections import Counter
from enum import StrEnum
from typing import Any

from pydantic import Field

from shared.model.campaigns import Campaign, Stored
from shared.model.ids import derived_base, ulid_time
from shared.model.run_states import RunState as RunState
from shared.model.words import Channel, KeyKind, MessageClass

SHARD_ROWS = 10_000
SHARD_BYTES = 16_000_000
"""A shard has at most so many rows, or ends with the row that reaches so many bytes."""
MAX_BLOCK = 1000
"""Rows that are packed together, at most: no envelope has others."""
MAX_SAMPLES = 5
"""Of rejected rows, by reason."""


class Purpose(StrEnum):
    """What a run is for: to send, or only to read the file and report."""

    SEND = "send"
    CHECK = "check"


OVER = frozenset({RunState.CHECKED, RunState.FINISHED, RunState.CANCELLED, RunState.FAILED, RunState.SKIPPED})


class PinnedVariant(Stored):
    """A variant as a run sends it, whatever is published meanwhile."""

    name: str
    template: str
    version: int
    weight: int
    providers: tuple[str, ...] | None = None
    """Of all accounts of its template, any of which may have to carry a message."""


class AudienceFile(Stored):
    """The very object that a run reads."""

    key: str
    """In the bucket."""
    version: str
    size: int
    """Bytes."""
    kind: KeyKind = KeyKind.LIVE
    """The kind of the key that uploaded it."""
    gzip: bool = False
    """Whether it is packed; known once it is planned, as the fields below."""
    recoded: bool = False
    """Whether it is anything but UTF-8 with line feeds."""
    header: tuple[str, ...] = ()
    """The names of a CSV's columns, in order."""
    delimiter: str = ","

    @property
    def rewritten(self) -> bool:
        """Whether its shards are objects of their own, in UTF-8."""
        return self.gzip or self.recoded


class Tally(Stored):
    """How many rows of a shard, or of a run, came to what: each is good, rejected, a duplicate or held out."""

    rows: int = 0
    """Read, without blank ones."""
    good: int = 0
    """What can be sent, hence messages."""
    rejected: dict[str, int] = Field(default_factory=dict)
    """By reason, those that lack a variable as `variable_missing.<name>`."""
    duplicates: int = 0
    """Of an address further up, that would be good or held out if it stood alone."""
    held_out: int = 0
    """In the holdout group."""
    suppressed: int = 0
    """Good, but on the suppression list when the file was checked: a message that ends as suppressed."""
    accepted: int = 0
    """Queued."""
    variants: dict[str, int] = Field(default_factory=dict)
    """Accepted by variant."""
    samples: dict[str, tuple[tuple[int, str], ...]] = Field(default_factory=dict)
    """By reason, some of the rejected rows: the number in the file (from 1, without the header) and what is wrong,
    without values."""

    @property
    def messages(self) -> int:
        """What is to be queued: of each address one, of the holdout group none."""
        return self.good

    @property
    def distinct(self) -> int:
        """Recipients that could be sent to, those in the holdout group too."""
        return self.good + self.held_out

    def plus(self, other: "Tally") -> "Tally":
        """The sum of two."""
        reasons = [*self.samples, *(name for name in other.samples if name not in self.samples)]
        return Tally(
            rows=self.rows + other.rows,
            good=self.good + other.good,
            rejected=dict(Counter(self.rejected) + Counter(other.rejected)),
            duplicates=self.duplicates + other.duplicates,
            held_out=self.held_out + other.held_out,
            suppressed=self.suppressed + other.suppressed,
            accepted=self.accepted + other.accepted,
            variants=dict(Counter(self.variants) + Counter(other.variants)),
            samples=_some({name: (*self.samples.get(name, ()), *other.samples.get(name, ())) for name in reasons}),
        )


def _some(samples: dict[str, tuple[tuple[int, str], ...]]) -> dict[str, tuple[tuple[int, str], ...]]:
    return {name: tuple(sorted(found))[:MAX_SAMPLES] for name, found in samples.items()}


class Fee(Stored):
    """What providers will charge, about."""

    account: str
    provider: str
    units: int
    """Messages, or parts of long text messages."""
    amount: float | None
    """None where nothing is known of the price; in `currency` (ISO 4217)."""
    currency: str | None


class Estimate(Stored):
    """What a run will cost and how long it will take, about."""

    messages: int
    fees: tuple[Fee, ...] = ()
    per_second: float | None = None
    """The same as messages a second."""
    seconds: float | None = None
    """At the accounts' rates and the throttle; None where neither is known."""


class Shard(Stored):
    """A part of a run's file, cut between two rows. Times: milliseconds since the epoch."""

    number: int
    key: str
    """The object that holds it."""
    version: str
    """Of that object."""
    start: int
    """`start` and `end`: its bytes there, without the end."""
    end: int
    first_row: int
    """The number of its first row in the file, from 1 without the header."""
    rows: int
    """How many it has, blank ones too."""
    checked: Tally | None = None
    """What the check found; None before. At first it knows the duplicates within the shard, and once shards are
    compared those of earlier shards too."""
    repeats: int = 0
    """How many of its rows are of the latter kind."""
    next_row: int = 0
    """The row (from 0, within the shard) with which sending goes on."""
    next_byte: int = 0
    """Where that is in the object."""
    sent: Tally = Tally()
    """What came of the rows before it."""
    closed: bool = False
    """All were read."""
    touched_at: int = 0
    """When somebody last worked on it."""
    due_at: int = 0
    """When its next rows may go, by the throttle."""
    picked: dict[str, int] = Field(default_factory=dict)
    """Of a run that follows another: what became of the rows of that one's shard, by `follow.reasons.Why`."""


class Run(Stored):
    """One firing of a campaign. What it sends was settled when it started: the campaign's settings, the templates'
    versions, the file's version.
    Times: milliseconds since the epoch."""

    id: str
    """`<campaign>.<ULID>`."""
    tenant: str
    fired_at: int
    """The time that its schedule meant, or when somebody started it; all its message ids begin with it."""
    purpose: Purpose = Purpose.SEND
    state: RunState
    state_at: int
    """`state_at` and `state_by`: since when the state is so, and the key that wanted it, or `schedule`, `stop rule` or
    `platform`."""
    state_by: str
    kind: KeyKind = KeyKind.LIVE
    """Of the key that started it."""
    started_by: str
    """That key's id, or `schedule`."""
    campaign: Campaign
    """Its settings."""
    channel: Channel
    message_class: MessageClass
    variants: tuple[PinnedVariant, ...] = ()
    file: AudienceFile | None = None
    created_at: int
    planned_at: int | None = None
    checked_at: int | None = None
    approved_at: int | None = None
    approved_by: str | None = None
    sending_at: int | None = None
    expanded_at: int | None = None
    paused_at: int | None = None
    paused_ms: int = 0
    over_at: int | None = None
    planned: int | None = None
    """Shards, once planned."""
    estimate: Estimate | None = None
    rows: int = 0
    """Those in the file."""
    envelope: int = 100
    """The most recipients of one."""
    block: int = 100
    """Rows that are packed together."""
    team: tuple[str, ...] | None = None
    """For team keys, the addresses allowed, as `channel:address`."""
    countries: tuple[str, ...] = ()
    """To whose numbers text messages may go."""
    time_zone: str = "UTC"
    """Of recipients of whom none is known."""
    chains: int = 16
    """How many shards are worked on side by side."""
    throttle: int | None = None
    throttled_at: int = 0
    """When the throttle was changed last."""
    stop_rule_done: bool = False
    tick: int = 0
    """Counts the driver's looks."""
    queued_at: int = 0
    """When it last queued this state's tasks."""
    marks: tuple[tuple[int, int], ...] = ()
    """Times, and how many messages had an outcome by then, the latest few."""
    tally: Tally = Tally()
    """What the check found, or what came of it when it is over."""
    outcomes: dict[str, int] = Field(default_factory=dict)
    """`outcomes`, `reasons` and `by_variant`: the report, when it is over."""
    reasons: dict[str, int] = Field(default_factory=dict)
    by_variant: dict[str, dict[str, int]] = Field(default_factory=dict)
    picked: dict[str, int] = Field(default_factory=dict)
    """Of one that follows another, once planned: what became of that one's rows, by `follow.reasons.Why`."""
    problem: str | None = None
    """Why it failed or paused by itself, or why nothing moves."""

    @property
    def over(self) -> bool:
        """Whether nothing more comes of it."""
        return self.state in OVER

    def moved(self, **changes: Any) -> "Run":
        """The run with some fields changed."""
        return self.model_copy(update=changes)

    def to(self, state: RunState, now: int, by: str, **changes: Any) -> "Run":
        """The run in another state, whose tasks are not queued yet. now: milliseconds since the epoch."""
        changes.setdefault("queued_at", 0)
        if state in OVER:
            changes.setdefault("over_at", now)
        return self.model_copy(update={"state": state, "state_at": now, "state_by": by, **changes})

    def shard_base(self, shard: int) -> str:
        """The base of a shard's message ids: the row's place in the shard is added to it."""
        return derived_base(self.fired_at, self.tenant, self.id, str(shard))


def run_id(tenant: str, campaign: str, fired_at: int) -> str:
    """The id of the run that a campaign has at a time: one, however often the schedule fires."""
    return f"{campaign}.{derived_base(fired_at, tenant, campaign, 'run')}"


def campaign_of(run: str) -> str:
    """The campaign of a run, by its id."""
    return run.partition(".")[0]


def fired_at_of(run: str) -> int:
    """When a run was fired, in milliseconds since the epoch. Raises: ValueError."""
    return ulid_time(run.partition(".")[2])
