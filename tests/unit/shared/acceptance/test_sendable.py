"""The check of a campaign's rows and the sending judge alike: what is good is filled in and within every limit."""

import csv
import io
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.campaign.check.rows import Bad, Facts, Good, Judge, Judged
from functions.campaign.file.reading import read_rows
from shared.acceptance.sendable import Sendable
from shared.model.content import (
    ApprovedTemplate,
    Content,
    EmailContent,
    SmsContent,
    WecomMarkdown,
    WecomNews,
    WecomTemplateCard,
    WecomText,
    WecomTextCard,
)
from shared.model.templates import TemplateVersion
from shared.model.words import Channel, MessageClass
from shared.providers.declared import check
from shared.rendering.render import Compiled, RenderingError, TemplateError, compile_content
from tests.samples import TENANT
from tests.unit.functions.campaign.audience import NDJSON, run_of

PROVIDERS = {Channel.EMAIL: ("smtp", "ses"), Channel.SMS: ("aws", "tencent"), Channel.WECOM: ("app", "robot")}
TO = {Channel.EMAIL: "ada@example.com", Channel.SMS: "+8613800138000", Channel.WECOM: "ada"}


def judged(
    data: bytes, content: Content, channel: Channel = Channel.EMAIL, providers: Any = None, **changes: Any
) -> list[Judged]:
    """What the check finds of each row of a file."""
    run = run_of(data, channel=channel, **changes)
    compiled = compile_content(content)
    found = compiled.analysis
    version = TemplateVersion(
        template="welcome", version=1, content=content, required=found.required, optional=found.optional,
        loops=found.loops, created_at=0,
    )  # fmt: skip
    sendable = Sendable(compiled, run.campaign.variables, providers or PROVIDERS[channel][:1], MessageClass.MARKETING)
    judge = Judge(run, Facts(TENANT, {"a": version}, sendable={"a": sendable}))
    assert run.file is not None
    rest = data if run.campaign.audience.format is NDJSON else data[data.index(b"\n") + 1 :]
    return [judge(i, row) for i, row in read_rows(rest, run.campaign.audience.format, run.file)]


def told(found: list[Judged]) -> list[tuple[int, str, str]]:
    return [(each.index, each.reason, each.detail) for each in found if isinstance(each, Bad)]


def test_a_link_that_no_email_may_hold_is_found_row_by_row() -> None:
    data = (
        b"to,url\nl1@example.com,weixin://dl/x\nl2@example.com,shop.example.com:8443/sale\n"
        b"l3@example.com,https://example.com/\n"
    )
    content = EmailContent(subject="Look", html='<a href="{{ url }}">look</a>')
    found = told(judged(data, content))
    assert [(row, reason) for row, reason, _ in found] == [(0, "rendering_failed"), (1, "rendering_failed")]
    assert all("content.html: line 1: a link may begin with http:" in detail for _, _, detail in found)
    assert not any("weixin" in detail or "8443" in detail for _, _, detail in found)


def test_texts_that_are_compared_with_numbers_are_found_row_by_row() -> None:
    data = b"to,name,points\nada1@example.com,Ada,150\nbob1@example.com,Bob,20\n"
    html = "<p>Hello {{ name | default('customer') }} {% if points > 100 %}gold{% else %}silver{% endif %}</p>"
    content = EmailContent(subject="Sale for {{ name | default('customer') }}", html=html)
    found = told(judged(data, content))
    assert [(row, reason) for row, reason, _ in found] == [(0, "rendering_failed"), (1, "rendering_failed")]
    assert "> compares a text with a number" in found[0][2]
    mended = EmailContent(subject="Sale", html=html.replace("points >", "points | int >"))
    assert told(judged(data, mended)) == []


def test_numbers_that_cannot_be_read_are_found_row_by_row() -> None:
    data = b'to,points\ni1@example.com,"1,500"\ni2@example.com,1500\ni3@example.com,1.5k\n'
    content = EmailContent(subject="Your points", text="You have {{ points | int }} points")
    found = told(judged(data, content))
    assert [row for row, _, _ in found] == [0, 2]
    assert all("int takes a number, or a text of digits" in detail for _, _, detail in found)


