"""Where placeholders may stand in HTML: only where escaping keeps a value a text."""

from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.model.content import EmailContent
from shared.rendering.refusals import RuleError
from shared.rendering.render import RenderingError, TemplateError, compile_content
from shared.rendering.rules import Allowance, Dialect, check

QUOTES = "in quotes"
WITHIN = "within a tag, a placeholder may stand in the value of an attribute only"
OPEN = "write the tag out, or &lt;"
SCRIPT = "within <script> could run"
STYLES = "write the styles out"
FOREIGN = "by other rules than HTML's"
LOST = "programs disagree on what stands here"
LOADS = "could load something from elsewhere"
HANDLER = "could run as a program; leave the attribute out"

REFUSED = [
    ('<script>let x = "{{ v }}"</script>', SCRIPT),
    ("<SCRIPT src='x' >{{ v }}</script>", SCRIPT),
    ("<script>a < b; '</scripty>' {{ v }}", SCRIPT),
    ("<scr{% if v %}ipt{% endif %}>{{ v }}</script>", SCRIPT),
    ("<script>{% for w in v %}{{ w }}{% endfor %}</script>", SCRIPT),
    ("<p title='</p><script>'>{{ v }}</p><script>{{ v }}", SCRIPT),
    ("<style><!-- </style><script>{{ v }}", SCRIPT),
    ("<!--> <script>{{ v }}", SCRIPT),
    ("<!---> <script>{{ v }}", SCRIPT),
    ("<!-- --!><script>{{ v }}", SCRIPT),
    ("<p onclick=\"go('{{ v }}')\">", HANDLER),
    ("<p OnMouseOver = '{{ v }}'>", HANDLER),
    ("<p o{% if v %}nload{% else %}ther{% endif %}='{{ v }}'>", HANDLER),
    ("<style>a { color: {{ v }} }</style>", STYLES),
    ("<STYLE type='text/css'>{% if v %}{{ v }}{% endif %}", STYLES),
    ("<p style='color: {{ v }}'>", STYLES),
    ('<p STYLE = "{{ v }}">', STYLES),
    ("<xmp>{{ v }}</xmp>", "leave the element out"),
    ("<noembed>{{ v }}", "leave the element out"),
    ("<noframes>{{ v }}", "leave the element out"),
    ("<iframe>{{ v }}", "leave the element out"),
    ("<svg>{{ v }}</svg>", FOREIGN),
    ("<svg><p>{{ v }}</p></svg>", FOREIGN),
    ("<svg><a href='https://x/{{ v }}'></a></svg>", FOREIGN),
    ("<math><mi>{{ v }}</mi></math>", FOREIGN),
    ("<SVG><text>{{ v }}", FOREIGN),
    ("<svg/>{{ v }}", FOREIGN),
    ("<svg><title><a href='{{ v }}'>", LOST),
    ("<svg><style>{{ v }}", LOST),
    ("<svg><desc><style></svg>{{ v }}</style>", LOST),
    ("<svg><svg></svg>{{ v }}", LOST),
    ("<math><mtext><textarea></math>{{ v }}", LOST),
    ("<svg><![CDATA[ > ]]></svg>{{ v }}", LOST),
    ("<noscript>{{ v }}</noscript>", LOST),
    ("<noscript><p title='</noscript>'></noscript>{{ v }}", LOST),
    ("<plaintext>{{ v }}", LOST),
    ("<base href='{{ v }}'>", LOADS),
    ("<base target='{{ v }}'>", LOADS),
    ("<meta http-equiv='refresh' content='0; url={{ v }}'>", LOADS),
    ("<meta content='https://x/{{ v }}'>", LOADS),
    ("<link rel='stylesheet' href='https://x/{{ v }}'>", LOADS),
    ("<script src='https://x/{{ v }}'></script>", LOADS),
    ("<iframe src='{{ v }}'></iframe>", LOADS),
    ("<object data='{{ v }}'>", LOADS),
    ("<embed src='{{ v }}'>", LOADS),
    ("<img srcset='{{ v }} 2x'>", "several links"),
    ("<iframe srcdoc='{{ v }}'></iframe>", "read as markup"),
    ("<a href={{ v }}>", 'put the value of href in quotes: href="{{ ... }}"'),
    ("<a title= {{ v }}>", QUOTES),
    ("<a title=a{{ v }}>", QUOTES),
    ("<a title=a'{{ v }}'>", QUOTES),
    ("<a b='>' title={{ v }}>", QUOTES),
    ("<a b=1/c='{{ v }}'>", QUOTES),
    ("<p title={% if v %}'{% endif %}{{ v }}'>", QUOTES),
    ("<style>a { b: c }</style><a title={{ v }}>", QUOTES),
    ("<title>a</title><a title={{ v }}>", QUOTES),
    ("<title><a></titles></title/><a title={{ v }}>", QUOTES),
    ("<title></ti{% if v %}tle>{% else %}t>{% endif %}<a title={{ v }}>", QUOTES),
    ("<!-- a -{% if v %}->{% else %}b{% endif %}<a title={{ v }}>", QUOTES),
    ("<!--[if mso]><a title={{ v }}><![endif]-->", QUOTES),
    ("<!--[if !mso]><!--><a title={{ v }}><!--<![endif]-->", QUOTES),
    ("<!doctype html><a title={{ v }}>", QUOTES),
    ("<{{ v }}>", OPEN),
    ("a <{{ v }}", OPEN),
    ("</{{ v }}>", OPEN),
    ("<{% if v %}{{ v }}{% endif %}p>", OPEN),
    ("<a{{ v }}>", WITHIN),
    ("<a {{ v }}>", WITHIN),
    ("<a {{ v }}='x'>", WITHIN),
    ("<a b{{ v }}='x'>", WITHIN),
    ("<a b {{ v }}>", WITHIN),
    ("<a 'b {{ v }}'>", WITHIN),
    ("<a b='x' {{ v }}>", WITHIN),
    ("<a b='x'{{ v }}>", WITHIN),
    ("<a b=c {{ v }}>", WITHIN),
    ('<a b="x\'" {{ v }} c="y">', WITHIN),
    ("<br/{{ v }}>", WITHIN),
    ("<a ={{ v }}>", WITHIN),
    ('<a ="{{ v }}">', WITHIN),
    ("<td {{ 'class=x' if v else '' }}>", WITHIN),
    ("<p {% for w in v %}{{ w }}='x'{% endfor %}>", WITHIN),
    ("<p {% for w in v %}a='x' {% if w %}title='{% endif %}{% endfor %}{{ v }}>", WITHIN),
    ("<a href='{{ v }}:{{ v }}'>", "write what the link begins with"),
    ("<a href='{{ v }}://{{ v }}'>", "write what the link begins with"),
    ("<a href='{% if v %}{{ v }}{% endif %}a:b/{{ v }}'>", "write what the link begins with"),
]

