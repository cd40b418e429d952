"""The channels and the providers of each: the one table that functions, infrastructure and console loop over."""

from dataclasses import dataclass

from shared.model.accounts import Rate, UnitFee
from shared.model.words import Channel, MessageClass
from shared.rights import Outside, Right, allow


@dataclass(frozen=True, slots=True)
class ProviderSpec:
    """A provider: where its module is and which distributions its function must carry.

    rate, fee: for accounts that set none; no fee where the price depends on the contract or the country.
    rights: of the function that sends, at a vendor that is reached with the function's own role.
    checks: of the function that tries an account.
    """

    name: str
    channel: Channel
    module: str
    packages: tuple[str, ...] = ()
    rate: Rate | None = None
    fee: UnitFee | None = None
    rights: tuple[Right, ...] = ()
    checks: tuple[Right, ...] = ()


ROBOT_RATE = Rate(per_second=0.25, burst=5, code_share=0)
"""At most 20 posts in any minute (WeCom docs, path 91770): 15 by the rate and a burst of 5."""
SES_FEE = UnitFee(amount=0.0001, currency="USD")
"""USD 0.10 for 1,000 messages (Amazon SES pricing), without data and attachments."""
NO_FEE = UnitFee(amount=0, currency="USD")

_NAMED_LATER = "accounts name identities that people make later, in a region of their choice"
SES_IDENTITIES = Outside("ses", "identity", _NAMED_LATER)
SES_SEND = allow(
    ("ses:SendEmail", "ses:SendRawEmail"), SES_IDENTITIES, Outside("ses", "configuration-set", _NAMED_LATER)
)
SES_CHECKS = (allow(("ses:GetAccount",), "*"), allow(("ses:GetEmailIdentity",), SES_IDENTITIES))
SMS_SEND = allow(
    ("sms-voice:SendTextMessage",),
    *(Outside("sms-voice", kind, _NAMED_LATER) for kind in ("phone-number", "pool", "sender-id")),
)


@dataclass(frozen=True, slots=True)
class ChannelSpec:
    """A channel, and the folder of its dispatch function."""

    channel: Channel
    function: str


PROVIDERS: dict[str, ProviderSpec] = {
    spec.name: spec
    for spec in (
        ProviderSpec("smtp", Channel.EMAIL, "shared.providers.email.smtp.provider", fee=NO_FEE),
        ProviderSpec(
            "ses",
            Channel.EMAIL,
            "shared.providers.email.ses.provider",
            fee=SES_FEE,
            rights=(SES_SEND,),
            checks=SES_CHECKS,
        ),
        ProviderSpec("tencent", Channel.SMS, "shared.providers.sms.tencent.provider", ("tencentcloud-sdk-python-sms",)),
        ProviderSpec("aws", Channel.SMS, "shared.providers.sms.aws.provider", rights=(SMS_SEND,), checks=(SMS_SEND,)),
        ProviderSpec("app", Channel.WECOM, "shared.providers.wecom.app.provider", ("httpx",), fee=NO_FEE),
        ProviderSpec("robot", Channel.WECOM, "shared.providers.wecom.robot.provider", ("httpx",), ROBOT_RATE, NO_FEE),
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


def queue_names() -> tuple[str, ...]:
    """The names of all queues."""
    return tuple(queue_name(channel, message_class) for channel in CHANNELS for message_class in MessageClass)


def providers_of(*channels: Channel) -> tuple[ProviderSpec, ...]:
    """The providers of some channels."""
    return tuple(spec for spec in PROVIDERS.values() if spec.channel in channels)
