"""The limits of WeCom's messages: those that hold for whoever sends them, and where apps and group robots differ."""

import base64
import re
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from shared.model.content import RenderedWecom
from shared.model.words import MessageClass
from shared.policy.limits import Issue, blank, not_sent, too_long, web_url
from shared.policy.links import is_link_field

# WeCom docs, path 90236 (apps) and 99110 (group robots). Longer text is cut by apps without an error.
TEXT_BYTES = 2048
ARTICLES = 8
ARTICLE_TITLE_BYTES = 128
ARTICLE_DESCRIPTION_BYTES = 512
TEXTCARD_TITLE_CHARACTERS = 128
TEXTCARD_DESCRIPTION_CHARACTERS = 512
TEXTCARD_BUTTON_CHARACTERS = 4
URL_BYTES = 2048
MEDIA_LEAST_BYTES = 6  # "more than 5"
FILE_BYTES = 20 * 1024 * 1024
IMAGE_MAGIC = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")
CARD_LISTS = {"horizontal_content_list": 6, "jump_list": 3, "vertical_content_list": 4}
TASK_ID = re.compile(r"[0-9A-Za-z_\-@]{1,128}\Z")


class Rules(Struct, frozen=True):
    """The limits of one way to send to WeCom."""

    provider: str
    markdown_bytes: int
    image_bytes: int
    card_types: tuple[str, ...]
    news_notice: Callable[[dict[str, Any]], list[Issue]]
    """What a card of this type lacks."""
    mentions: bool
    """Whether a text may name members to be mentioned."""
    media_ids: bool
    """Whether an image may be given by its media id."""
    task_ids: bool = False
    """Whether cards that can be pressed are given a task id if they have none."""
    unsent: tuple[str, ...] = ()
    """The types of content that it does not send."""

    def check(self, rendered: RenderedWecom, _message_class: MessageClass) -> list[Issue]:
        """Name every limit that a message breaks."""
        rules = None if rendered.type in self.unsent else _BY_TYPE.get(rendered.type)
        return not_sent(rendered.type, self.provider) if rules is None else rules(rendered.body, self)


def media_bytes(body: dict[str, Any]) -> bytes | None:
    """Return an image's or file's bytes from a rendered body, or None when it names a media id instead.

    `data` holds the bytes themselves, or as a string their base64.
    Raises: ValueError for a string that is not base64.
    """
    data = body.get("data")
    if data is None:
        return None
    return base64.b64decode(data, validate=True) if isinstance(data, str) else bytes(data)


def _links(path: str, value: Any) -> list[Issue]:
    """Every link of a card, at any depth; an empty one is none."""
    if isinstance(value, list):
        return [issue for i, entry in enumerate(value) for issue in _links(f"{path}.{i}", entry)]
    if not isinstance(value, dict):
        return []
    issues: list[Issue] = []
    for name, entry in value.items():
        at = f"{path}.{name}"
        issues += web_url(at, entry) if is_link_field(name) and entry else _links(at, entry)
    return issues


def _text(body: dict[str, Any], rules: Rules) -> list[Issue]:
    issues = blank("content", body["content"]) + too_long("content", body["content"], TEXT_BYTES, "bytes")
    if not rules.mentions:
        lists = ("mentioned_list", "mentioned_mobile_list")
        issues += [(name, "works in group robots only") for name in lists if body.get(name)]
    return issues


def _markdown(body: dict[str, Any], rules: Rules) -> list[Issue]:
    content = body["content"]
    return blank("content", content) + too_long("content", content, rules.markdown_bytes, "bytes")


def _textcard(body: dict[str, Any], _rules: Rules) -> list[Issue]:
    return [
        *blank("title", body["title"]),
        *too_long("title", body["title"], TEXTCARD_TITLE_CHARACTERS, "characters"),
        *blank("description", body["description"]),
        *too_long("description", body["description"], TEXTCARD_DESCRIPTION_CHARACTERS, "characters"),
        *web_url("url", body["url"]),
        *too_long("url", body["url"], URL_BYTES, "bytes"),
        *too_long("btntxt", body.get("btntxt") or "", TEXTCARD_BUTTON_CHARACTERS, "characters"),
    ]


