"""Blocked words are found wherever a message shows a text, in whatever case, and the longest one is named."""

import pytest

from shared.model.attachments import encode
from shared.model.content import Rendered, RenderedEmail, RenderedSms, RenderedWecom
from shared.policy.blocked_words import blocked_word

WORDS = ["casino", "Casino Royal", "贷款"]
NEWS = {"articles": [{"title": "News"}, {"title": "At the CASINO", "picurl": "https://a.test/p.png"}]}


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (RenderedSms("Come to the cAsInO", None, ()), "casino"),
        (RenderedSms("Come to casino royal", None, ()), "Casino Royal"),
        (RenderedSms(None, "1234", ("123456", "低息贷款")), "贷款"),
        (RenderedSms("Come to the cinema", None, ()), None),
        (RenderedEmail("Casino", None, "Hello"), "casino"),
        (RenderedEmail("Hello", '<a title="casino">Hello</a>', None), "casino"),
        (RenderedEmail("Hello", None, "Hello", (encode("casino.pdf", "application/pdf", b"x"),)), "casino"),
        (RenderedEmail("Hello", None, "Hello", (encode("a.txt", "text/plain", b"casino"),)), None),
        (RenderedWecom("news", NEWS, "k"), "casino"),
        (RenderedWecom("text", {"content": "Hello", "mentioned_list": ["zhangsan"]}, "k"), None),
    ],
)
def test_a_word_is_found_in_every_text(content: Rendered, found: str | None) -> None:
    assert blocked_word(content, WORDS) == found


def test_without_words_nothing_is_blocked() -> None:
    assert blocked_word(RenderedSms("casino", None, ()), []) is None
