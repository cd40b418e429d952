"""WeCom group robots."""

from shared.model.accounts import Rate
from shared.model.words import Channel
from shared.providers.spec import NO_FEE, ProviderSpec

RATE = Rate(per_second=0.25, burst=5, code_share=0)
"""At most 20 posts in any minute (WeCom docs, path 91770): 15 by the rate and a burst of 5."""

SPEC = ProviderSpec("robot", Channel.WECOM, packages=("httpx",), rate=RATE, fee=NO_FEE)
