"""What callers send and read about messages."""

from datetime import datetime
from typing import Annotated, Literal, NotRequired

from pydantic import ConfigDict, Field, JsonValue, model_validator, with_config
from typing_extensions import TypedDict

from shared.api.fields import Limit, Moment, Ttl, VersionNumber
from shared.model.attachments import CID
from shared.model.base import Model
from shared.model.policies import ZoneName
from shared.model.reasons import Blame
from shared.model.words import Channel, KeyKind, MessageClass, Stage
from shared.policy.attachments import MAX_FILES

MAX_RECIPIENTS = 1000
Variables = dict[str, JsonValue]
_STRICT = ConfigDict(extra="forbid")


Address = Annotated[str, Field(min_length=1, max_length=320)]


@with_config(_STRICT)
class FallbackIn(TypedDict):
    """A recipient's addresses on the channels to which the template falls back; those of others are not used."""

    email: NotRequired[Address]
    sms: NotRequired[Address]
    wecom: NotRequired[Address]


@with_config(_STRICT)
class RecipientIn(TypedDict):
    """One recipient of a request. A TypedDict: a thousand of these are read per request."""

    to: Address
    variables: NotRequired[Variables]
    reference: NotRequired[Annotated[str, Field(max_length=100)]]
    time_zone: NotRequired[ZoneName]
    """An IANA name, for quiet hours; the tenant's where it is absent."""
    fallback: NotRequired[FallbackIn]
    """Where it is sent instead, if the template falls back to another channel; without an address there it does not."""


@with_config(_STRICT)
class AttachmentIn(TypedDict):
    """A file that was uploaded."""

    id: Annotated[str, Field(min_length=1, max_length=100)]
    cid: NotRequired[Annotated[str, Field(pattern=CID)]]
    """Takes the place of the image that the template's html shows by it; without it the file is attached beside the
    text."""


class SendRequest(Model):
    """Send one template to one address (`to`) or up to 1,000 (`recipients`)."""

    model_config = _STRICT

    template: str = Field(min_length=1, max_length=60)
    to: str | None = Field(default=None, min_length=1, max_length=320)
    recipients: list[RecipientIn] | None = Field(default=None, min_length=1, max_length=MAX_RECIPIENTS)
    variables: Variables = Field(default_factory=dict)
    """Shared by all recipients; a recipient's own come first."""
    version: VersionNumber | None = None
    """Pin a version that was published."""
    send_at: Moment | None = None
    """Not before this time, at most 365 days ahead; a time in the past means now."""
    ttl: Ttl | None = None
    """Seconds after `send_at` (or now) in which it must have been sent, else it ends as `expired`; the default is the
    template's, and 300 for codes."""
    reference: str | None = Field(default=None, max_length=100)
    """Your own word for the request, shown in the trace."""
    once_per_reference: bool = False
    """A repeat of this request, with the same template and `reference`, gets the same answer and sends nothing again
    for 24 hours, as under an Idempotency-Key; for callers that cannot set the header."""
    attachments: list[AttachmentIn] = Field(default_factory=list, max_length=MAX_FILES)
    """Files that every recipient's email gets."""

    @model_validator(mode="after")
    def _one_form(self) -> "SendRequest":
        if (self.to is None) == (self.recipients is None):
            raise ValueError("give either to or recipients")
        if self.once_per_reference and not self.reference:
            raise ValueError("once_per_reference needs a reference: give one")
        return self


class MessageOut(TypedDict):
    """The result for one recipient: `rejected` and `not_queued` say why and what to do."""

    index: int
    message_id: str
    status: Literal["accepted", "rejected", "not_queued"]
    field: NotRequired[str]
    reason: NotRequired[str]
    detail: NotRequired[str]


class SendResponse(Model):
    """What became of a request, one result per recipient, in the request's order."""

    request_id: str
    accepted: int
    rejected: int
    not_queued: int
    messages: list[MessageOut]


class PassedOver(Model):
    """An account by which a message was to go, and did not."""

    account: str
    reason: str
    """`avoided` if it was not even asked."""
    code: str


class TimelineEvent(Model):
    """One event of a message, in words too."""

    stage: Stage
    at: datetime
    text: str
    account: str | None = None
    provider: str | None = None
    provider_message_id: str | None = None
    reason: str | None = None
    reason_zh: str | None = None
    """What it means, in Chinese."""
    blame: Blame | None = None
    """Whose fault the reason is."""
    code: str | None = None
    until: datetime | None = None
    duration_ms: int | None = None
    passed_over: list[PassedOver] = Field(default_factory=list)
    """Accounts that could not send it, before the one that is named."""


class FallbackMessage(Model):
    """The message that took the place of another."""

    message_id: str
    channel: Channel
    template: str


class MessageView(Model):
    """A message: where it stands, why, what to do, and how it got there."""

    message_id: str
    request_id: str
    status: Stage
    final: bool
    explanation: str
    action: str
    channel: Channel
    message_class: MessageClass = Field(serialization_alias="class")
    template: str
    version: int
    kind: KeyKind
    run: str | None = None
    """`run` and `variant`: the campaign's run that it is of, and which of its templates, where there are several."""
    variant: str | None = None
    to: str | None = Field(
        description="The address, masked; of a campaign's message once somebody has begun to work on it."
    )
    reference: str | None = None
    accepted_at: datetime
    falls_back_to: FallbackMessage | None = None
    """The message that took its place."""
    fallback_of: str | None = None
    """The id of the message whose place it took."""
    timeline: list[TimelineEvent]


class MessageQuery(Model):
    """Find the messages to one recipient. Without `channel`, every channel that the address fits is searched."""

    model_config = _STRICT

    to: str = Field(min_length=1, max_length=320)
    channel: Channel | None = None
    after: Moment | None = None
    before: Moment | None = None
    limit: Limit = 20
    cursor: str | None = Field(default=None, max_length=500)


class MessagePage(Model):
    """Messages, newest first."""

    messages: list[MessageView]
    cursor: str | None = None
    """Give it back for the next page; absent on the last."""


class RequestView(Model):
    """A request and its messages, in order."""

    request_id: str
    messages: list[MessageView]
    counts: dict[str, int]
    """Of this page, by status."""
    cursor: str | None = None


class BalanceHour(Model):
    """One cohort hour: accepted (and redriven) messages, their outcomes by stage, and what is still in flight."""

    hour: datetime
    accepted: int
    redriven: int
    outcomes: dict[str, int]
    in_flight: int


class Balance(Model):
    """accepted + redriven = outcomes + in_flight, by hour and in sum. A negative `in_flight` is an error of ours."""

    accepted: int
    redriven: int
    rejected: int
    outcomes: dict[str, int]
    in_flight: int
    hours: list[BalanceHour]


class StatsHour(Model):
    """Counts by stage of the messages accepted in one hour."""

    hour: datetime
    stages: dict[str, int]


class TemplateStats(Model):
    """Counts by stage for a template."""

    template: str
    stages: dict[str, int]
    hours: list[StatsHour]


class RangeQuery(Model):
    """A range of cohort hours; by default the last 24."""

    model_config = _STRICT

    after: Moment | None = None
    before: Moment | None = None


class PageQuery(Model):
    """A page of a listing."""

    model_config = _STRICT

    limit: int = Field(default=50, ge=1, le=100)
    cursor: str | None = Field(default=None, max_length=500)
