"""Webhooks: endpoints to which a tenant has events sent, and the deliveries of events to them.

By the Standard Webhooks specification 1.0.0: `webhook-id` names a delivery and stays the same over retries, the body is
`{type, timestamp, data}`.
"""

from collections.abc import Sequence
from enum import StrEnum
from hashlib import blake2b

from msgspec import Struct, field
from pydantic import ConfigDict, Field

from shared.model import wire
from shared.model.base import Model
from shared.model.words import KeyKind, Stage

MAX_ENDPOINTS = 10
"""Of a tenant: each has its own delivery of every event."""
MAX_ATTEMPTS = 20
"""That a delivery keeps, the latest ones."""
DISABLED = "endpoint.disabled"
TEST = "endpoint.test"
OPTIONAL = frozenset({Stage.ACCEPTED, Stage.DEFERRED, Stage.RETRYING, Stage.REDRIVEN, Stage.DELAYED})
"""What happens on the way: told to endpoints that ask for it by name."""


def message_type(stage: str) -> str:
    """The type of events about messages at a stage, such as `message.delivered`."""
    return f"message.{stage}"


TYPES: Sequence[str] = (*(message_type(stage) for stage in Stage), DISABLED)
"""What an endpoint may ask for. Tests come to all."""
DEFAULT_TYPES: Sequence[str] = (*(message_type(stage) for stage in Stage if stage not in OPTIONAL), DISABLED)
"""What an endpoint gets that asks for nothing: every end, and what is reported afterwards."""


class WebhookState(StrEnum):
    """Whether events are sent to an endpoint. In all states they are kept for some days, to be sent again."""

    ACTIVE = "active"
    PAUSED = "paused"
    """By people, or since it failed for days."""
    DISABLED = "disabled"
    """It answered that it is gone (410)."""


class Stopped(StrEnum):
    """Why an endpoint is not active."""

    PERSON = "person"
    FAILURES = "failures"
    GONE = "gone"


class SecretVersion(Model):
    """A secret that events are signed with: its version in Secrets Manager, and until when it counts."""

    version: int
    ends_at: int | None = None
    """Milliseconds since the epoch; None for the one that stays."""


class Webhook(Model):
    """An endpoint: a URL, or the deployment's own bus."""

    model_config = ConfigDict(extra="forbid")

    id: str
    tenant: str
    url: str | None
    """None for the bus."""
    description: str = ""
    types: list[str] = Field(default_factory=lambda: list(DEFAULT_TYPES))
    kinds: list[KeyKind] = Field(default_factory=lambda: [KeyKind.LIVE, KeyKind.TEAM])
    """Of the keys by which messages were sent that it hears of."""
    state: WebhookState = WebhookState.ACTIVE
    stopped: Stopped | None = None
    stopped_at: int | None = None
    secrets: list[SecretVersion] = Field(default_factory=list, max_length=2)
    """The newest first; none for the bus."""
    created_at: int
    updated_at: int

    def wants(self, type: str, kind: KeyKind) -> bool:
        """Whether it hears of events of a type, about messages of keys of a kind."""
        return type in self.types and kind in self.kinds

    def signing(self, now_ms: int) -> list[int]:
        """The versions of the secrets that count now."""
        return [each.version for each in self.secrets if each.ends_at is None or now_ms < each.ends_at]


class Attempt(Struct, omit_defaults=True, frozen=True):
    """One try to deliver. Of the answer nothing is kept but its status."""

    at: int
    """Milliseconds since the epoch."""
    ms: int
    status: int | None = None
    error: str | None = None
    """Without an answer: what went wrong, one of `functions.webhooks.posting.Failure`."""


class Delivery(Struct, kw_only=True, omit_defaults=True):
    """An event on its way to an endpoint, as it waits on the queue."""

    v: int = field(default_factory=lambda: 1)
    tenant: str
    endpoint: str
    id: str
    """`webhook-id`, see `delivery_id`."""
    type: str
    at: int
    """When the event came, in milliseconds since the epoch: by this deliveries are listed."""
    body: str
    """What is signed and sent, the same at each try."""
    since: int
    """When its tries begin, in milliseconds since the epoch: at first, or when it is sent again by hand."""
    tries: int = 0
    due_at: int | None = None
    """When it is due, if that is later than its queue can delay."""
    attempts: list[Attempt] = field(default_factory=list)

    def to_json(self) -> str:
        """As it goes on the queue."""
        return wire.write(self).decode()


class DeliveryState(StrEnum):
    """How far a delivery is."""

    WAITING = "waiting"
    """Tried in vain, and tried again."""
    DELIVERED = "delivered"
    FAILED = "failed"
    """Given up: its tries are used up, or the endpoint is gone."""
    HELD = "held"
    """Not tried, since the endpoint was not active."""


class KeptDelivery(Struct, kw_only=True, omit_defaults=True):
    """A delivery as it is kept for some days."""

    state: DeliveryState
    delivery: Delivery


read_delivery = wire.Reader[Delivery](Delivery)
"""Reads a message of the queue. Raises: UnreadableError."""
read_kept = wire.Reader[KeptDelivery](KeptDelivery)
"""Reads a kept delivery. Raises: UnreadableError."""

_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"
_FIVE_BITS = bytes(ord(_DIGITS[i & 31]) for i in range(256))


def delivery_id(*parts: str) -> str:
    """The id that follows from what a delivery is of, such as a message, a stage, a number and an endpoint.

    26 characters of base 32 (130 bits) behind `msg_`; none of them is the `.` that parts what is signed.
    """
    digest = blake2b("\x1f".join(parts).encode(), digest_size=26).digest()
    return f"msg_{digest.translate(_FIVE_BITS).decode()}"
