"""What callers ask and read about messages that were accepted: their timelines, and how many there are."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, StrictBool, model_validator

from shared.api.fields import Limit, Moment
from shared.api.paging import PageQuery
from shared.model.base import Model
from shared.model.reasons import Blame
from shared.model.words import Channel, KeyKind, MessageClass, Stage

_STRICT = ConfigDict(extra="forbid")


class PassedOver(Model):
    """An account by which a message was to go, and did not."""

    account: str
    reason: str
    """`avoided` if it was not even asked."""
    code: str


class CapFigures(Model):
    """How many messages of a class a recipient gets on a channel."""

    count: int
    minutes: int | None
    """In so many minutes; on a calendar day without."""


class TimelineEvent(Model):
    """One event of a message, in words too."""

    stage: Stage
    at: datetime
    text: str
    text_zh: str
    """The same in Chinese."""
    attempt: int | None = None
    """Which try it was, of those of the message's class."""
    attempts: int | None = None
    """How many tries the class has."""
    account: str | None = None
    provider: str | None = None
    provider_message_id: str | None = None
    reason: str | None = None
    reason_zh: str | None = None
    """What it means, in Chinese."""
    action: str | None = None
    """What to do about the reason."""
    action_zh: str | None = None
    blame: Blame | None = None
    """Whose fault the reason is."""
    code: str | None = None
    transient: bool = False
    """Of an undelivered message: for now; the address may be good all the same."""
    by_machine: bool = False
    """Of an opening or a click: no person did it, as far as can be told, and it is not counted as a person's."""
    machine_sign: str | None = None
    """By what the machine is known: `scanner`, `prefetch`, `no_name`, `too_soon`, `provider`; or `burst`: more links
    were followed at that moment than a person follows, which may be known only later."""
    link: int | None = None
    """Of a click, which link of the template it was, as in the template's figures; 0 for one that is none of them."""
    until: datetime | None = None
    duration_ms: int | None = None
    passed_over: list[PassedOver] = Field(default_factory=list)
    """Accounts that could not send it, before the one that is named."""
    share: int | None = None
    """Which part of all messages the account got when it was chosen among several, in percent."""
    share_configured: int | None = None
    """The same by the accounts' weights alone, without regard to their health."""
    provider_asked_s: int | None = None
    """How many seconds the provider asked to wait before the next try."""
    because_of: str | None = None
    """The id of the message for which this one was stopped: its duplicate, or the one whose receipt put the recipient
    on the suppression list."""
    listed_at: datetime | None = None
    """Since when the recipient is on the suppression list."""
    cap: CapFigures | None = None
    """The cap that stopped it."""
    clear_at: datetime | None = None
    """From when on what stopped it would let it pass."""
    arrived_at: datetime | None = None
    """When the platform learnt of it, of what a provider reported; `at` is the provider's time."""


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
    explanation_zh: str
    action: str
    action_zh: str
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
    address: str | None = None
    """The whole address, where `unmask` asked for it."""
    address_note: str | None = None
    """Why there is none, though it was asked for."""
    reference: str | None = None
    accepted_at: datetime
    falls_back_to: FallbackMessage | None = None
    """The message that took its place."""
    fallback_of: str | None = None
    """The id of the message whose place it took."""
    timeline: list[TimelineEvent]


class MessageQuery(Model):
    """Find the messages to one recipient, to several addresses of one person, or those with one reference. Without
    `channel`, every channel that an address fits is searched."""

    model_config = _STRICT

    to: str | None = Field(default=None, min_length=1, max_length=320)
    addresses: list[Annotated[str, Field(min_length=1, max_length=320)]] | None = Field(
        default=None, min_length=1, max_length=10
    )
    """Several addresses of one person, on whatever channels, instead of `to`."""
    reference: str | None = Field(default=None, min_length=1, max_length=100)
    """Of messages that were sent by `POST /v1/messages`, instead of an address."""
    channel: Channel | None = None
    """Of the address."""
    after: Moment | None = None
    before: Moment | None = None
    unmask: StrictBool = False
    """Show whole addresses. The key needs the scope `unmask`, and the look is recorded in the audit log."""
    limit: Limit = 20
    cursor: str | None = Field(default=None, max_length=500)

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = [each for each in (self.to, self.addresses, self.reference) if each is not None]
        if len(given) != 1:
            raise ValueError("give one of `to`, `addresses` and `reference`")
        if self.channel is not None and self.to is None:
            raise ValueError("`channel` belongs to `to`; leave it out")
        return self


Unmask = Annotated[
    Literal["true", "false"],
    Field(
        description="Show whole addresses. The key needs the scope `unmask`, and the look is recorded in the audit log."
    ),
]
"""As a query has it."""


class MessageLook(Model):
    """How to show a message."""

    model_config = _STRICT

    unmask: Unmask = "false"


class RequestLook(PageQuery):
    """A page of a request's messages."""

    unmask: Unmask = "false"


class MessagePage(Model):
    """Messages, newest first."""

    messages: list[MessageView]
    requests: list[str] = Field(default_factory=list)
    """The ids of up to 20 requests that have the reference as a whole, newest first; on the first page."""
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


class RangeQuery(Model):
    """A range of cohort hours; by default the last 24."""

    model_config = _STRICT

    after: Moment | None = None
    before: Moment | None = None
