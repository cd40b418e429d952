"""The vendors' limits: one table of content just within and just beyond each of them."""

import base64
from typing import Any

import pytest

from shared.model.content import (
    ApprovedTemplate,
    Content,
    EmailContent,
    Rendered,
    RenderedEmail,
    RenderedSms,
    RenderedWecom,
    SmsContent,
    WecomFile,
    WecomImage,
    WecomText,
    WecomTextCard,
)
from shared.model.words import MessageClass
from shared.policy.limits import Issue, TooLong
from shared.providers import declared
from shared.providers.declared import usable_by
from shared.providers.table import PROVIDERS
from shared.providers.wecom.limits import media_bytes

PNG = b"\x89PNG\r\n\x1a\n"
URL = "https://example.com/a"


def wecom(kind: str, **body: Any) -> RenderedWecom:
    return RenderedWecom(kind, body, key="k")


def check(rendered: Rendered, provider: str) -> list[Issue]:
    return declared.check(rendered, provider, MessageClass.NOTIFICATION)


def fields(rendered: Rendered, provider: str) -> list[str]:
    return [field for field, _ in check(rendered, provider)]


def textcard(**changes: Any) -> RenderedWecom:
    return wecom("textcard", **({"title": "t", "description": "d", "url": URL, "btntxt": None} | changes))


def news(**changes: Any) -> RenderedWecom:
    return wecom("news", articles=[{"title": "t", "description": None, "url": URL, "picurl": None} | changes])


def card(**changes: Any) -> RenderedWecom:
    base = {"card_type": "text_notice", "card_action": {"type": 1, "url": URL}, "main_title": {"title": "t"}}
    return wecom("template_card", card={k: v for k, v in (base | changes).items() if v is not None})


def article_count(n: int) -> RenderedWecom:
    return wecom("news", articles=[{"title": "t", "url": URL}] * n)


ALLOWED: list[tuple[str, Rendered]] = [
    ("smtp", RenderedEmail("s", "<p>x</p>", None)),
    ("ses", RenderedEmail("s", None, "x" * (10 * 1024 * 1024 - 1))),
    ("aws", RenderedSms("x" * 1600, None, ())),
    ("aws", RenderedSms("码" * 1600, None, ())),
    ("tencent", RenderedSms(None, "1234", ("a", ""))),
    ("app", wecom("text", content="码" * 682 + "ab", mentioned_list=[], mentioned_mobile_list=[])),
    ("robot", wecom("text", content="x" * 2048, mentioned_list=["@all"])),
    ("app", wecom("markdown", content="x" * 2048)),
    ("robot", wecom("markdown", content="x" * 4096)),
    ("app", textcard(title="码" * 128, description="码" * 512, btntxt="查看详情")),
    ("app", textcard(url="https://example.com/" + "a" * 2028)),
    ("app", news(title="x" * 128, description="x" * 512, picurl=URL)),
    ("robot", article_count(8)),
    ("app", wecom("image", media_id="m", data=None)),
    ("robot", wecom("image", media_id=None, data=PNG + b"x" * (2 * 1024 * 1024 - len(PNG)))),
    ("robot", wecom("image", data=base64.b64encode(b"\xff\xd8\xff\xe0abc").decode())),
    ("app", wecom("file", data=b"123456")),
    ("robot", wecom("file", media_id="m")),
    ("app", card()),
    ("robot", card()),
    ("app", card(main_title=None, sub_title_text="s")),
    ("app", card(card_action={"type": 2, "appid": "wx1"})),
    ("app", card(action_menu={"desc": "d"}, task_id="a-1_@")),
    ("app", card(action_menu={"desc": "d"})),
    ("app", card(card_type="button_interaction", card_action=None)),
    ("app", card(card_type="news_notice", main_title=None, image_text_area={"title": "t"})),
    ("robot", card(card_type="news_notice", card_image={"url": URL})),
    ("robot", card(horizontal_content_list=[{}] * 6, jump_list=[{}] * 3)),
]


