"""The vendors' limits on rendered content, per provider.

Checked before anything is queued and again before it leaves, so that a message which a vendor would refuse, or would
silently cut short, is named with its field instead. Only what the vendors document is checked: what depends on an
account (approved templates, words, quotas) only the vendor knows.
"""

import base64
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from shared.model.content import (
    Content,
    Rendered,
    RenderedEmail,
    RenderedSms,
    RenderedWecom,
    SmsContent,
    WecomImage,
    WecomTextCard,
)
from shared.model.words import MessageClass
from shared.template_links import is_link_field, is_web_address

Issue = tuple[str, str]
"""A field, written with dots and positions such as `articles.0.url`, and what is wrong with it, without the value."""


class TooLong(NamedTuple):
    """An issue that is about length."""

    field: str
    message: str


AWS_SMS_CHARACTERS = 1600  # AWS End User Messaging SMS, SendTextMessage
EMAIL_BYTES = 10 * 1024 * 1024
# Tencent Cloud SMS, error code InvalidParameterValue.TemplateParameterFormatError: code templates take digits only.
TENCENT_CODE = re.compile(r"[0-9]{1,6}\Z")

# WeCom docs, path 90236 (apps) and 99110 (group robots). Longer text is cut by apps without an error.
TEXT_BYTES = 2048
MARKDOWN_BYTES = {"app": 2048, "robot": 4096}
ARTICLES = 8
ARTICLE_TITLE_BYTES = 128
ARTICLE_DESCRIPTION_BYTES = 512
TEXTCARD_TITLE_CHARACTERS = 128
TEXTCARD_DESCRIPTION_CHARACTERS = 512
TEXTCARD_BUTTON_CHARACTERS = 4
URL_BYTES = 2048
MEDIA_LEAST_BYTES = 6  # "more than 5"
FILE_BYTES = 20 * 1024 * 1024
# An app's image may have 10 MB by one page (90253) and 5 MB by another (90313): the lower one always works.
IMAGE_BYTES = {"app": 5 * 1024 * 1024, "robot": 2 * 1024 * 1024}
IMAGE_MAGIC = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")
CARD_TYPES = {
    "app": ("text_notice", "news_notice", "button_interaction", "vote_interaction", "multiple_interaction"),
    "robot": ("text_notice", "news_notice"),
}
CARD_LISTS = {"horizontal_content_list": 6, "jump_list": 3, "vertical_content_list": 4}
TASK_ID = re.compile(r"[0-9A-Za-z_\-@]{1,128}\Z")


def usable_by(content: Content, provider: str) -> str | None:
    """Say why this content can never go through that provider of its channel, or None when it can."""
    if isinstance(content, SmsContent):
        if provider == "aws" and content.text is None:
            return "AWS sends texts: give text"
        if provider == "tencent" and content.tencent is None:
            return "Tencent Cloud sends approved templates: give tencent"
    if provider == "robot" and isinstance(content, WecomTextCard):
        return "group robots have no textcard: use a template_card or news"
    if provider == "robot" and isinstance(content, WecomImage) and content.data is None:
        return "group robots take an image by its bytes: give data instead of media_id"
    return None


def check(rendered: Rendered, provider: str, message_class: MessageClass) -> list[Issue]:
    """Name every limit that the rendered content breaks of a vendor of its channel; empty when it may be sent."""
    if isinstance(rendered, RenderedEmail):
        return _email(rendered)
    if isinstance(rendered, RenderedSms):
        return _sms(rendered, provider, message_class)
    return _wecom(rendered, provider)


def media_bytes(body: dict[str, Any]) -> bytes | None:
    """Return an image's or file's bytes from a rendered body, or None when it names a media id instead.

    `data` holds the bytes themselves, or as a string their base64.
    Raises: ValueError for a string that is not base64.
    """
    data = body.get("data")
    if data is None:
        return None
    return base64.b64decode(data, validate=True) if isinstance(data, str) else bytes(data)


def not_sent(kind: str, provider: str) -> list[Issue]:
    """What is said of content of a kind that a provider does not send at all."""
    return [("type", f"the provider {provider} does not send {kind} content")]


def _size(text: str) -> int:
    # Half of a surrogate pair can arrive through JSON and has no UTF-8; it must not crash the count.
    return len(text.encode("utf-8", "surrogatepass"))