@pytest.mark.parametrize("provider", ["aws", "tencent"])
def test_what_is_over_a_limit_of_any_provider_is_found(provider: str) -> None:
    content = SmsContent(text="{{ v }}", tencent=ApprovedTemplate(template_id="1", params=["{{ v }}"]))
    data = b"to,v\n+8613800138000," + b"x" * 1601 + b"\n+8613800138001,short\n"
    found = told(judged(data, content, Channel.SMS, providers=(provider,)))
    assert [(row, reason) for row, reason, _ in found] == ([(0, "content_too_long")] if provider == "aws" else [])
    both = told(judged(data, content, Channel.SMS, providers=("tencent", "aws")))
    assert [row for row, _, _ in both] == [0]


def test_variables_of_the_campaign_count_where_a_row_has_none() -> None:
    content = EmailContent(subject="{{ a }}", text="{{ b | default('x') }}")
    data = b"to,a,b\nada@example.com,,\nbob@example.com,Bob,\n"
    assert told(judged(data, content, variables={"a": "Sale"})) == []
    found = told(judged(data, content, variables={"a": ["no text"]}))
    assert [(row, reason) for row, reason, _ in found] == [(0, "rendering_failed")]


def test_rows_that_are_objects_may_hold_what_cannot_be_shown() -> None:
    data = b'{"to": "a@example.com", "v": [1]}\n{"to": "b@example.com", "v": 1}\n{"to": "c@example.com", "v": " "}\n'
    content = EmailContent(subject="{{ v }}", text="x")
    found = told(judged(data, content, audience={"format": "ndjson"}))
    assert [(row, reason) for row, reason, _ in found] == [(0, "rendering_failed"), (2, "content_invalid")]


def test_short_rows_of_a_plain_template_need_not_be_filled_in() -> None:
    content = EmailContent(subject="{{ a }}", html="<p>{{ a }} {{ b | default('x') }}</p>")
    compiled = compile_content(content)
    sendable = Sendable(compiled, {}, ("smtp",), MessageClass.MARKETING)
    assert sendable.short == 2_000
    assert sendable.is_plain({"a": "x"}) and sendable.is_plain({"a": "x", "b": "y" * 1_999})
    for own in ({"a": "x", "b": "y" * 2_000}, {"b": "y"}, {"a": " "}, {"a": 1}, {"a": "x", "b": []}):
        assert not sendable.is_plain(own)
    for other in (
        EmailContent(subject="s", html='<a href="{{ a }}">x</a>'),
        EmailContent(subject="{{ a | upper }}", text="x"),
        EmailContent(subject="{{ a }}", text="{% if b %}x{% endif %}"),
        EmailContent(subject="{{ b | default('') }}", text="{{ a }}"),
        SmsContent(text="x", tencent=ApprovedTemplate(template_id="1", params=["{{ a }}"])),
        WecomText(type="text", content="{{ a }}"),
    ):
        assert Sendable(compile_content(other), {}, ("smtp",), MessageClass.MARKETING).short == -1
    assert Sendable(compiled, {}, ("smtp",), MessageClass.MARKETING, ["word"]).short == -1


VALUES = st.text(alphabet="ab1<>\"'&:/.[]()*@ ", max_size=12) | st.sampled_from(
    [
        *("1,500", "1500", "1.5", "javascript:x", "https://x.example/", "x.example:80", "@all", "all", "<@all>", ""),
        *("123456", "0" * 1_601, "中" * 700, "中" * 2_100, "a b", "=1+1", "\u200b"),
    ]
)
PIECES = st.sampled_from(
    [
        *("{{ a }}", "{{ b }}", "{{ a | default('x') }}", "{{ b | int }}", "{{ a | upper }}", "{{ a | truncate(5) }}"),
        *("{{ b | float | round(1) }}", "{% if a == 'x' %}y{% endif %}", "{% if b > 1 %}y{% endif %}", "{{ a ~ b }}"),
        *("<a href='{{ a }}'>x</a>", "<a href='https://x/{{ b }}'>x</a>", "[x]({{ a }})", "<@{{ b }}>", "**{{ a }}**"),
        *("{{ a | markdown }}", "text ", "https://x.example/", "{{ a | urlencode }}", "{{ a | length }}", "{{ -b }}"),
    ]
)
SOURCES = st.lists(PIECES, min_size=1, max_size=3).map("".join)
CARD = {"card_type": "text_notice", "card_action": {"type": 1, "url": "https://x.example"}}


