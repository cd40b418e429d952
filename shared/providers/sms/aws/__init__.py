"""AWS End User Messaging SMS."""

from shared.model.words import Channel
from shared.providers.sms.aws import limits, rights
from shared.providers.spec import ProviderSpec

EVENTS = {
    "source": ["aws.sms-voice"],
    "detail-type": ["Text Message Delivery Status Updated"],
    "detail": {"eventType": [{"anything-but": ["TEXT_QUEUED", "TEXT_PENDING", "TEXT_SENT"]}]},
}
"""The events of all texts of the AWS account, but for those that say nothing new; nothing in them tells ours."""

SPEC = ProviderSpec(
    "aws",
    Channel.SMS,
    limits.TEXTS.check,
    limits.TEXTS.usable,
    receipts=True,
    events=EVENTS,
    topic_fields=frozenset({"messageStatus", "inboundMessageId"}),
    reports_conversion=lambda settings: bool(settings.get("report_conversion", True)),
    reports=(rights.REPORT,),
    rights=(rights.SEND,),
    checks=(rights.SEND,),
)
