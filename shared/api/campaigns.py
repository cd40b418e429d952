"""What callers send and read about audience files, campaigns and their runs."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field, JsonValue

from mepush.sheets.formats import FileFormat
from shared.api.fields import Moment, Ttl
from shared.api.messages import Address
from shared.model.base import Model
from shared.model.campaigns import (
    CAMPAIGN_ID,
    MAX_VARIANTS,
    MAX_WINDOW_MINUTES,
    Audience,
    Duplicates,
    Overlap,
    StopRule,
    Throttle,
    Variant,
    Who,
)
from shared.model.numbers import whole_number
from shared.model.policies import ZoneName
from shared.model.runs import Estimate, Purpose, RunState
from shared.model.words import Channel, KeyKind, MessageClass

MAX_TEST_RECIPIENTS = 20
_STRICT = ConfigDict(extra="forbid")
Holdout = Annotated[float, Field(ge=0, le=50), BeforeValidator(whole_number)]
ApproveAbove = Annotated[int, Field(ge=0, le=1_000_000_000), BeforeValidator(whole_number)]
Window = Annotated[int, Field(ge=0, le=MAX_WINDOW_MINUTES), BeforeValidator(whole_number)]
Variables = dict[str, JsonValue]


class AudienceUploadCreate(Model):
    """A file to upload."""

    model_config = _STRICT

    format: FileFormat = FileFormat.CSV
    """How it is written; gzip is noticed by itself."""


class AudienceUpload(Model):
    """A form for one file of up to 5 GB."""

    file: str
    """What a campaign's audience names it by."""
    url: str
    fields: dict[str, str]
    """Send them before the file itself, as multipart/form-data to `url`."""
    expires_at: datetime


class ScheduleIn(Model):
    """When runs start."""

    model_config = _STRICT

    expression: str = Field(min_length=1, max_length=256)
    """`at(2026-12-01T09:00:00)`, `rate(1 day)` or `cron(0 9 * * ? *)`, as EventBridge Scheduler has them."""
    time_zone: ZoneName | None = None
    """In which it is read; the tenant's at this moment where it is absent."""
    local: Annotated[bool, Field(strict=True)] = False
    """The time is that of each recipient's own clock, in `time_zone` for those of whom none is known; the run then
    starts where it is that time first on earth (UTC+14); not for a rate."""
    starts_at: Moment | None = None
    """`starts_at` and `ends_at`: no run starts before the one and after the other; not for an `at`. A rate counts from
    `starts_at`; without it, its first run starts one interval from now."""
    ends_at: Moment | None = None
    window_minutes: Window = 0
    """A run starts within so many minutes after its time."""
    overlap: Overlap = Overlap.SKIP
    """What becomes of a firing while the run before is not over."""


class ScheduleView(Model):
    """When runs start."""

    expression: str
    time_zone: str
    local: bool
    starts_at: datetime | None
    ends_at: datetime | None
    window_minutes: int
    overlap: Overlap
    next: list[datetime]
    """The next five firings, of a campaign that is not archived."""


class CampaignCreate(Model):
    """A campaign."""

    model_config = _STRICT

    id: str = Field(pattern=CAMPAIGN_ID)
    name: str = Field(min_length=1, max_length=100)
    variants: list[Variant] = Field(min_length=1, max_length=MAX_VARIANTS)
    """The templates among which recipients are split by weight, all of one channel and class; most often one."""
    audience: Audience
    """The file of recipients."""
    variables: Variables = Field(default_factory=dict)
    """What all of them have in common."""
    schedule: ScheduleIn | None = None
    """When runs start; without one, when somebody starts one. What it starts reaches everybody: only a live key sets
    one."""
    throttle: Throttle | None = None
    """Messages a minute, at most."""
    stop_rule: StopRule | None = None
    """When a run pauses by itself."""
    holdout_percent: Holdout = 0
    """So many recipients get nothing, always the same ones, to compare with."""
    duplicates: Duplicates = Duplicates.FIRST
    """What becomes of an address that stands more than once in the file."""
    approve_above: ApproveAbove | None = None
    """A run with more messages waits until another person approves it."""
    ttl: Ttl | None = None
    """Seconds in which a message must be sent once it is due; the default is the template's."""


class CampaignUpdate(Model):
    """What to change; what is absent stays, and null takes away what may be absent. Runs that have started keep what
    they started with."""

    model_config = _STRICT

    name: str | None = Field(default=None, min_length=1, max_length=100)
    variants: list[Variant] | None = Field(default=None, min_length=1, max_length=MAX_VARIANTS)
    audience: Audience | None = None
    variables: Variables | None = None
    schedule: ScheduleIn | None = None
    throttle: Throttle | None = None
    stop_rule: StopRule | None = None
    holdout_percent: Holdout | None = None
    duplicates: Duplicates | None = None
    approve_above: ApproveAbove | None = None
    ttl: Ttl | None = None


class LimitView(Model):
    """That somebody wants a higher `approve_above`, or none (null). The limit changes once another person sends the
    same within a day."""

    value: int | None
    by: str
    """The key that asked."""
    at: datetime


class CampaignView(Model):
    """A campaign."""

    id: str
    name: str
    kind: KeyKind
    """Of the key that made it; a live key that changes it makes it its own."""
    channel: Channel
    message_class: MessageClass = Field(serialization_alias="class")
    variants: list[Variant]
    audience: Audience
    variables: Variables
    schedule: ScheduleView | None
    throttle: int | None
    stop_rule: StopRule | None
    holdout_percent: float
    duplicates: Duplicates
    approve_above: int | None
    approve_above_asked: LimitView | None
    ttl: int | None
    archived: bool
    active_run: str | None
    """The run that is not over, if there is one."""
    created_at: datetime
    updated_at: datetime


