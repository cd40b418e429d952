"""AWS End User Messaging SMS."""

from shared.model.words import Channel
from shared.providers.sms.aws import limits, rights
from shared.providers.spec import ProviderSpec

SPEC = ProviderSpec(
    "aws", Channel.SMS, limits.TEXTS.check, limits.TEXTS.usable, rights=(rights.SEND,), checks=(rights.SEND,)
)
