"""The channels: the one table that functions, infrastructure and console loop over."""

from msgspec import Struct

from shared.model.words import Channel, MessageClass


class ChannelSpec(Struct, frozen=True):
    """A channel, and the folder of its dispatch function."""

    channel: Channel
    function: str


CHANNELS: dict[Channel, ChannelSpec] = {
    spec.channel: spec
    for spec in (
        ChannelSpec(Channel.EMAIL, "dispatch_email"),
        ChannelSpec(Channel.SMS, "dispatch_sms"),
        ChannelSpec(Channel.WECOM, "dispatch_wecom"),
    )
}


def queue_name(channel: str, message_class: str) -> str:
    """The name of a queue within the platform, such as `sms.verification`."""
    return f"{channel}.{message_class}"


def queue_names() -> tuple[str, ...]:
    """The names of all queues."""
    return tuple(queue_name(channel, message_class) for channel in CHANNELS for message_class in MessageClass)