ALLOWED = [
    "{{ v }}",
    "a < {{ v }} and <3 {{ v }}",
    "<p>{{ v }}</p>",
    '<p title="{{ v }}">',
    "<p title = '> \" {{ v }}'>",
    "<p a='1'title=\"{{ v }}\"/>",
    "<p a=1 title='{{ v }}'>",
    "<a href='https://x/{{ v }}' >",
    "<a href='{{ v }}/a:b/{{ v }}'>",
    "<script>let x</script>{{ v }}",
    "<script></script >{{ v }}",
    "<title>{{ v }} <a {{ v }}></title>",
    "<textarea>{{ v }}</textarea>",
    "<svg><path d='M0'/></svg>{{ v }}",
    "<svg><title>a</title>x</svg><p>y</p>",
    "{{ v }}<noscript>a</noscript>",
    "<meta name='x' content='y'>{{ v }}",
    "<style>a { color: red }</style><p style='color: red'>{{ v }}",
    "{% if v %}<p style='color: red'>{% else %}<p style='color: blue'>{% endif %}{{ v }}",
    "<!-- {{ v }} <a {{ v }} -->",
    "<!--[if mso]>{{ v }}<![endif]-->",
    "<!doctype html>{{ v }}",
    "<td {% if v %}class='x'{% endif %} {% if v == '1' %}checked{% else %}id=a{% endif %}>{{ v }}</td>",
    "<t{% if v %}d{% else %}h{% endif %} title='{{ v }}'>",
    "{% for w in list %}<li{% if loop.first %} class=a{% endif %}>{{ w }}</li>{% else %}<li>{{ v }}{% endfor %}",
    "<p data-online='{{ v }}'>",
]


