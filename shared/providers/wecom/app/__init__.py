"""WeCom apps."""

from shared.model.words import Channel
from shared.providers.spec import NO_FEE, ProviderSpec
from shared.providers.wecom.app import limits

SPEC = ProviderSpec("app", Channel.WECOM, limits.RULES.check, packages=("httpx",), fee=NO_FEE, sent_is_final=True)
