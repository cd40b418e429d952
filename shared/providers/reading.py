"""Reads receipts: tells apart what is on their queue, and has the vendor's own module read it."""

from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from typing import Any, Protocol, cast

from msgspec import Struct, field

from shared.model import wire
from shared.model.receipts import Alert, Arrived, CardChange, Converted, Look, Notice, Receipt, Waiting
from shared.model.wire import UnreadableError
from shared.providers.spec import ProviderSpec
from shared.providers.table import PROVIDERS


class ReceiptModule(Protocol):
    """The names that a vendor's module `receipts` must define."""

    def read(self, arrived: Arrived) -> Sequence[Receipt | Alert]:
        """What it says of messages and accounts; empty for what says nothing of any. Raises: UnreadableError."""
        ...


class _Some(Struct):
    """What tells apart what is on the queue."""

    provider: str | None = None
    waiting: Any = None
    look: str | None = None
    card: str | None = None
    converted: str | None = None
    source: str | None = None
    message: str | None = field(default=None, name="Message")
    """Of what a topic of SNS passes on."""


TRIAL = "AmazonSnsSubscriptionSucceeded"

_some = wire.Reader[_Some](_Some)
_fields = wire.Reader[dict[str, Any]](dict[str, Any])
_arrived = wire.Reader[Arrived](Arrived)
_waiting = wire.Reader[Waiting](Waiting)
_change = wire.Reader[CardChange](CardChange)
_converted = wire.Reader[Converted](Converted)
_look = wire.Reader[Look](Look)


_OURS: Sequence[tuple[str, Callable[[str], Arrived | Waiting | Look | CardChange | Converted]]] = (
    ("waiting", _waiting),
    ("look", _look),
    ("card", _change),
    ("converted", _converted),
    ("provider", _arrived),
)
"""What we put on the queue, by the field that tells it."""


def read_queued(text: str, now: int) -> Arrived | Waiting | Look | CardChange | Converted | Notice:
    """What a message of the queue `receipts` holds: of ours, an event of EventBridge, or what a topic of SNS passed on.

    now: in milliseconds since the epoch. Raises: UnreadableError.
    """
    if _is_prose(text):
        return Notice("topic")
    found = _some(text)
    for told_by, read in _OURS:
        if getattr(found, told_by) is not None:
            return read(text)
    if found.source is not None:
        return Arrived(provider=_of_source(found.source).name, at=now, body=text)
    if found.message is not None and (_is_prose(found.message) or _is_trial(found.message)):
        return Notice("topic")
    if found.message is not None:
        return Arrived(provider=_of_topic(found.message).name, at=now, body=found.message)
    # A topic passes it on as it is, if its subscription says so.
    if _is_trial(text):
        return Notice("topic")
    return Arrived(provider=_of_topic(text).name, at=now, body=text)


def read_receipts(arrived: Arrived) -> Sequence[Receipt | Alert]:
    """What a provider said of messages and accounts. Raises: UnreadableError, also for a provider that says nothing."""
    spec = PROVIDERS.get(arrived.provider)
    if spec is None or not spec.receipts:
        raise UnreadableError("provider")
    return _module(f"shared.providers.{spec.channel}.{spec.name}.receipts").read(arrived)


def _is_prose(text: str) -> bool:
    """Whether a text is for people: all receipts are objects or lists of JSON. SES tries a new topic by such a one
    ("Successfully validated SNS topic for Amazon SES event publishing."), and SNS a subscription."""
    words = text.split(maxsplit=1)
    return len(words) > 1 and words[0][0] not in "{["


def _is_trial(text: str) -> bool:
    """Whether SES tries a topic that an identity tells of its bounces (SES developer guide, "Amazon SNS notification
    examples")."""
    return TRIAL in text and _fields(text).get("notificationType") == TRIAL


def _of_source(source: str) -> ProviderSpec:
    for spec in PROVIDERS.values():
        if spec.events is not None and source in spec.events["source"]:
            return spec
    raise UnreadableError("source")


def _of_topic(message: str) -> ProviderSpec:
    """Whose message a topic has passed on. Raises: UnreadableError."""
    names = _fields(message).keys()
    for spec in PROVIDERS.values():
        if not spec.topic_fields.isdisjoint(names):
            return spec
    raise UnreadableError("Message")


@cache
def _module(name: str) -> ReceiptModule:
    return cast(ReceiptModule, import_module(name))