def card(text: str, url: str) -> Content:
    fields = {**CARD, "main_title": {"title": text}, "jump_list": [{"type": 1, "title": text, "url": url}]}
    return WecomTemplateCard.model_validate({"type": "template_card", "card": fields})


CONTENTS: st.SearchStrategy[tuple[Channel, Content]] = st.one_of(
    st.builds(lambda s, h: (Channel.EMAIL, EmailContent(subject=s, html=h)), SOURCES, SOURCES),
    st.builds(lambda t: (Channel.SMS, SmsContent(text=t)), SOURCES),
    st.builds(
        lambda t, p: (Channel.SMS, SmsContent(text=t, tencent=ApprovedTemplate(template_id="1", params=[p]))),
        SOURCES,
        SOURCES,
    ),
    st.builds(lambda c: (Channel.WECOM, WecomMarkdown(type="markdown", content=c)), SOURCES),
    st.builds(lambda c, m: (Channel.WECOM, WecomText(type="text", content=c, mentioned_list=[m])), SOURCES, SOURCES),
    st.builds(
        lambda d, u: (Channel.WECOM, WecomTextCard(type="textcard", title="t", description=d, url=u)), SOURCES, SOURCES
    ),
    st.builds(
        lambda t, u: (
            Channel.WECOM,
            WecomNews.model_validate({"type": "news", "articles": [{"title": t, "url": u, "picurl": u}]}),
        ),
        SOURCES,
        SOURCES,
    ),
    st.builds(lambda t, u: (Channel.WECOM, card(t, u)), SOURCES, SOURCES),
)


def as_csv(channel: Channel, rows: list[tuple[str, str]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(("to", "a", "b"))
    writer.writerows((TO[channel], *row) for row in rows)
    return text.getvalue().encode()


@settings(max_examples=300, deadline=None)
@given(CONTENTS, st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=4), st.sampled_from([{}, {"a": "all"}]))
def test_what_the_check_lets_through_can_be_sent_and_nothing_else_is_kept_back(
    content: tuple[Channel, Content], rows: list[tuple[str, str]], shared: dict[str, str]
) -> None:
    channel, made = content
    try:
        compiled = compile_content(made)
    except TemplateError:
        return
    used = {*compiled.analysis.required, *compiled.analysis.optional}
    shared = {name: value for name, value in shared.items() if name in used}
    found = judged(as_csv(channel, rows), made, channel, PROVIDERS[channel], variables=shared)
    for each in found:
        if isinstance(each, Good):
            rendered = compiled.render(shared, each.variables)
            assert not any(check(rendered, name, MessageClass.MARKETING) for name in PROVIDERS[channel])
        elif isinstance(each, Bad) and each.reason in {"rendering_failed", "content_invalid", "content_too_long"}:
            assert unsendable(compiled, channel, shared, *rows[each.index])


def unsendable(compiled: Compiled, channel: Channel, shared: dict[str, str], a: str, b: str) -> bool:
    """Whether dispatch would fail the recipient of a row."""
    used = {*compiled.analysis.required, *compiled.analysis.optional}
    own = {name: value.strip() for name, value in (("a", a), ("b", b)) if name in used and value.strip()}
    own = {name: value.strip("\u200b \ufeff") for name, value in own.items()}
    try:
        rendered = compiled.render(shared, {name: value for name, value in own.items() if value})
    except RenderingError:
        return True
    return any(check(rendered, name, MessageClass.MARKETING) for name in PROVIDERS[channel])
