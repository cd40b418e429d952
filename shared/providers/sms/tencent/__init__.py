"""Tencent Cloud SMS."""

from shared.base.rights import read_secrets
from shared.model.words import Channel
from shared.providers.sms.tencent import limits
from shared.providers.spec import ProviderSpec

SPEC = ProviderSpec(
    "tencent",
    Channel.SMS,
    limits.check,
    limits.usable,
    packages=("tencentcloud-sdk-python-sms",),
    parts=limits.parts,
    receipts=True,
    code_digits=6,
    callback=True,
    pull_setting="pull_receipts",
    reports_conversion=lambda settings: settings.get("report_conversion") is True,
    pulls=(read_secrets(Channel.SMS),),
)
