"""Amazon SES."""

from shared.model.accounts import UnitFee
from shared.model.words import Channel
from shared.providers.email import limits
from shared.providers.email.ses import rights
from shared.providers.spec import ProviderSpec

FEE = UnitFee(amount=0.0001, currency="USD")
"""USD 0.10 for 1,000 messages (Amazon SES pricing), without data and attachments."""

SPEC = ProviderSpec("ses", Channel.EMAIL, limits.check, fee=FEE, rights=rights.SEND, checks=rights.CHECKS)
