"""What a dispatch function says of itself; the three differ by channel, and by what their providers need."""

from shared.base.channels import CHANNELS, queue_name
from shared.base.rights import CONSUME, READ, SEND, SENDING, SETTLE, Right, allow, read_secrets, table
from shared.base.settings import (
    AttachmentSettings,
    CatalogSettings,
    CountersSettings,
    DeadLetterSettings,
    GuardSettings,
    NetworkSettings,
    PublicSettings,
    QueueSettings,
    ReceiptSettings,
    SecretSettings,
    StreamSettings,
)
from shared.function import (
    CORE_PACKAGES,
    RENDERING_PACKAGES,
    SEALING_PACKAGES,
    ZONE_PACKAGES,
    FunctionSpec,
    QueueTrigger,
)
from shared.model.words import Channel, MessageClass
from shared.providers.table import providers_of

TIMEOUT_S = 60
BATCH_SIZE = 10


class DispatchSettings(
    CatalogSettings,
    GuardSettings,
    StreamSettings,
    QueueSettings,
    ReceiptSettings,
    DeadLetterSettings,
    SecretSettings,
    NetworkSettings,
    CountersSettings,
    AttachmentSettings,
    PublicSettings,
):
    """The environment of a dispatch function."""


def dispatch_function(channel: Channel, *more: Right) -> FunctionSpec:
    """The function that sends a channel's envelopes. more: rights that the others do not have."""
    name = CHANNELS[channel].function
    return FunctionSpec(
        name,
        f"functions.{name}.handler.lambda_handler",
        f"Sends envelopes of the channel {channel}",
        DispatchSettings,
        timeout_s=TIMEOUT_S,
        channels=(channel,),
        packages=(*CORE_PACKAGES, *RENDERING_PACKAGES, *SEALING_PACKAGES, *ZONE_PACKAGES),
        rights=(
            table("catalog", *READ),
            table("guard", *SETTLE, "BatchWriteItem"),
            # What became of the tries through accounts; accounts' shares, every shift of which is recorded.
            table("counters", "Query", keys=("health#*", "conversion#*")),
            table("catalog", "PutItem", keys=("shift#*", "audit#*")),
            # A message may fall back to another channel, but is given up by its own.
            *SENDING,
            # What was sent and may still fall back is looked at there.
            allow(SEND, "receipts.queue"),
            allow(SEND, f"dead.{channel}.*"),
            allow(CONSUME, f"queue.{channel}.*"),
            read_secrets(channel),
            *(right for provider in providers_of(channel) for right in provider.rights),
            *more,
        ),
        triggers=tuple(_queue(channel, message_class) for message_class in MessageClass),
        recursive=True,  # retries, waits and continuations
        snapshot=True,
    )


def _queue(channel: Channel, message_class: MessageClass) -> QueueTrigger:
    """A mapping per queue, so that each class has its own window and its own cap: a code does not wait."""
    return QueueTrigger(
        f"queue.{queue_name(channel, message_class)}",
        BATCH_SIZE,
        message_class,
        window_s=0 if message_class is MessageClass.VERIFICATION else 1,
        label=message_class.title(),
    )
