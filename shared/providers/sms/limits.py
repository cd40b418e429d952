"""The limits of text messages that vendors share."""

from shared.model.content import RenderedSms, SmsContent
from shared.policy.limits import Issue, blank, too_long


def without_text(content: SmsContent, vendor: str) -> str | None:
    """Why a content can never go through a vendor that takes texts only; None if it can."""
    return f"{vendor} sends texts: give text" if content.text is None else None


def check_text(sms: RenderedSms, vendor: str, most: int) -> list[Issue]:
    """Name every limit that a text breaks at a vendor which takes so many characters."""
    if sms.text is None:
        return [("text", f"{vendor} sends texts only")]
    return blank("text", sms.text) + too_long("text", sms.text, most, "characters")