@pytest.mark.parametrize(("provider", "rendered"), ALLOWED)
def test_content_within_the_limits_has_no_issue(provider: str, rendered: Rendered) -> None:
    assert check(rendered, provider) == []


REFUSED: list[tuple[str, Rendered, list[str]]] = [
    ("smtp", RenderedEmail("  ", "x", None), ["subject"]),
    ("smtp", RenderedEmail("a\r\nBcc: b@example.com", "x", None), ["subject"]),
    ("ses", RenderedEmail("a\u2028b", None, "x"), ["subject"]),
    ("ses", RenderedEmail("s", "x" * (6 * 1024 * 1024), "码" * (2 * 1024 * 1024)), ["html"]),
    ("ses", RenderedEmail("s", None, "x" * (10 * 1024 * 1024)), ["text"]),
    ("smtp", RenderedSms("x", None, ()), ["type"]),
    ("aws", RenderedSms("x" * 1601, None, ()), ["text"]),
    ("aws", RenderedSms(" \n", None, ()), ["text"]),
    ("aws", RenderedSms(None, "1", ()), ["text"]),
    ("aws", RenderedEmail("s", "x", None), ["type"]),
    ("tencent", RenderedSms("x", None, ()), ["tencent"]),
    ("tencent", wecom("text", content="x"), ["type"]),
    ("app", RenderedSms("x", None, ()), ["type"]),
    ("app", wecom("text", content="码" * 683), ["content"]),
    ("app", wecom("text", content=" "), ["content"]),
    ("robot", wecom("text", content="x" * 2049), ["content"]),
    ("app", wecom("markdown", content="x" * 2049), ["content"]),
    ("robot", wecom("markdown", content="x" * 4097), ["content"]),
    ("robot", textcard(), ["type"]),
    ("app", textcard(title="x" * 129), ["title"]),
    ("app", textcard(description="x" * 513), ["description"]),
    ("app", textcard(url="example.com"), ["url"]),
    ("app", textcard(url="javascript:alert(1)"), ["url"]),
    ("app", textcard(url="https://example.com/" + "a" * 2029), ["url"]),
    ("app", textcard(btntxt="view!"), ["btntxt"]),
    ("app", news(title="码" * 43), ["articles.0.title"]),
    ("robot", news(description="码" * 171), ["articles.0.description"]),
    ("robot", news(url=" "), ["articles.0.url"]),
    ("robot", news(picurl="//cdn/x.png"), ["articles.0.picurl"]),
    ("app", article_count(9), ["articles"]),
    ("app", article_count(0), ["articles"]),
    ("robot", wecom("image", media_id="m", data=None), ["data"]),
    ("robot", wecom("image", data=b"GIF89a....."), ["data"]),
    ("robot", wecom("image", data="not base64!"), ["data"]),
    ("robot", wecom("image", data=PNG + b"x" * (2 * 1024 * 1024)), ["data"]),
    ("app", wecom("image", data=PNG + b"x" * (5 * 1024 * 1024)), ["data"]),
    ("app", wecom("image", data=b"\xff\xd8\xff"), ["data"]),
    ("app", wecom("file", data=b"12345"), ["data"]),
    ("robot", wecom("file", data="*"), ["data"]),
    ("app", card(card_type="poster"), ["card.card_type"]),
    ("app", card(card_type=None), ["card.card_type"]),
    ("robot", card(card_type="button_interaction"), ["card.card_type"]),
    ("robot", card(card_action=None), ["card.card_action"]),
    ("app", card(card_action={"type": 1}), ["card.card_action.url"]),
    ("app", card(card_action={"type": 2}), ["card.card_action.appid"]),
    ("app", card(card_action={}), ["card.card_action.type"]),
    ("app", card(main_title=None), ["card.main_title.title"]),
    ("app", card(main_title="t"), ["card.main_title.title"]),
    ("robot", card(action_menu={"desc": "d"}), ["card.task_id"]),
    ("app", card(task_id="a b"), ["card.task_id"]),
    ("app", card(card_type="news_notice"), ["card.card_image"]),
    ("robot", card(card_type="news_notice", main_title=None), ["card.card_image", "card.main_title.title"]),
    ("robot", card(jump_list=[{}] * 4), ["card.jump_list"]),
    ("app", wecom("voice", media_id="m"), ["type"]),
]


