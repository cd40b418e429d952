"""Campaigns: what goes to whom and when. One firing of a campaign is a run (`runs.py`)."""

from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, ConfigDict, Field, JsonValue, model_validator

from mepush.sheets.formats import FileFormat
from shared.model.base import Model
from shared.model.numbers import whole_number
from shared.model.policies import ZoneName
from shared.model.words import KeyKind

CAMPAIGN_ID = r"^[a-z0-9][a-z0-9-]{0,59}$"
RUN_ID = r"^[a-z0-9][a-z0-9-]{0,59}\.[0-7][0-9A-HJKMNP-TV-Z]{25}$"
MAX_VARIANTS = 5
MAX_WINDOW_MINUTES = 1440
"""The longest flexible window (EventBridge Scheduler API reference, FlexibleTimeWindow)."""
FASTEST_PER_MINUTE = 1_000_000

Column = Annotated[str, Field(min_length=1, max_length=200)]
_Number = BeforeValidator(whole_number)
Percent = Annotated[float, Field(gt=0, le=100), _Number]
Throttle = Annotated[int, Field(ge=1, le=FASTEST_PER_MINUTE), _Number]
"""Messages a minute."""


class Stored(Model):
    """Base of what is stored: unknown fields are left out, so that an older function reads what a newer one wrote."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class CampaignModel(Model):
    """Base of what people set: unknown fields are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Columns(CampaignModel):
    """Which columns (or fields) of a file mean what."""

    to: Column = "to"
    """The address."""
    time_zone: Column | None = None
    """An IANA name."""
    reference: Column | None = None
    """The caller's own word for the recipient."""
    variables: dict[Annotated[str, Field(min_length=1, max_length=100)], Column] = Field(
        default_factory=dict, max_length=100
    )
    """The template's variable -> the column that holds it, where they are not called alike. Columns that mean nothing
    are left out."""


class Who(StrEnum):
    """Those of whose message of another run something is known, or not (docs/campaigns.md, "Follow-up runs")."""

    FAILED = "failed"
    UNDELIVERED = "undelivered"
    NO_RECEIPT = "no_receipt"
    NOT_OPENED = "not_opened"
    NOT_CLICKED = "not_clicked"


SILENT = frozenset({Who.NO_RECEIPT, Who.NOT_OPENED, Who.NOT_CLICKED})
"""Of whom something has not been said, and may be said yet."""
PATIENCE_HOURS = 24
"""So long after a message was sent it is waited for what may be said yet, unless said otherwise."""


class Follows(CampaignModel):
    """The recipients are some of those of another run: by its id, or the latest one of a campaign that is over."""

    run: Annotated[str, Field(pattern=RUN_ID)] | None = None
    """`run` or `campaign`, not both."""
    campaign: Annotated[str, Field(pattern=CAMPAIGN_ID)] | None = None
    who: Who
    after_hours: Annotated[int, Field(ge=0, le=1440), _Number] | None = None
    """Of those who have not opened, not clicked or of whom nothing is said: only if their message was sent so many
    hours ago; 24 where it is absent."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.run is None) == (self.campaign is None):
            raise ValueError("give either `run` or `campaign`")
        if self.after_hours is not None and self.who not in SILENT:
            raise ValueError(f"`after_hours` means nothing for `{self.who}`; leave it out")
        return self

    @property
    def patience_ms(self) -> int:
        """How long ago a message must have been sent, in milliseconds."""
        if self.who not in SILENT:
            return 0
        return 3_600_000 * (PATIENCE_HOURS if self.after_hours is None else self.after_hours)


class Audience(CampaignModel):
    """The recipients: those in a file, or some of those of another run."""

    file: str | None = Field(default=None, min_length=1, max_length=500, pattern=r"^[A-Za-z0-9][A-Za-z0-9!_.*'()/ -]*$")
    """In the assets bucket, named below `audiences/<tenant>/`, and read anew at every run. It or `follows`."""
    follows: Follows | None = None
    format: FileFormat = FileFormat.CSV
    """Of the file; what follows another run has that of its file."""
    columns: Columns = Columns()
    """What follows another run has those of its file, unless other ones are named: to write to another address of the
    same people, say."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.file is None) == (self.follows is None):
            raise ValueError("give either `file` or `follows`")
        return self


