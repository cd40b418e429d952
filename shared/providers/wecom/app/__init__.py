"""WeCom apps."""

from shared.model.words import Channel
from shared.providers.spec import NO_FEE, ProviderSpec

SPEC = ProviderSpec("app", Channel.WECOM, packages=("httpx",), fee=NO_FEE)
