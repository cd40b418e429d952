"""The limits of AWS End User Messaging SMS."""

from shared.model.content import RenderedSms, SmsContent
from shared.model.words import MessageClass
from shared.policy.limits import Issue
from shared.providers.sms.limits import check_text, without_text

TEXT_CHARACTERS = 1600
"""SendTextMessage."""


def usable(content: SmsContent) -> str | None:
    """Why a content can never be sent this way, or None."""
    return without_text(content, "AWS")


def check(sms: RenderedSms, _message_class: MessageClass) -> list[Issue]:
    """Name every limit that a message breaks."""
    return check_text(sms, "AWS", TEXT_CHARACTERS)