def _too_long(field: str, text: str, most: int, unit: str) -> list[Issue]:
    length = _size(text) if unit == "bytes" else len(text)
    hint = " (in UTF-8; a Chinese character takes 3)" if unit == "bytes" else ""
    return [TooLong(field, f"has {length:,} {unit}, more than {most:,}{hint}")] if length > most else []


def _blank(field: str, text: Any) -> list[Issue]:
    return [] if isinstance(text, str) and text.strip() else [(field, "is blank")]


def _web_url(field: str, url: Any) -> list[Issue]:
    return [] if is_web_address(url) else [(field, "must be a web address that starts with http:// or https://")]


def _links(path: str, value: Any) -> list[Issue]:
    """Every link of a card, at any depth; an empty one is none."""
    if isinstance(value, list):
        return [issue for i, entry in enumerate(value) for issue in _links(f"{path}.{i}", entry)]
    if not isinstance(value, dict):
        return []
    issues: list[Issue] = []
    for name, entry in value.items():
        at = f"{path}.{name}"
        issues += _web_url(at, entry) if is_link_field(name) and entry else _links(at, entry)
    return issues


def _email(email: RenderedEmail) -> list[Issue]:
    issues = _blank("subject", email.subject)
    # A line break would end the header and start another.
    if re.search(r"[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]", email.subject):
        issues.append(("subject", "has a line break"))
    files = sum(file.size for file in email.attachments)
    size = files + sum(_size(part) for part in (email.subject, email.html, email.text) if part is not None)
    if size > EMAIL_BYTES:
        field = "attachments" if files > size // 2 else "text" if email.html is None else "html"
        issues.append(TooLong(field, f"makes an email of {size:,} bytes, more than {EMAIL_BYTES:,}"))
    return issues


def _sms(sms: RenderedSms, provider: str, message_class: MessageClass) -> list[Issue]:
    if provider == "tencent":
        return _tencent(sms, message_class)
    if sms.text is None:
        return [("text", "AWS sends texts only")]
    return _blank("text", sms.text) + _too_long("text", sms.text, AWS_SMS_CHARACTERS, "characters")


def _tencent(sms: RenderedSms, message_class: MessageClass) -> list[Issue]:
    if not sms.tencent_template_id:
        return [("tencent", "Tencent Cloud sends approved templates only")]
    if message_class is not MessageClass.VERIFICATION:
        return []
    wrong = "must be 1 to 6 digits: Tencent Cloud takes nothing else in templates for codes"
    return [
        (f"tencent.params.{i}", wrong) for i, param in enumerate(sms.tencent_params) if not TENCENT_CODE.match(param)
    ]


def _wecom(rendered: RenderedWecom, provider: str) -> list[Issue]:
    rules = _WECOM_RULES.get(rendered.type)
    if rules is None or (rendered.type == "textcard" and provider == "robot"):
        return not_sent(rendered.type, provider)
    return rules(rendered.body, provider)


def _text(body: dict[str, Any], provider: str) -> list[Issue]:
    issues = _blank("content", body["content"]) + _too_long("content", body["content"], TEXT_BYTES, "bytes")
    if provider != "robot":
        lists = ("mentioned_list", "mentioned_mobile_list")
        issues += [(name, "works in group robots only") for name in lists if body.get(name)]
    return issues


def _markdown(body: dict[str, Any], provider: str) -> list[Issue]:
    content = body["content"]
    return _blank("content", content) + _too_long("content", content, MARKDOWN_BYTES[provider], "bytes")


def _textcard(body: dict[str, Any], _provider: str) -> list[Issue]:
    return [
        *_blank("title", body["title"]),
        *_too_long("title", body["title"], TEXTCARD_TITLE_CHARACTERS, "characters"),
        *_blank("description", body["description"]),
        *_too_long("description", body["description"], TEXTCARD_DESCRIPTION_CHARACTERS, "characters"),
        *_web_url("url", body["url"]),
        *_too_long("url", body["url"], URL_BYTES, "bytes"),
        *_too_long("btntxt", body.get("btntxt") or "", TEXTCARD_BUTTON_CHARACTERS, "characters"),
    ]


