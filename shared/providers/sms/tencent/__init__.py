"""Tencent Cloud SMS."""

from shared.model.words import Channel
from shared.providers.spec import ProviderSpec

SPEC = ProviderSpec("tencent", Channel.SMS, packages=("tencentcloud-sdk-python-sms",))