@pytest.mark.parametrize(("html", "words"), REFUSED)
def test_a_placeholder_where_escaping_does_not_help_is_refused(html: str, words: str) -> None:
    with pytest.raises(TemplateError) as caught:
        compile_content(EmailContent(subject="s", html=f"<p>\n{html}"))
    assert caught.value.field == "content.html"
    assert caught.value.message.startswith("line 2: ")
    assert words in caught.value.message


@pytest.mark.parametrize("html", ALLOWED)
def test_a_placeholder_where_it_helps_is_let_through(html: str) -> None:
    check(html, Dialect.HTML, Allowance())


def test_only_html_is_read_as_html() -> None:
    check("<a href={{ v }}>", Dialect.TEXT, Allowance())
    compile_content(EmailContent(subject="<{{ v }}>", text="<a {{ v }}>"))


class Page(HTMLParser):
    """The tags of a page with the names of their attributes, and where a value shows up."""

    def __init__(self, source: str, value: str) -> None:
        super().__init__(convert_charrefs=True)
        self.value = value
        self.shape: list[tuple[str, ...]] = []
        self.inside: set[str] = set()
        self.script = False
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.script = tag == "script"
        self.shape.append((tag, *(name for name, _ in attrs)))
        self.inside |= {name for name, value in attrs if self.value in (value or "")}

    def handle_endtag(self, tag: str) -> None:
        self.script = False
        self.shape.append((f"/{tag}",))

    def handle_data(self, data: str) -> None:
        if self.script and self.value in data:
            self.inside.add("script")


PIECES = st.sampled_from(
    [
        *("{{ v }}", "{{ v }}", "{{ v }}", "{% if v %}", "{% if w %}", "{% else %}", "{% endif %}", "{% endif %}"),
        *("<p", "<script", "</script>", "<a ", ">", "/>", "</p>", "<", "/", " ", "\n", "'", '"', "=", "x", "&quot;"),
        *(" href=", " title='", '"x"', ' onclick="', "a b='c'", '<a href="', '">', "'>", ">", ">"),
    ]
)


def values() -> dict[str, Any]:
    """A value that tries to break out everywhere, and its harmless twin, which is as long."""
    evil = "mark' b=1 \" onerror=1 ><script>mark</script><i c "
    return {"evil": evil, "tame": "mark".ljust(len(evil), "x")}


@settings(max_examples=500, deadline=None)
@given(st.lists(PIECES, min_size=1, max_size=14).map("".join), st.sampled_from([0, 1]))
def test_what_is_let_through_keeps_its_shape_whatever_the_value(html: str, other: int) -> None:
    # Closes what is open: Python's parser reads an unfinished tag as browsers do not.
    html += "'>\">"
    try:
        made = compile_content(EmailContent(subject="s", html=html))
        filled: list[Any] = [made.render({}, {"v": value, "w": other}) for value in values().values()]
        pages = [each.html or "" for each in filled]
    except (TemplateError, RenderingError):
        return
    evil, tame = (Page(page, "mark") for page in pages)
    assert evil.shape == tame.shape
    assert evil.inside <= {"href", "title", "b"}


def test_tangled_tags_end_in_a_refusal_and_not_in_hours(monkeypatch: pytest.MonkeyPatch) -> None:
    switch = "{% if a %}<p{% endif %}{% if b %} x='{% endif %}"
    loops = "{% for i in l %}{% for j in l %}" + switch * 150 + "{% endfor %}{% endfor %}"
    with pytest.raises(RuleError, match="too many ways through the tags"):
        check(loops, Dialect.HTML, Allowance())
    monkeypatch.setattr("shared.rendering.markup._MOST_STEPS", 1_000)
    check("{{ v }}" + "<a b=c>" * 100, Dialect.HTML, Allowance())
    with pytest.raises(RuleError, match="too many ways through the tags"):
        check("{{ v }}" + "<a b=c>" * 1_000, Dialect.HTML, Allowance())
