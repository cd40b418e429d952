"""WeCom group robots."""

from shared.model.words import Channel
from shared.providers.spec import NO_FEE, ProviderSpec
from shared.providers.wecom.robot import limits

SPEC = ProviderSpec(
    "robot",
    Channel.WECOM,
    limits.RULES.check,
    limits.usable,
    packages=("httpx",),
    rate=limits.RATE,
    fee=NO_FEE,
    sent_is_final=True,
)
