"""The limits of WeCom apps."""

from typing import Any

from shared.policy.limits import Issue
from shared.providers.wecom.limits import Rules

MARKDOWN_BYTES = 2048
IMAGE_BYTES = 5 * 1024 * 1024
"""10 MB by one page (90253) and 5 MB by another (90313): the lower one always works."""
CARD_TYPES = ("text_notice", "news_notice", "button_interaction", "vote_interaction", "multiple_interaction")


def _news_notice(card: dict[str, Any]) -> list[Issue]:
    image = isinstance(card.get("card_image"), dict)
    return [] if image or card.get("image_text_area") else [("card.card_image", "or image_text_area must be given")]


RULES = Rules(
    "app", MARKDOWN_BYTES, IMAGE_BYTES, CARD_TYPES, _news_notice, mentions=False, media_ids=True, task_ids=True
)
