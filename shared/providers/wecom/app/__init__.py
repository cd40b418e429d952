"""WeCom apps."""

from shared.model.words import Channel
from shared.providers.spec import NO_FEE, ProviderSpec
from shared.providers.wecom.app import limits

SPEC = ProviderSpec(
    "app",
    Channel.WECOM,
    limits.RULES.check,
    packages=("httpx",),
    fee=NO_FEE,
    receipts=True,
    callback=True,
    callback_needs_secret=True,
    callback_packages=("cryptography",),
    sent_is_final=True,
)
