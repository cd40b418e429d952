"""Any SMTP server."""

from shared.model.words import Channel
from shared.providers.spec import NO_FEE, ProviderSpec

SPEC = ProviderSpec("smtp", Channel.EMAIL, fee=NO_FEE)
