"""The limits of text messages that vendors share."""

from msgspec import Struct

from shared.model.content import RenderedSms, SmsContent
from shared.model.words import MessageClass
from shared.policy.limits import Issue, blank, too_long


class Texts(Struct, frozen=True):
    """The limits of a vendor that takes texts, and nothing else."""

    vendor: str
    """In words."""
    characters: int
    """The most of a text."""

    def usable(self, content: SmsContent) -> str | None:
        """Say why a content can never be sent this way, or None when it can."""
        return f"{self.vendor} sends texts: give text" if content.text is None else None

    def check(self, sms: RenderedSms, _message_class: MessageClass) -> list[Issue]:
        """Name every limit that a message breaks."""
        if sms.text is None:
            return [("text", f"{self.vendor} sends texts only")]
        return blank("text", sms.text) + too_long("text", sms.text, self.characters, "characters")