def _news(body: dict[str, Any], _rules: Rules) -> list[Issue]:
    articles = body["articles"]
    issues: list[Issue] = []
    if not 1 <= len(articles) <= ARTICLES:
        issues.append(("articles", f"has {len(articles)} articles; one to {ARTICLES} are allowed"))
    for i, article in enumerate(articles):
        at = f"articles.{i}"
        issues += blank(f"{at}.title", article["title"])
        issues += too_long(f"{at}.title", article["title"], ARTICLE_TITLE_BYTES, "bytes")
        description = article.get("description") or ""
        issues += too_long(f"{at}.description", description, ARTICLE_DESCRIPTION_BYTES, "bytes")
        issues += web_url(f"{at}.url", article["url"])
        if article.get("picurl"):
            issues += web_url(f"{at}.picurl", article["picurl"])
    return issues


def _image(body: dict[str, Any], rules: Rules) -> list[Issue]:
    try:
        data = media_bytes(body)
    except ValueError:
        return [("data", "is not base64")]
    if data is None:
        return [] if rules.media_ids else [("data", "is required: group robots take an image by its bytes")]
    if not data.startswith(IMAGE_MAGIC):
        return [("data", "is neither a JPG nor a PNG")]
    return _data_size(data, rules.image_bytes)


def _file(body: dict[str, Any], _rules: Rules) -> list[Issue]:
    try:
        data = media_bytes(body)
    except ValueError:
        return [("data", "is not base64")]
    return [] if data is None else _data_size(data, FILE_BYTES)


def _data_size(data: bytes, most: int) -> list[Issue]:
    if MEDIA_LEAST_BYTES <= len(data) <= most:
        return []
    return [("data", f"has {len(data):,} bytes; {MEDIA_LEAST_BYTES} to {most:,} are allowed")]


def _template_card(body: dict[str, Any], rules: Rules) -> list[Issue]:
    card = body["card"]
    kind = card.get("card_type")
    if kind not in rules.card_types:
        return [("card.card_type", f"must be one of {', '.join(rules.card_types)}")]
    issues = _links("card", card)
    for name, most in CARD_LISTS.items():
        if isinstance(card.get(name), list) and len(card[name]) > most:
            issues.append((f"card.{name}", f"has {len(card[name])} entries, more than {most}"))
    if kind in {"text_notice", "news_notice"}:
        issues += _card_action(card.get("card_action"))
    if kind == "text_notice" and not (title_of(card) or card.get("sub_title_text")):
        issues.append(("card.main_title.title", "or sub_title_text must be given"))
    if kind == "news_notice":
        issues += rules.news_notice(card)
    task_id = card.get("task_id")
    if task_id is None:
        if card.get("action_menu") and not rules.task_ids:
            issues.append(("card.task_id", "is required beside action_menu"))
    elif not isinstance(task_id, str) or not TASK_ID.match(task_id):
        issues.append(("card.task_id", "must be 1 to 128 digits, letters, _, - or @"))
    return issues


def title_of(card: dict[str, Any]) -> Any:
    """The main title of a template card; None if it has none."""
    title = card.get("main_title")
    return title.get("title") if isinstance(title, dict) else None


def _card_action(action: Any) -> list[Issue]:
    if not isinstance(action, dict):
        return [("card.card_action", "is required: where a click on the card leads")]
    match action.get("type"):
        case 1:
            # What is there is looked at with all other links.
            return [] if action.get("url") else web_url("card.card_action.url", None)
        case 2:
            return blank("card.card_action.appid", action.get("appid"))
    return [("card.card_action.type", "must be 1 (a web address) or 2 (a mini program)")]


_BY_TYPE: dict[str, Callable[[dict[str, Any], Rules], list[Issue]]] = {
    "text": _text,
    "markdown": _markdown,
    "textcard": _textcard,
    "news": _news,
    "image": _image,
    "file": _file,
    "template_card": _template_card,
}