@pytest.mark.parametrize(("provider", "rendered", "expected"), REFUSED)
def test_content_beyond_a_limit_is_named_by_its_field(provider: str, rendered: Rendered, expected: list[str]) -> None:
    assert fields(rendered, provider) == expected


def test_mentions_are_for_robots_only() -> None:
    rendered = wecom("text", content="x", mentioned_list=["a"], mentioned_mobile_list=["+8613800000000"])
    assert check(rendered, "robot") == []
    assert fields(rendered, "app") == ["mentioned_list", "mentioned_mobile_list"]


def test_a_message_says_how_much_is_too_much() -> None:
    [(field, message)] = check(wecom("text", content="码" * 683), "app")
    assert (field, message) == ("content", "has 2,049 bytes, more than 2,048 (in UTF-8; a Chinese character takes 3)")


@pytest.mark.parametrize(
    ("rendered", "long"),
    [(RenderedSms("x" * 1601, None, ()), True), (RenderedSms(" ", None, ()), False)],
)
def test_what_is_about_length_can_be_told(rendered: Rendered, long: bool) -> None:
    assert [isinstance(issue, TooLong) for issue in check(rendered, "aws")] == [long]


@pytest.mark.parametrize(
    ("params", "wrong"),
    [
        (("1", "123456"), []),
        ((), []),
        (("",), ["tencent.params.0"]),
        (("1", "1234567", "12a4", "１２", "12\n"), [f"tencent.params.{i}" for i in (1, 2, 3, 4)]),
    ],
)
def test_tencent_takes_numbers_only_in_templates_for_codes(params: tuple[str, ...], wrong: list[str]) -> None:
    rendered = RenderedSms(None, "1", params)
    assert [field for field, _ in declared.check(rendered, "tencent", MessageClass.VERIFICATION)] == wrong
    assert declared.check(rendered, "tencent", MessageClass.MARKETING) == []


def test_half_a_surrogate_pair_is_counted() -> None:
    assert fields(wecom("text", content="\ud800" * 683), "app") == ["content"]


def test_media_bytes_come_raw_or_as_base64() -> None:
    assert media_bytes({"data": b"raw"}) == b"raw"
    assert media_bytes({"data": "cmF3"}) == b"raw"
    assert media_bytes({"media_id": "m", "data": None}) is None


def test_an_unknown_provider_is_an_error() -> None:
    with pytest.raises(KeyError):
        check(RenderedSms("x", None, ()), "pigeon")


CARD = WecomTextCard(type="textcard", title="t", description="d", url=URL)
IMAGE_BY_ID = WecomImage(type="image", media_id="m")
IMAGE_BY_DATA = WecomImage.model_validate({"type": "image", "data": base64.b64encode(PNG)})


@pytest.mark.parametrize(
    ("content", "usable", "unusable"),
    [
        (EmailContent(subject="s", text="t"), {"smtp", "ses"}, {"aws", "tencent", "app", "robot"}),
        (SmsContent(text="t"), {"aws"}, {"tencent", "smtp", "app"}),
        (SmsContent(tencent=ApprovedTemplate(template_id="1")), {"tencent"}, {"aws"}),
        (SmsContent(text="t", tencent=ApprovedTemplate(template_id="1")), {"aws", "tencent"}, {"ses"}),
        (WecomText(type="text", content="x"), {"app", "robot"}, {"aws", "ses"}),
        (CARD, {"app"}, {"robot"}),
        (IMAGE_BY_ID, {"app"}, {"robot"}),
        (IMAGE_BY_DATA, {"app", "robot"}, set()),
        (WecomFile(type="file", media_id="m"), {"app", "robot"}, set()),
    ],
)
def test_usable_by(content: Content, usable: set[str], unusable: set[str]) -> None:
    assert {p for p in PROVIDERS if p in usable | unusable and usable_by(content, p) is None} == usable
