"""Any SMTP server."""

from shared.model.words import Channel
from shared.providers.email import limits
from shared.providers.spec import NO_FEE, ProviderSpec

SPEC = ProviderSpec("smtp", Channel.EMAIL, limits.check, fee=NO_FEE, receipts=True, failures_alone=True, mailbox=True)
