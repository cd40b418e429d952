"""What callers send and read about webhooks and their deliveries."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, StrictBool

from shared.api.fields import Moment, moment, moment_or_none
from shared.api.paging import PageQuery
from shared.model.base import Model
from shared.model.numbers import whole_number
from shared.model.webhooks import TYPES, DeliveryState, KeptDelivery, Stopped, Webhook, WebhookState
from shared.model.words import KeyKind

_STRICT = ConfigDict(extra="forbid")
DAY_S = 86_400


def _known(types: Sequence[str]) -> list[str]:
    unknown = [each for each in types if each not in TYPES]
    if unknown:
        raise ValueError(f"there is no type {unknown[0][:60]!r}; there are {', '.join(TYPES)}")
    return list(dict.fromkeys(types))


EventType = Annotated[str, Field(json_schema_extra={"enum": list(TYPES)})]
Types = Annotated[list[EventType], Field(min_length=1, max_length=100), AfterValidator(_known)]
Kinds = Annotated[list[KeyKind], Field(min_length=1, max_length=3)]
Url = Annotated[str, Field(min_length=1, max_length=2_000)]
Description = Annotated[str, Field(max_length=200)]


class WebhookCreate(Model):
    """An endpoint to send events to: a URL, or with `bus` the deployment's own EventBridge bus."""

    model_config = _STRICT

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$", description="Lower-case letters, digits and hyphens.")
    url: Url | None = None
    """By https, on the internet."""
    bus: StrictBool = False
    description: Description = ""
    types: Types | None = None
    """Without them, all but what happens on the way: `message.accepted`, `message.deferred`, `message.retrying`,
    `message.redriven` and `message.delayed`."""
    kinds: Kinds | None = None
    """Of the keys by which messages are sent that it hears of; without them `live` and `team`."""


class WebhookUpdate(Model):
    """What to change; what is absent stays."""

    model_config = _STRICT

    url: Url | None = None
    description: Description | None = None
    types: Types | None = None
    kinds: Kinds | None = None
    state: Literal["active", "paused"] | None = None
    """What came while it was not active is kept for 14 days, and can be replayed."""


class WebhookView(Model):
    """An endpoint. Its secret is shown when it is made or replaced, and never again."""

    id: str
    url: str | None
    """None for the bus."""
    bus: bool
    description: str
    types: list[str]
    kinds: list[KeyKind]
    state: WebhookState
    stopped: Stopped | None
    """Why it is not active."""
    stopped_at: datetime | None
    old_secret_ends_at: datetime | None
    """Until then events are signed with the secret before, too."""
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, webhook: Webhook) -> Self:
        """An endpoint as callers see it."""
        ends = [each.ends_at for each in webhook.secrets if each.ends_at is not None]
        return cls(
            id=webhook.id,
            url=webhook.url,
            bus=webhook.url is None,
            description=webhook.description,
            types=webhook.types,
            kinds=webhook.kinds,
            state=webhook.state,
            stopped=webhook.stopped,
            stopped_at=moment_or_none(webhook.stopped_at),
            old_secret_ends_at=moment_or_none(max(ends, default=None)),
            created_at=moment(webhook.created_at),
            updated_at=moment(webhook.updated_at),
        )


class WebhookDetail(WebhookView):
    """An endpoint, and how it is."""

    failing_since: datetime | None
    """Since when nothing has come through; after five days it is paused."""
    failures: int
    """So many tries have failed since then."""
    last_success: datetime | None
    """To the minute."""


class WebhookSecretShown(WebhookView):
    """An endpoint with its secret, which is shown this once."""

    secret: str | None
    """None for the bus."""


class WebhookList(Model):
    """A page of endpoints by id."""

    webhooks: list[WebhookView]
    cursor: str | None = None


class SecretRotation(Model):
    """Replace an endpoint's secret."""

    model_config = _STRICT

    overlap_seconds: Annotated[int, Field(ge=0, le=7 * DAY_S), BeforeValidator(whole_number)] = DAY_S
    """For so long events are signed with both, so that the receiver can change over."""


class WebhookTested(Model):
    """A test event is on its way."""

    delivery: str
    """Its `webhook-id`."""


class DeliveryQuery(PageQuery):
    """Which deliveries to list, the newest first."""

    state: DeliveryState | None = None
    after: Moment | None = None
    before: Moment | None = None


class AttemptView(Model):
    """A try to deliver. Of what the endpoint said nothing is kept but the status."""

    at: datetime
    ms: int
    status: int | None
    error: str | None
    """Without an answer: `timed_out`, `not_connected`, `broken_off`, `certificate`, `forbidden_address`, `no_secret` or
    `not_put`."""


class DeliveryView(Model):
    """A delivery that was tried or held."""

    id: str
    """`webhook-id`."""
    type: str
    state: DeliveryState
    at: datetime
    """When the event came."""
    tries: int
    """Since it was sent, or replayed last."""
    next_at: datetime | None
    """When it is tried again."""
    attempts: list[AttemptView]
    """The latest 20."""
    body: str
    """What was sent."""

    @classmethod
    def of(cls, kept: KeptDelivery) -> Self:
        """A delivery as callers see it."""
        delivery = kept.delivery
        return cls(
            id=delivery.id,
            type=delivery.type,
            state=kept.state,
            at=moment(delivery.at),
            tries=delivery.tries,
            next_at=moment_or_none(delivery.due_at),
            attempts=[
                AttemptView(at=moment(each.at), ms=each.ms, status=each.status, error=each.error)
                for each in delivery.attempts
            ],
            body=delivery.body,
        )


class DeliveryPage(Model):
    """Deliveries, the newest first. One with a cursor may hold few, or none, when what is searched for is rare."""

    deliveries: list[DeliveryView]
    cursor: str | None = None


class Replay(Model):
    """Send events again that came within a time, under their ids: at most 1,000 per call, the newest first."""

    model_config = _STRICT

    after: Moment
    before: Moment | None = None
    """Without it, up to now."""
    only_failed: StrictBool = True
    """Those that were given up or held; false: also those that were delivered."""
    limit: Annotated[int, Field(ge=1, le=1_000), BeforeValidator(whole_number)] = 1_000
    cursor: str | None = Field(default=None, max_length=500)


class Replayed(Model):
    """What is sent again. Call again with the cursor until there is none."""

    queued: int
    cursor: str | None = None
