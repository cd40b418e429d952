"""Filling content in: what recipients see is what was written and given, and no value becomes markup."""

from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from typing import Any

import jinja2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from shared.model.content import (
    ApprovedTemplate,
    Content,
    EmailContent,
    Rendered,
    RenderedEmail,
    RenderedSms,
    RenderedWecom,
    SmsContent,
)
from shared.model.variables import check_variables
from shared.rendering.render import RenderingError, TemplateError, analyse, as_json, compile_content
from shared.rendering.words import FILTERS

CONTENT: TypeAdapter[Any] = TypeAdapter(Content)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
TEXTS = st.text(max_size=40) | st.text(alphabet="<>&\"'/={}%#!-; abé中\r\n\u2028", max_size=40)
# The first is filled in without Jinja, the others by it.
WAYS = ("{{ v }}", "{{ v | default('x') }}", "{{ v }}{% if true %}{% endif %}")
quickly = settings(max_examples=80, deadline=None)


def content(**fields: Any) -> Any:
    return CONTENT.validate_python(fields)


def render(made: Any, **variables: Any) -> Any:
    return compile_content(made).render({}, variables)


def unfit(made: Any, **variables: Any) -> RenderingError:
    with pytest.raises(RenderingError) as caught:
        render(made, **variables)
    return caught.value


