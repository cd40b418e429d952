"""Receipts: what providers say of messages after they took them, as it arrives and as the platform reads it."""

import msgspec
from msgspec import Struct, field

from shared.model.engagement import MachineSign
from shared.model.suppression import SuppressionReason
from shared.model.words import Channel, Stage


class Arrived(Struct, kw_only=True, omit_defaults=True):
    """Something that a provider said, on the queue, as it came; its vendor's `receipts` module reads it."""

    v: int = field(default_factory=lambda: 1)
    provider: str
    """Such as `tencent`."""
    tenant: str | None = None
    account: str | None = None
    """`tenant` and `account`: to whom it was said, where that is known by the way that it came."""
    at: int
    """When it came, in milliseconds since the epoch."""
    body: str


class Receipt(Struct, kw_only=True, omit_defaults=True, frozen=True):
    """What a provider says of one message.

    It names its message by `message_id`, with `origin` or else `tenant`, where our id rode along; else by `provider_id`
    together with `tenant` and `address`; else by `provider_id` alone, of providers whose ids the trace keeps
    (`EventRow.indexed`). With an address alone, which `latest` allows, the last message to it through the account is
    meant; with an address and `same_request`, the message to it of the same request as `message_id`.
    """

    provider: str = ""
    """Who says it; empty for what a recipient told us."""
    stage: Stage
    at: int
    """When it happened, as the provider says, in milliseconds since the epoch."""
    tenant: str | None = None
    account: str | None = None
    """Through which the message must have gone, where that is known."""
    message_id: str | None = None
    provider_id: str | None = None
    address: str | None = None
    """As the provider writes it."""
    latest: bool = False
    same_request: bool = False
    """Several recipients got their messages by one call, which has the id of one of them."""
    reason: str | None = None
    code: str | None = None
    """The provider's raw code, without any address."""
    transient: bool = False
    """Of an undelivered message: the address may be good all the same."""
    may_arrive: bool = False
    """Of a transient one: nobody knows that the message did not arrive, such as by an out-of-office reply."""
    suppresses: SuppressionReason | None = None
    """The recipient is put on the suppression list for this."""
    note: str | None = None
    response_code: str | None = None
    """Of a card that is to show who pressed it: by which the provider lets it be changed, once."""
    for_all: bool = False
    """It holds for the messages of all who got the card by the same request."""
    by: str | None = None
    """Who did it, where that need not be the recipient, as the provider writes it."""
    machine: bool = False
    """Of an opening or a click: that no person did it, as the provider says."""
    sign: MachineSign | None = None
    """By what that is known."""
    place: int | None = None
    """Of an opening or a click by a tracked link: the link's place in the message, from 1; 0 is the picture."""
    link: int | None = None
    """Of a click: which link of the template it was (`Facts.link`)."""
    anonymous: bool = False
    """Nobody knows whose message it was: `message_id` is made up, and there is nothing to be found."""
    channel: Channel | None = None
    """Of an anonymous one, which no provider says."""
    took_ms: int | None = None
    """Of a delivery, how long it took from when the provider took the message, if the provider says so."""
    carriers: tuple[str, ...] = ()
    """Of a code that was given back: the ids of the messages that were asked for to carry it, the oldest first;
    `message_id` is the last. Of them, and those to which they fell back, it is about the last that was sent by then."""
    origin: str | None = None
    """Where the message comes from, if that rode along (`shared/model/origin.py`): then nothing is looked up."""


class Alert(Struct, kw_only=True, omit_defaults=True, frozen=True):
    """Something that a provider says of an account, and not of a message: people should look at it."""

    provider: str
    tenant: str | None = None
    account: str | None = None
    event: str
    """The provider's own name of it."""


class Notice(Struct, frozen=True):
    """What is no receipt, such as the message by which a service tries a topic: it is counted and dropped."""

    source: str
    """Who sent it, as far as that can be told."""


class Waiting(Struct, kw_only=True):
    """Receipts, on the queue, whose messages were not known yet: they may have overtaken what dispatch tells."""

    v: int = field(default_factory=lambda: 1)
    since: int
    """When the first of them came, in milliseconds since the epoch."""
    tries: int
    """How often their messages were looked for."""
    waiting: list[Receipt]


class Look(Struct, kw_only=True):
    """Has the function of receipts look, on their queue, for messages of an envelope whose time is over."""

    v: int = field(default_factory=lambda: 1)
    look: str
    """The envelope's id."""
    due_at: int
    """In milliseconds since the epoch."""


class CardChange(Struct, kw_only=True):
    """A card, on the queue of receipts, that is to show who pressed it."""

    v: int = field(default_factory=lambda: 1)
    card: str
    """The code by which the provider lets it be changed, once."""
    tenant: str
    account: str
    template: str
    version: int
    """`template` and `version`: which say what it is to show."""
    member: str
    at: int
    """When it was pressed, in milliseconds since the epoch."""
    tries: int = 0
    """That were made."""


class Converted(Struct, kw_only=True):
    """A code that was given back, on the queue of receipts: the provider of its message is to be told."""

    v: int = field(default_factory=lambda: 1)
    converted: str
    """The provider's id of the message."""
    tenant: str
    account: str
    at: int
    """When it was given back, in milliseconds since the epoch."""
    tries: int = 0
    """That were made."""


def as_json(value: Arrived | Waiting | Look | CardChange | Converted) -> str:
    """As it goes on the queue."""
    return msgspec.json.encode(value).decode()
