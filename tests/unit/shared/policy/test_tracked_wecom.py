"""The links of WeCom messages, by kind of message."""

from typing import Any

import pytest

from shared.policy.tracked_wecom import MOST_BYTES, wecom_links_in, with_wecom_links

A, B = "https://shop.example/a?x=1&y=2", "https://shop.example/b"


def other(target: str) -> str:
    return f"https://push.example/c/{target.rpartition('/')[2]}"


CARD: dict[str, Any] = {
    "card_type": "news_notice",
    "main_title": {"title": f"Not {A}"},
    "card_image": {"url": "https://shop.example/picture.png"},
    "jump_list": [{"type": 1, "title": "Go", "url": A}, {"type": 2, "appid": "wx", "pagepath": "/p"}],
    "card_action": {"type": 1, "url": B},
}
MESSAGES: list[tuple[str, dict[str, Any], list[str]]] = [
    ("text", {"content": f"See <a href=\"{A}\">this</a> and <a href='{B}'>that</a>, or {A}."}, [A, B]),
    ("markdown", {"content": f"[this]({A}) and [that]({B}), not [mail](mailto:a@example.com)"}, [A, B]),
    ("textcard", {"title": "T", "description": f"d {B}", "url": A, "btntxt": None}, [A]),
    ("news", {"articles": [{"title": "T", "url": A, "picurl": B}, {"title": "U", "url": B}]}, [A, B]),
    ("template_card", {"card": CARD}, [A, B]),
    ("image", {"media_id": "m"}, []),
]


@pytest.mark.parametrize(("type", "body", "links"), MESSAGES, ids=[each[0] for each in MESSAGES])
def test_links_are_found_and_replaced_and_nothing_else(type: str, body: dict[str, Any], links: list[str]) -> None:
    assert wecom_links_in(type, body) == links
    changed = with_wecom_links(type, body, other)
    assert wecom_links_in(type, changed) == [other(link) for link in links]
    # Where links lead straight on, nothing is changed; and who put others in can take them out again.
    assert with_wecom_links(type, body, lambda target: None) == body
    back = {other(link): link for link in links}
    assert with_wecom_links(type, changed, back.get) == body


def test_a_picture_and_what_a_text_shows_stay() -> None:
    changed = with_wecom_links("template_card", {"card": CARD}, other)["card"]
    assert (changed["card_image"], changed["main_title"]) == (CARD["card_image"], CARD["main_title"])
    text = with_wecom_links("text", MESSAGES[0][1], other)["content"]
    assert text.endswith(f"or {A}.")


@pytest.mark.parametrize("link", ["javascript:alert(1)", "mailto:a@example.com", "/here", "wxwork://x"])
def test_what_leads_to_no_web_page_stays(link: str) -> None:
    body = {"title": "T", "description": "d", "url": link}
    assert with_wecom_links("textcard", body, other) == body


def test_a_text_that_would_be_too_long_stays_as_it_is() -> None:
    body = {"content": f'<a href="{B}">x</a>' + "好" * ((MOST_BYTES - 60) // 3)}
    assert with_wecom_links("text", body, lambda target: f"https://push.example/{'x' * 100}") == body
    assert with_wecom_links("text", body, lambda target: "https://p.example/")["content"] != body["content"]
