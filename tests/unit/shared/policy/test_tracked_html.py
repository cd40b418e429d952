"""Links and pictures in HTML mails."""

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.policy.tracked_html import with_links, with_picture


def tracked(html: str) -> tuple[str, list[str]]:
    """The mail with other links, and where they led."""
    asked: list[str] = []

    def link_of(target: str, acknowledges: bool) -> str:
        asked.append(target)
        return f"https://p/c/{len(asked)}?a=1&b=2"

    return with_links(html, link_of), asked


@pytest.mark.parametrize(
    ("html", "leads"),
    [
        ('<a href="https://a.cn/x?a=1&amp;b=2">x</a>', ["https://a.cn/x?a=1&b=2"]),
        ("<A class='b' HREF='http://a.cn'>x</A>", ["http://a.cn"]),
        ("<a href=https://a.cn/x>x</a>", ["https://a.cn/x"]),
        ('<a\n href = "https://a.cn"\n>x</a><a href="https://b.cn">y</a>', ["https://a.cn", "https://b.cn"]),
        ('<!--[if mso]><a href="https://a.cn">x</a><![endif]-->', ["https://a.cn"]),
        ('<a title="a > b" href="https://a.cn">x</a>', ["https://a.cn"]),
        ('<a href=" https://a.cn ">x</a>', ["https://a.cn"]),
        # What a URL may hold, and what others have read into it.
        ('<a href="https://a.cn/?a=1&#038;b=2&#x26;c=3&quot;">x</a>', ['https://a.cn/?a=1&b=2&c=3"']),
        (
            '<a href="https://a.cn/?a=1&region=cn&copy=2&notify=1&lt=4&times">x</a>',
            ["https://a.cn/?a=1&region=cn&copy=2&notify=1&lt=4×"],
        ),
        (
            '<a href="https://a.cn/share?app_id=1&href=http://b.cn/">x</a>',
            ["https://a.cn/share?app_id=1&href=http://b.cn/"],
        ),
        ('<a href="https://a.cn/#/home?x=1">x</a>', ["https://a.cn/#/home?x=1"]),
        # An attribute that is there twice: browsers take the first.
        ('<a href="https://a.cn" href="https://b.cn">x</a>', ["https://a.cn"]),
        # None of these leads to a page on the web, or is a link.
        ('<a href="mailto:a@b.cn">x</a><a href="tel:1">x</a><a href="#top">x</a><a href="/x">x</a><a href>x</a>', []),
        ('<a href="javascript:alert(1)">x</a><a href="cid:logo">x</a><a href="https:///x">x</a>', []),
        ('<area href="https://a.cn"><link href="https://a.cn"><abbr href="https://a.cn">', []),
        ("&lt;a href=&quot;https://a.cn&quot;&gt; <a title='href=\"https://a.cn\"'>x</a>", []),
        ('<a data-href="https://a.cn">x</a><a title=\'<a href="https://a.cn">\'>x</a>', []),
        ('<a data-untracked href="https://a.cn">x</a><a href="https://a.cn" data-untracked="">x</a>', []),
        ('<a href="https://a.cn', []),
    ],
)
def test_only_links_to_pages_are_put_in_another_place(html: str, leads: list[str]) -> None:
    changed, asked = tracked(html)
    assert asked == leads
    if not leads:
        assert changed == html


def test_all_else_stays_as_it_is() -> None:
    html = '<p>a &amp; b</p><a class="c" href="https://a.cn" style="d">e</a> <a href="mailto:x@y.cn">f</a>'
    assert tracked(html)[0] == (
        '<p>a &amp; b</p><a class="c"\nhref="https://p/c/1?a=1&amp;b=2" style="d">e</a> <a href="mailto:x@y.cn">f</a>'
    )
    assert with_links(html, lambda _, __: None) == html


def test_the_picture_is_at_the_end_of_the_mail() -> None:
    assert with_picture("<body><p>x</p></BODY >\n</html>", "https://p/o/1").endswith('px">\n</BODY >\n</html>')
    assert with_picture("<p>x</p>", "https://p/o/1").startswith("<p>x</p>\n<img src=")


class Reader(HTMLParser):
    """What a mail program shows of a mail: everything but where links lead."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.shown: list[object] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.shown.append((tag, [name for name, _ in attrs]))

    def handle_data(self, data: str) -> None:
        self.shown.append(data)


PIECES = st.sampled_from(
    [
        "<a ",
        "<A\n",
        'href="https://a.cn"',
        "href='http://b.cn/?x=1&amp;y'",
        "href=https://c.cn",
        'title="<a >"',
        " ",
        ">",
        "</a>",
        "text",
        "<b>",
        "</b>",
        "&amp;",
        "<br>",
        "data-untracked",
        "=",
        "<p class=x>",
        "\n",
    ]
)


@given(st.lists(PIECES, max_size=30).map("".join))
def test_whatever_a_mail_is_it_shows_the_same(html: str) -> None:
    assert Reader(tracked(html)[0]).shown == Reader(html).shown


@pytest.mark.parametrize("piece", ["<a ", '<a href="', "<a href=' ", "<a  /  ", '<a href="https://a.cn">', "<a x=\"' "])
def test_a_long_mail_is_read_once(piece: str) -> None:
    """Reading it again for each of its tags would take minutes; a quarter of a million of them take a moment."""
    html = piece * 250_000
    assert len(with_links(html, lambda _, __: None)) == len(html)