class Variant(CampaignModel):
    """One of the templates among which recipients are split by weight; which one somebody gets never changes."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,19}$")
    template: str = Field(min_length=1, max_length=60)
    version: Annotated[int, Field(ge=1, le=999_999), _Number] | None = None
    """The template's; None for the one that is published when a run starts."""
    weight: Annotated[int, Field(ge=1, le=1000), _Number] = 1


class StopRule(CampaignModel):
    """A run pauses by itself when a share of its messages is larger than allowed. Null for a share: it does not count.

    What providers report counts by itself, by what they bear: Amazon SES puts an account under review from 5 % hard
    bounces and 0.1 % complaints on (SES Developer Guide, "Sending review process FAQs"), Gmail wants less than 0.3 %
    reported as spam (Gmail, "Email sender guidelines").
    """

    after: Annotated[int, Field(ge=1, le=1_000_000), _Number] = 1000
    """Not before so many messages have an outcome; of what providers report, not before so many were sent."""
    failures_percent: Percent | None = None
    """Of those with an outcome: that failed, were dead-lettered or whose outcome is unknown."""
    complaints_percent: Percent | None = 0.3
    """Of those sent: about which somebody complained."""
    undelivered_percent: Percent | None = 5
    """Of those sent: that came back for good, as from an address that does not exist."""


class Overlap(StrEnum):
    """What becomes of a firing while the run before is not over: it is left out, or waits."""

    SKIP = "skip"
    QUEUE = "queue"


class Schedule(CampaignModel):
    """When runs start."""

    expression: str = Field(min_length=1, max_length=256)
    """`at(2026-12-01T09:00:00)`, `rate(1 day)` or `cron(0 9 * * ? *)`, as EventBridge Scheduler has them."""
    time_zone: ZoneName | None = None
    """In which it is read; None for the tenant's."""
    local: bool = False
    """The time is that of each recipient's own clock, in `time_zone` for those of whom none is known; not for a rate.
    """
    starts_at: int | None = None
    """`starts_at` and `ends_at`: milliseconds since the epoch."""
    ends_at: int | None = None
    window_minutes: Annotated[int, Field(ge=0, le=MAX_WINDOW_MINUTES), _Number] = 0
    """A run starts within so many minutes after its time."""
    overlap: Overlap = Overlap.SKIP
    """See there."""


class Duplicates(StrEnum):
    """What becomes of an address that stands more than once in a file: the first row counts, or each is sent."""

    FIRST = "first"
    EACH = "each"


class LimitAsked(Stored):
    """That somebody wants fewer runs to wait for an approval, which takes two."""

    value: int | None
    """Of `approve_above`."""
    by: str
    """The key."""
    at: int
    """Milliseconds since the epoch."""


class Campaign(Stored):
    """A campaign. Times: milliseconds since the epoch."""

    id: str = Field(pattern=CAMPAIGN_ID)
    tenant: str
    name: str = Field(min_length=1, max_length=100)
    variants: tuple[Variant, ...] = Field(min_length=1, max_length=MAX_VARIANTS)
    """One or more; all of one channel and class."""
    audience: Audience
    variables: dict[str, JsonValue] = Field(default_factory=dict)
    """What all recipients have in common."""
    schedule: Schedule | None = None
    throttle: Throttle | None = None
    """Messages a minute, at most."""
    stop_rule: StopRule | None = None
    holdout_percent: float = Field(default=0, ge=0, le=50)
    """So many recipients get nothing, always the same ones, to compare with."""
    duplicates: Duplicates = Duplicates.FIRST
    approve_above: int | None = None
    """A run with more messages waits until somebody else approves it."""
    ttl: int | None = None
    """Seconds in which a message must be sent once it is due."""
    archived: bool = False
    """It starts no runs any more."""
    created_at: int = 0
    updated_at: int = 0
    created_by: str = ""
    """`created_by` and `changed_by`: the keys that made it and that changed it last."""
    changed_by: str = ""
    kind: KeyKind = KeyKind.LIVE
    """Of the key that made it; a live key that changes it makes it its own."""
    limit_asked: LimitAsked | None = None
    """A change of `approve_above` that waits for a second person."""

    def changed(self, **changes: Any) -> "Campaign":
        """The campaign with some fields changed, checked anew. Raises: pydantic.ValidationError."""
        return Campaign.model_validate({**dict(self), **changes})