class CampaignPage(Model):
    """Campaigns by id."""

    campaigns: list[CampaignView]
    cursor: str | None = None


class RunStart(Model):
    """Start a run now, of the kind of the key: a test key's reaches nobody."""

    model_config = _STRICT

    throttle: Throttle | None = None
    """Messages a minute for this run, over the campaign's."""


class RunUpdate(Model):
    """Change a run while it goes on."""

    model_config = _STRICT

    throttle: Throttle | None
    """Messages a minute; null for none."""


class TestSend(Model):
    """Send the campaign's message to some addresses first, one per variant."""

    model_config = _STRICT

    to: list[Address] = Field(min_length=1, max_length=MAX_TEST_RECIPIENTS)
    variables: Variables = Field(default_factory=dict)
    """They come before those of the file's first good row, as these come before what the campaign's recipients have in
    common."""


class TestMessage(Model):
    """A test message."""

    to: str
    variant: str
    """Whose template it is."""
    message_id: str | None
    """None if it was rejected, and why."""
    problem: str | None


class TestSent(Model):
    """What became of a test: one message per address and variant."""

    messages: list[TestMessage]


class SampleView(Model):
    """A rejected row."""

    row: int
    """As a spreadsheet numbers it, where a CSV's header is row 1; of line-delimited JSON it is the line's number, from
    1."""
    problem: str


class RejectedView(Model):
    """Rows that cannot be sent for one reason."""

    reason: str
    variable: str | None
    """The one that is missing, if that is it."""
    rows: int
    explanation: str
    samples: list[SampleView]


class CheckReport(Model):
    """What reading the whole file found, before anything is sent."""

    rows: int
    distinct: int
    """Recipients."""
    duplicates: int
    """Rows of an address that stands further up."""
    rejected: list[RejectedView]
    suppressed: int
    """On the suppression list, will not be sent to."""
    held_out: int
    """In the holdout group."""
    messages: int
    """What will be queued."""
    estimate: Estimate | None


class Progress(Model):
    """How far a run is, counted exactly."""

    planned: int | None
    """Messages to queue, once the file is checked."""
    rows_read: int
    accepted: int
    """Queued."""
    outcomes: dict[str, int]
    """Of the accepted, by stage."""
    in_flight: int
    """Accepted and without an outcome."""
    per_minute: float | None
    """Outcomes, lately."""
    seconds_left: float | None
    """At that rate."""


class VariantResult(Model):
    """A variant in numbers: outcomes and what recipients did, by stage."""

    name: str
    template: str
    version: int
    weight: int
    accepted: int
    stages: dict[str, int]


class ReasonCount(Model):
    """How often messages ended so, and what to do about it."""

    stage: str
    reason: str
    messages: int
    explanation: str
    action: str


class FollowCount(Model):
    """Rows of the run that is followed, that are not written to again for one reason."""

    why: str
    rows: int
    explanation: str


class FollowView(Model):
    """The run that another follows, and who of its recipients are written to again."""

    run: str
    who: Who
    after_hours: int | None
    rows: int | None
    """Of the run that is followed, without blank ones; None before the run is planned."""
    picked: int | None
    """Of those, how many are written to again, as far as they can be sent to."""
    others: list[FollowCount]
    warning: str | None
    """What makes the numbers doubtful."""


class RunView(Model):
    """A run."""

    id: str
    campaign: str
    name: str
    purpose: Purpose
    state: RunState
    problem: str | None
    """Why it failed or paused by itself."""
    kind: KeyKind
    started_by: str
    fired_at: datetime
    approved_by: str | None
    started_at: datetime | None
    over_at: datetime | None
    throttle: int | None
    file: str | None
    """None if the recipients follow from another run."""
    follows: FollowView | None = None
    """From which, if they do."""
    check: CheckReport | None
    """Once the file is read."""
    progress: Progress
    variants: list[VariantResult]
    receipts: dict[str, int]
    """What was said of messages after they were sent, by stage: of how many of them, as counted so far.
    `undelivered.transient` counts how often messages came back for a cause that may pass."""
    reasons: list[ReasonCount]
    """Why messages were not sent, or came back."""
    seconds: float | None
    """From the first message to the end, without pauses."""
    fees: list[dict[str, Any]]
    """What providers charge for what was sent."""


class RunSummary(Model):
    """A run in a list."""

    id: str
    purpose: Purpose
    state: RunState
    fired_at: datetime
    over_at: datetime | None
    messages: int | None


class RunPage(Model):
    """A campaign's runs, the newest first."""

    runs: list[RunSummary]
    cursor: str | None = None


class RejectsFile(Model):
    """A part of the rejects file: a CSV with the columns `row`, `reason`, `detail`, and the row's own, good until
    `expires_at`."""

    first_row: int
    """`first_row` and `rows`: which rows of the audience file it looked at. Rows are numbered as a spreadsheet does,
    where a CSV's header is row 1; of line-delimited JSON it is the line's number, from 1."""
    rows: int
    rejected: int
    url: str
    expires_at: datetime


class RejectsPage(Model):
    """The parts of the rejects file, in the file's order."""

    files: list[RejectsFile]
    cursor: str | None = None
