"""The limits of WeCom group robots."""

from typing import Any

from shared.model.accounts import Rate
from shared.model.content import WecomContent, WecomImage, WecomTextCard
from shared.policy.limits import Issue
from shared.providers.wecom.limits import Rules, title_of

RATE = Rate(per_second=0.25, burst=5, code_share=0)
"""At most 20 posts in any minute (WeCom docs, path 91770): 15 by the rate and a burst of 5."""
MARKDOWN_BYTES = 4096
IMAGE_BYTES = 2 * 1024 * 1024
CARD_TYPES = ("text_notice", "news_notice")


def usable(content: WecomContent) -> str | None:
    """Why a content can never be sent this way, or None."""
    if isinstance(content, WecomTextCard):
        return "group robots have no textcard: use a template_card or news"
    if isinstance(content, WecomImage) and content.data is None:
        return "group robots take an image by its bytes: give data instead of media_id"
    return None


def _news_notice(card: dict[str, Any]) -> list[Issue]:
    image = isinstance(card.get("card_image"), dict)
    issues = [] if image else [("card.card_image", "is required in a news_notice")]
    return issues if title_of(card) else [*issues, ("card.main_title.title", "is required in a news_notice")]


RULES = Rules(
    "robot",
    MARKDOWN_BYTES,
    IMAGE_BYTES,
    CARD_TYPES,
    _news_notice,
    mentions=True,
    media_ids=False,
    unsent=("textcard",),
)