def _news(body: dict[str, Any], _provider: str) -> list[Issue]:
    articles = body["articles"]
    issues: list[Issue] = []
    if not 1 <= len(articles) <= ARTICLES:
        issues.append(("articles", f"has {len(articles)} articles; one to {ARTICLES} are allowed"))
    for i, article in enumerate(articles):
        at = f"articles.{i}"
        issues += _blank(f"{at}.title", article["title"])
        issues += _too_long(f"{at}.title", article["title"], ARTICLE_TITLE_BYTES, "bytes")
        description = article.get("description") or ""
        issues += _too_long(f"{at}.description", description, ARTICLE_DESCRIPTION_BYTES, "bytes")
        issues += _web_url(f"{at}.url", article["url"])
        if article.get("picurl"):
            issues += _web_url(f"{at}.picurl", article["picurl"])
    return issues


def _image(body: dict[str, Any], provider: str) -> list[Issue]:
    try:
        data = media_bytes(body)
    except ValueError:
        return [("data", "is not base64")]
    if data is None:
        return [("data", "is required: group robots take an image by its bytes")] if provider == "robot" else []
    if not data.startswith(IMAGE_MAGIC):
        return [("data", "is neither a JPG nor a PNG")]
    return _data_size(data, IMAGE_BYTES[provider])


def _file(body: dict[str, Any], _provider: str) -> list[Issue]:
    try:
        data = media_bytes(body)
    except ValueError:
        return [("data", "is not base64")]
    return [] if data is None else _data_size(data, FILE_BYTES)


def _data_size(data: bytes, most: int) -> list[Issue]:
    if MEDIA_LEAST_BYTES <= len(data) <= most:
        return []
    return [("data", f"has {len(data):,} bytes; {MEDIA_LEAST_BYTES} to {most:,} are allowed")]


def _template_card(body: dict[str, Any], provider: str) -> list[Issue]:
    card = body["card"]
    kind = card.get("card_type")
    if kind not in CARD_TYPES[provider]:
        return [("card.card_type", f"must be one of {', '.join(CARD_TYPES[provider])}")]
    issues = _links("card", card)
    for name, most in CARD_LISTS.items():
        if isinstance(card.get(name), list) and len(card[name]) > most:
            issues.append((f"card.{name}", f"has {len(card[name])} entries, more than {most}"))
    if kind in {"text_notice", "news_notice"}:
        issues += _card_action(card.get("card_action"))
    if kind == "text_notice" and not (_title(card) or card.get("sub_title_text")):
        issues.append(("card.main_title.title", "or sub_title_text must be given"))
    if kind == "news_notice":
        issues += _news_notice(card, provider)
    task_id = card.get("task_id")
    if task_id is None:
        if card.get("action_menu"):
            issues.append(("card.task_id", "is required beside action_menu"))
    elif not isinstance(task_id, str) or not TASK_ID.match(task_id):
        issues.append(("card.task_id", "must be 1 to 128 digits, letters, _, - or @"))
    return issues


def _title(card: dict[str, Any]) -> Any:
    title = card.get("main_title")
    return title.get("title") if isinstance(title, dict) else None


def _card_action(action: Any) -> list[Issue]:
    if not isinstance(action, dict):
        return [("card.card_action", "is required: where a click on the card leads")]
    match action.get("type"):
        case 1:
            # What is there is looked at with all other links.
            return [] if action.get("url") else _web_url("card.card_action.url", None)
        case 2:
            return _blank("card.card_action.appid", action.get("appid"))
    return [("card.card_action.type", "must be 1 (a web address) or 2 (a mini program)")]


def _news_notice(card: dict[str, Any], provider: str) -> list[Issue]:
    image = isinstance(card.get("card_image"), dict)
    if provider == "robot":
        issues = [] if image else [("card.card_image", "is required in a news_notice")]
        return issues if _title(card) else [*issues, ("card.main_title.title", "is required in a news_notice")]
    return [] if image or card.get("image_text_area") else [("card.card_image", "or image_text_area must be given")]


_WECOM_RULES: dict[str, Callable[[dict[str, Any], str], list[Issue]]] = {
    "text": _text,
    "markdown": _markdown,
    "textcard": _textcard,
    "news": _news,
    "image": _image,
    "file": _file,
    "template_card": _template_card,
}
