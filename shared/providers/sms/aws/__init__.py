"""AWS End User Messaging SMS."""

from shared.model.words import Channel
from shared.providers.sms.aws import rights
from shared.providers.spec import ProviderSpec

SPEC = ProviderSpec("aws", Channel.SMS, rights=(rights.SEND,), checks=(rights.SEND,))
