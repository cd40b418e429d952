"""The channels and the providers of each: the one table that functions, infrastructure and console loop over."""

from dataclasses import dataclass

from shared.model.accounts import Rate, UnitFee
from shared.model.words import Channel


@dataclass(frozen=True, slots=True)
class ProviderSpec:
    """A provider: where its module is and which distributions its function must carry.

    rate, fee: for accounts that set none; no fee where the price depends on the contract or the country.
    """

    name: str
    channel: Channel
    module: str
    packages: tuple[str, ...] = ()
    rate: Rate | None = None
    fee: UnitFee | None = None


ROBOT_RATE = Rate(per_second=0.25, burst=5, code_share=0)
"""At most 20 posts in any minute (WeCom docs, path 91770): 15 by the rate and a burst of 5."""
SES_FEE = UnitFee(amount=0.0001, currency="USD")
"""USD 0.10 for 1,000 messages (Amazon SES pricing), without data and attachments."""
NO_FEE = UnitFee(amount=0, currency="USD")


@dataclass(frozen=True, slots=True)
class ChannelSpec:
    """A channel: its dispatch function's folder and how that function is sized.

    memory_mb, timeout_s: of the function. batch_size: envelopes per invocation. window_s: how long the event source
    mapping gathers a batch, per class; a code must not wait.
    """

    channel: Channel
    function: str
    memory_mb: int = 1024
    timeout_s: int = 60
    batch_size: int = 10


PROVIDERS: dict[str, ProviderSpec] = {
    spec.name: spec
    for spec in (
        ProviderSpec("smtp", Channel.EMAIL, "shared.providers.email.smtp", fee=NO_FEE),
        ProviderSpec("ses", Channel.EMAIL, "shared.providers.email.ses", fee=SES_FEE),
        ProviderSpec("tencent", Channel.SMS, "shared.providers.sms.tencent", ("tencentcloud-sdk-python-sms",)),
        ProviderSpec("aws", Channel.SMS, "shared.providers.sms.aws"),
        ProviderSpec("app", Channel.WECOM, "shared.providers.wecom.app", ("httpx",), fee=NO_FEE),
        ProviderSpec("robot", Channel.WECOM, "shared.providers.wecom.robot", ("httpx",), ROBOT_RATE, NO_FEE),
    )
}

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