class Page(HTMLParser):
    """What a mail program makes of a page."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, list[tuple[str, str | None]]]] = []
        self.text = ""
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, attrs))

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError("a comment")

    def handle_decl(self, decl: str) -> None:
        raise AssertionError("a declaration")

    handle_pi = unknown_decl = handle_comment


@quickly
@given(TEXTS, st.sampled_from(WAYS))
def test_no_value_becomes_markup(value: str, way: str) -> None:
    html = f"<p title=\"{way}\" class='{way}'>{way}</p>"
    rendered = render(EmailContent(subject="s", html=html), v=value)
    page = Page(rendered.html)
    assert page.tags == [("p", [("title", value), ("class", value)])]
    assert page.text == value


@quickly
@given(TEXTS | st.integers() | st.floats(allow_nan=False), st.lists(st.sampled_from(sorted(FILTERS)), max_size=3))
def test_no_filters_make_markup_of_a_value(value: Any, names: list[str]) -> None:
    source = " | ".join(["v", *names])
    try:
        rendered = render(EmailContent(subject="s", html="{{ " + source + " }}{{ " + source + " ~ v }}"), v=value)
    except RenderingError:
        return
    assert not set(rendered.html) & set("<>\"'")


@quickly
@given(TEXTS, st.sampled_from(WAYS))
def test_texts_hold_values_as_they_are(value: str, way: str) -> None:
    email = render(EmailContent(subject="s", text=f"<a> {way}\r\n{{"), v=value)
    assert email.text.replace("\r\n", "\n") == f"<a> {value}\n{{".replace("\r\n", "\n")
    assert render(SmsContent(text=f"[{way}]"), v=value).text == f"[{value}]"
    # WeCom's clients read tags in texts.
    assert render(content(type="text", content=f"[{way}]"), v=value).body["content"] == f"[{value}]".replace("<", "＜")


@quickly
@given(TEXTS, st.sampled_from(WAYS))
def test_a_subject_is_one_line_and_otherwise_as_it_is(value: str, way: str) -> None:
    subject = render(EmailContent(subject=f"[{way}]", text="x"), v=value).subject
    assert len(subject.splitlines()) == 1
    if len(value.splitlines()) < 2 and value == "".join(value.splitlines()):
        assert subject == f"[{value}]"
    assert subject.split() == f"[{value}]".split()


def test_a_line_break_in_a_subject_becomes_one_blank() -> None:
    made = EmailContent(subject="Hello {{ v }}!", text="x")
    assert render(made, v="a\r\nBcc: x@example.com\n\n  b").subject == "Hello a Bcc: x@example.com b!"
    assert render(made, v="a  b").subject == "Hello a  b!"
    assert render(EmailContent(subject="one\ntwo\n", text="x")).subject == "one two"


NAMES = ("a", "b", "c")
ATOMS = st.sampled_from(
    [
        "text { ",
        *(form.replace("N", name) for name in NAMES for form in (
            "{{ N }}",
            "{{ N | default('none') }}",
            "{{ N ~ '!' }}",
            "{% if N is defined %}<{{ N }}>{% endif %}",
            "{% if N is defined %}1{% else %}0{% endif %}",
            "{% if N is undefined %}-{% else %}{{ N | upper }}{% endif %}",
            "{{ N if N is defined else 'other' }}",
            "{% if N is defined and N == 'x' %}x{% endif %}",
            "{% if N is undefined or N == 'x' %}x{% elif N != 'y' %}{{ N }}{% else %}y{% endif %}",
        )),
    ]
)  # fmt: skip
SOURCES = st.lists(ATOMS, min_size=1, max_size=6).map("".join)
PLAIN_JINJA = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)


@quickly
@given(SOURCES, SOURCES, st.dictionaries(st.sampled_from(NAMES), st.text(alphabet="xyA<& ", max_size=4)))
def test_rendering_succeeds_exactly_when_all_required_variables_are_given(
    subject: str, text: str, variables: dict[str, str]
) -> None:
    made = EmailContent(subject=subject, text=text)
    analysis = analyse(made)
    assert not set(analysis.required) & set(analysis.optional)
    compiled = compile_content(made)
    assert compiled.analysis == analysis
    missing = [name for name in analysis.required if name not in variables]
    if missing:
        with pytest.raises(RenderingError) as caught:
            compiled.render({}, variables)
        assert caught.value.field == f"variables.{missing[0]}"
    else:
        rendered = compiled.render({}, variables)
        assert isinstance(rendered, RenderedEmail)
        assert rendered.text == PLAIN_JINJA.from_string(text).render(variables)


@quickly
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | TEXTS, lambda v: st.lists(v, max_size=3)))
def test_both_ways_of_filling_in_agree(value: Any) -> None:
    def seen(source: str) -> tuple[str, str]:
        try:
            return "is", str(render(EmailContent(subject="s", html=source), v=value).html)
        except RenderingError as error:
            return error.field, error.message

    assert seen("a{{ v }}\nb{{ v }}") == seen("a{{ v }}\nb{{ v }}{% if true %}{% endif %}")


def test_a_recipients_own_variables_come_before_the_shared_ones() -> None:
    compiled = compile_content(SmsContent(text="{{ a }}{{ b }}{{ c | default('-') }}"))
    shared, own = {"a": "1", "b": "2", "c": "3"}, {"b": "own"}
    assert compiled.render(shared, own) == RenderedSms("1own3", None, ())
    assert (shared, own) == ({"a": "1", "b": "2", "c": "3"}, {"b": "own"})
    assert compiled.render(shared, {"c": None}) == RenderedSms("12-", None, ())
    with pytest.raises(RenderingError) as caught:
        compiled.render(shared, {"a": None})
    assert (caught.value.field, caught.value.message) == ("variables.a", "is missing; the template needs it")


def test_static_content_is_what_was_written() -> None:
    made = EmailContent(subject="Sale", html="<p>100% {off}</p>\r\n", text=" a\r\nb ")
    compiled = compile_content(made)
    first = compiled.render({}, {})
    assert first == RenderedEmail("Sale", "<p>100% {off}</p>\r\n", " a\r\nb ")
    assert compiled.render({"a": 1}, {"b": 2}) is first
    part = render(EmailContent(subject="{{ a }}", html="<p>\r\n</p>"), a="x")
    assert part == RenderedEmail("x", "<p>\r\n</p>", None)


def test_values_are_shown_as_they_are_or_refused() -> None:
    made = SmsContent(text="{{ v }}")
    shown = {"x": "x", "": "", 5: "5", 1.5: "1.5", -0.0: "-0.0", True: "True"}
    for value, text in shown.items():
        assert render(made, v=value).text == text
    for structure in ([], ["a"], {}, {"a": "secret"}):
        error = unfit(made, v=structure)
        assert error.field == "content.text"
        assert error.message.startswith("line 1: a list or an object cannot be shown as text")
    assert "secret" not in str(unfit(made, v={"a": "secret"}))


@pytest.mark.parametrize(
    ("source", "variables", "message"),
    [
        (
            "x\n{{ v + 1 }}",
            {"v": "secret"},
            "line 2: + takes two numbers or two texts, not a text and a number; ~ joins as texts",
        ),
        ("{{ 1 / v }}", {"v": 0}, "line 1: divides by zero"),
        ("{{ v.name }}", {"v": {"other": "secret"}}, "line 1: something is missing: 'name' is undefined"),
        ("{{ v[w] }}", {"v": {"a": "secret"}, "w": "secret"}, "line 1: something is missing: 'an entry' is undefined"),
        (
            "{{ v | round }}",
            {"v": "secret"},
            "line 1: round takes a number: to 0 to 10 places, by common, ceil or floor, not a text",
        ),
        ("{% for i in v %}{% endfor %}", {"v": "secret"}, "line 1: a loop goes over something that is not a list"),
        (
            "{% if v < w %}{% endif %}",
            {"v": "secret", "w": 1},
            "line 1: < compares a text with a number: give both as numbers or as texts, such as points | int",
        ),
        ("a{{ v }}", {"v": 10**5000}, "line 1: a value does not fit its use (ValueError)"),
    ],
)
def test_errors_say_what_and_where_without_the_values(source: str, variables: Any, message: str) -> None:
    error = unfit(SmsContent(text=source), **variables)
    assert (error.field, error.message) == ("content.text", message)
    assert str(error) == f"content.text: {message}"


def test_each_part_is_named_when_it_fails() -> None:
    bad = "{{ v + 1 }}"
    contents = {
        "content.subject": EmailContent(subject=bad, html="x"),
        "content.html": EmailContent(subject="x", html=bad),
        "content.tencent.params.1": SmsContent(tencent=ApprovedTemplate(template_id="1", params=["x", bad])),
        "content.articles.1.url": content(
            type="news", articles=[{"title": "t", "url": "x"}, {"title": "t", "url": bad}]
        ),
        "content.card.main_title.title": content(type="template_card", card={"main_title": {"title": bad}}),
    }
    for field, made in contents.items():
        assert unfit(made, v="x").field == field


def test_a_text_message_goes_either_way() -> None:
    made = SmsContent(
        text="Code {{ code }}", tencent=ApprovedTemplate(template_id="7", params=["{{ code }}", "5", "{{ x }}"])
    )
    assert render(made, code="12", x="<") == RenderedSms("Code 12", "7", ("12", "5", "<"))
    assert render(SmsContent(tencent=ApprovedTemplate(template_id="7"))) == RenderedSms(None, "7", ())
    assert hash(render(made, code="12", x="<")) == hash(render(made, code="12", x="<"))


def test_every_string_of_a_card_is_filled_in_and_nothing_else_is_touched() -> None:
    card = {
        "card_type": "text_notice",
        "main_title": {"title": "{{ a }}", "desc": "static"},
        "horizontal_content_list": [{"keyname": "k", "value": "{{ b }}"}, {"keyname": "{{ a }}", "type": 1}],
        "card_action": {"type": 1, "url": "https://example.com/{{ b | urlencode }}", "flag": True, "none": None},
        # Keys that could be taken for a path to another string.
        "main_title.title": "{{ b }}",
        "{{ a }}": "static {",
    }
    made = content(type="template_card", card=card)
    before = made.model_dump()
    rendered = render(made, a="A<", b="B/")
    assert rendered.body == {
        "acknowledges": True,
        "card": {
            **card,
            "main_title": {"title": "A＜", "desc": "static"},
            "horizontal_content_list": [{"keyname": "k", "value": "B/"}, {"keyname": "A＜", "type": 1}],
            "card_action": {"type": 1, "url": "https://example.com/B/", "flag": True, "none": None},
            "main_title.title": "B/",
        },
    }
    assert rendered.type == "template_card" and made.model_dump() == before
    # What one recipient's message becomes is not seen in another's.
    rendered.body["card"]["horizontal_content_list"].append("spoilt")
    assert len(render(made, a="1", b="2").body["card"]["horizontal_content_list"]) == 2


def test_every_wecom_type_has_its_fields() -> None:
    bodies: dict[str, dict[str, Any]] = {
        "text": {"content": "{{ v }}", "mentioned_list": ["{{ v }}", "@all"]},
        "markdown": {"content": "**{{ v }}**"},
        "textcard": {"title": "{{ v }}", "description": "d {{ v }}", "url": "https://example.com/{{ v }}"},
        "news": {"articles": [{"title": "{{ v }}", "url": "u"}, {"title": "t", "url": "{{ v }}", "picurl": "p"}]},
        "image": {"media_id": "{{ v }}"},
    }
    seen = {kind: render(content(type=kind, **fields), v="V") for kind, fields in bodies.items()}
    assert all(isinstance(r, RenderedWecom) and r.type == kind for kind, r in seen.items())
    assert seen["text"].body == {"content": "V", "mentioned_list": ["V", "@all"], "mentioned_mobile_list": []}
    assert seen["markdown"].body == {"content": "**V**"}
    assert seen["textcard"].body == {"title": "V", "description": "d V", "url": "https://example.com/V"}
    assert seen["news"].body == {"articles": [{"title": "V", "url": "u"}, {"title": "t", "url": "V", "picurl": "p"}]}
    assert seen["image"].body == {"media_id": "V", "filename": "file"}


def test_bytes_are_never_a_template() -> None:
    data = b"{{ v }}{% for %}"
    made = content(type="file", data=b64encode(data), filename="{{ v }}.txt")
    assert analyse(made).required == ["v"]
    rendered = render(made, v="report")
    assert rendered.body == {"data": data, "filename": "report.txt"}
    assert as_json(rendered) == {"type": "file", "body": {"data": b64encode(data).decode(), "filename": "report.txt"}}


@pytest.mark.parametrize("name", ["", "a/b", "a\\b", 'a"', "a\r\nX: y", "n" * 101])
def test_a_filename_cannot_break_out_of_its_header(name: str) -> None:
    made = content(type="file", data=b64encode(b"content"), filename="{{ v }}")
    assert unfit(made, v=name).field == "content.filename"


def test_equal_bodies_have_equal_keys() -> None:
    def key(made: Any, **variables: Any) -> str:
        return str(render(made, **variables).key)

    text = content(type="text", content="Hi {{ v }}")
    assert key(text, v="a") == key(text, v="a") == key(content(type="text", content="Hi a"))
    image, other = (content(type="image", data=b64encode(PNG + end)) for end in (b"1", b"2"))
    keys = [
        key(text, v="a"),
        key(text, v="b"),
        key(content(type="text", content="Hi a", mentioned_list=["x"])),
        key(content(type="markdown", content="Hi a")),
        key(image),
        key(other),
        key(content(type="file", data=b64encode(PNG + b"1"))),
        key(content(type="image", media_id="m")),
    ]
    assert len(set(keys)) == len(keys)
    assert key(image) == key(content(type="image", data=b64encode(PNG + b"1")))


@quickly
@given(TEXTS, TEXTS)
def test_keys_are_equal_only_for_equal_bodies(one: str, other: str) -> None:
    compiled = compile_content(content(type="textcard", title="{{ a }}", description="{{ b }}", url="{{ a }}{{ b }}"))
    here, there = compiled.render({}, {"a": one, "b": other}), compiled.render({}, {"a": other, "b": one})
    assert isinstance(here, RenderedWecom) and isinstance(there, RenderedWecom)
    assert (here.key == there.key) == (here.body == there.body)


def test_as_json_shows_what_a_person_would_see() -> None:
    email = render(EmailContent(subject="{{ v }}", html="<b>{{ v }}</b>"), v="<")
    assert as_json(email) == {"subject": "<", "html": "<b>&lt;</b>", "text": None, "attachments": []}
    assert as_json(RenderedSms("t", None, ())) == {"text": "t", "tencent": None}
    assert as_json(RenderedSms(None, "1", ("a",))) == {"text": None, "tencent": {"template_id": "1", "params": ["a"]}}


def test_one_compiled_content_serves_many_threads() -> None:
    source = "{% for i in items %}{{ i }}{{ v }}{% endfor %}"
    compiled = compile_content(EmailContent(subject="{{ v }}", html=source, text="{{ v | upper }}"))

    def one(n: int) -> Rendered:
        return compiled.render({"items": [1, 2]}, {"v": f"<{n}>"})

    with ThreadPoolExecutor(8) as pool:
        for n, rendered in enumerate(pool.map(one, range(400))):
            assert rendered == RenderedEmail(f"<{n}>", f"1&lt;{n}&gt;2&lt;{n}&gt;", f"<{n}>")


def test_a_template_that_cannot_be_compiled_is_an_error_of_its_field(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RecursionError

    monkeypatch.setattr("shared.rendering.rules.build", fail)
    with pytest.raises(TemplateError) as caught:
        compile_content(SmsContent(text="{{ a | upper }}"))
    assert caught.value.field == "content.text"


def test_variables_are_bounded() -> None:
    def nested(levels: int) -> Any:
        return [nested(levels - 1)] if levels else "x"

    fine = {
        "a": "x" * 20_000,
        "b": nested(4),
        "c": list(range(200)),
        "d": {"k": None},
        "e": True,
        "f": 1.5,
        "g": 10**30,
    }
    assert check_variables({}) is None and check_variables(fine) is None
    refused: dict[str, dict[str, Any]] = {
        "`a` has a text of 20,001 characters, more than 20,000": {"a": "x" * 20_001},
        "`b` has a list or object of 201 entries, more than 200": {"b": [list(range(201))]},
        "`c` has a list or object of 300 entries, more than 200": {"c": {str(i): i for i in range(300)}},
        "`d` is nested too deeply": {"d": nested(5)},
        "`e` holds a number that is not finite": {"e": [float("inf")]},
        "`f` has a text of 30,000 characters, more than 20,000": {"f": {"k" * 30_000: 1}},
        "`g` holds something that JSON has no word for": {"g": b"bytes"},
        "there are 201 variables, more than 200": {str(i): i for i in range(201)},
        "a variable has a name of more than 20,000 characters": {"n" * 20_001: 1},
    }
    for message, variables in refused.items():
        assert check_variables(variables) == message
    assert check_variables({"secret": "secret"}, max_string=3) == "a variable has a name of more than 3 characters"
    assert check_variables({"a": [["x"]]}, max_depth=1) == "`a` is nested too deeply"


LINKS = (
    '<a href="{{ v }}">x</a>',
    "<a href = '{{ v }}/more'>x</a>",
    "<img src=\n'{{ v }}'>",
    '<a\nHREF="{{ v | default("x") }}">x</a>',
    '<a href="{% if v %}{{ v }}{% endif %}">x</a>',
    "<a {% if v %}href{% else %}title{% endif %}='{{ v }}'>x</a>",
    '<a href="{# none #}{{ v }}{{ v }}">x</a>',
    "<!--[if mso]><v:rect href='{{ v }}'></v:rect><![endif]-->",
    '<a href="{% for w in [v] %}{{ w }}{% endfor %}">x</a>'.replace("[v]", "list"),
)


@pytest.mark.parametrize("html", LINKS)
@pytest.mark.parametrize(
    "value", ["javascript:alert(1)", " JavaScript:x", "java\nscript:x", "\x01data:text/html,x", "vbscript:x"]
)
def test_a_link_runs_no_script(html: str, value: str) -> None:
    made = content(type="email", subject="s", html=html)
    error = unfit(made, **({"list": [value]} if "list" in html else {"v": value}))
    assert error.field == "content.html"
    assert "a link may begin with http:" in error.message
    assert value not in error.message


@pytest.mark.parametrize("html", LINKS)
@pytest.mark.parametrize(
    "value", ["https://example.com/a:b", "mailto:a@example.com", "www.example.com", "/a", "#b", "HTTP://x", "7"]
)
def test_a_link_leads_where_it_says(html: str, value: str) -> None:
    made = content(type="email", subject="s", html=html)
    assert value in render(made, **({"list": [value]} if "list" in html else {"v": value})).html


def test_no_scheme_is_put_together_of_two_values() -> None:
    made = content(type="email", subject="s", html='<a href="{{ a }}{{ b }}">x</a>')
    for a, b in (("javascript", ":x"), ("java", "script:x"), ("javascript ", "\n:x"), ("", "javascript:x")):
        assert "a link may begin with" in unfit(made, a=a, b=b).message
    assert 'href="https://x/a:b"' in render(made, a="https://x", b="/a:b").html
    made = content(type="email", subject="s", html='<a href="java{{ b }}">x</a>')
    assert "a link may begin with" in unfit(made, b="script:x").message


def test_what_does_not_begin_a_link_is_text() -> None:
    made = content(type="email", subject="s", html='<a href="https://x/?q={{ v }}" title="{{ v }}">{{ v }}</a>')
    assert render(made, v="note: a:b").html == '<a href="https://x/?q=note: a:b" title="note: a:b">note: a:b</a>'
    text = content(type="email", subject="s", text='href="{{ v }}"')
    assert render(text, v="javascript:x").text == 'href="javascript:x"'
