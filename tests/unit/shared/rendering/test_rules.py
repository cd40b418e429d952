"""What may be written in a template: everything else is refused when it is saved, with what to do instead."""

import pytest

from shared.model.content import (
    ApprovedTemplate,
    Content,
    EmailContent,
    RenderedWecom,
    SmsContent,
    WecomNews,
    WecomTemplateCard,
    WecomText,
)
from shared.rendering import meter
from shared.rendering.render import Analysis, RenderingError, TemplateError, analyse, compile_content
from shared.rendering.words import FILTERS

ENTRIES = ["x"] * 200
LONG = "y" * 20_000


def text(source: str) -> WecomText:
    # Without the limit on its length, which is not what is tested here.
    return WecomText.model_construct(type="text", content=source, mentioned_list=[], mentioned_mobile_list=[])


def found(source: str) -> Analysis:
    return analyse(text(source))


def refused(source: str) -> str:
    with pytest.raises(TemplateError) as caught:
        analyse(text(source))
    assert caught.value.field == "content.content"
    return caught.value.message


def shown(source: str, **variables: object) -> str:
    rendered = compile_content(text(source)).render({}, variables)
    assert isinstance(rendered, RenderedWecom)
    return str(rendered.body["content"])


def unfit(source: str, **variables: object) -> str:
    with pytest.raises(RenderingError) as caught:
        shown(source, **variables)
    return caught.value.message


BOMBS = {
    "a loop over a range": "{% for i in range(10**9) %}x{% endfor %}",
    "ranges within each other": "{% for i in range(99999) %}{% for j in range(99999) %}x{% endfor %}{% endfor %}",
    "a power": "{{ 10**10**10 }}",
    "a repeated text": "{{ 'a' * 10**9 }}",
    "a repeated variable": "{{ name * 1000000000 }}",
    "a remainder that formats": "{{ '%1000000000d' % 1 }}",
    "a whole division": "{{ 1 // 3 }}",
    "ljust": "{{ 'a'.ljust(10**9) }}",
    "zfill": "{{ name.zfill(10**9) }}",
    "format by method": "{{ '{:1000000000}'.format(1) }}",
    "format by filter": "{{ '%1000000000d' | format(1) }}",
    "center": "{{ name | center(1000000000) }}",
    "indent": "{{ name | indent(1000000000) }}",
    "a replace chain": "{{ name | replace('', name) | replace('', name) | replace('', name) }}",
    "batch with filling": "{{ name | batch(1000000000, 'x') | length }}",
    "set that doubles": "{% set a = 'xxxx' %}{% set a = a ~ a %}{{ a }}",
    "set in a block": "{% set a %}x{% endset %}",
    "with that doubles": "{% with a = name ~ name %}{{ a }}{% endwith %}",
    "a namespace that doubles": "{% set n = namespace(a='x') %}{% for i in b %}{% set n.a = n.a ~ n.a %}{% endfor %}",
    "a recursive loop": "{% for i in items recursive %}{{ loop(items) }}{% endfor %}",
    "calling loop": "{% for i in items %}{{ loop(items) }}{% endfor %}",
    "loop.cycle": "{% for i in items %}{{ loop.cycle('a', 'b') }}{% endfor %}",
    "loop itself": "{% for i in items %}{{ loop }}{% endfor %}",
    "loop.previtem": "{% for i in items %}{{ loop.previtem }}{% endfor %}",
    "cycler": "{{ cycler('a', 'b').next() }}",
    "joiner": "{{ joiner(',')() }}",
    "lipsum": "{{ lipsum(100000) }}",
    "self": "{{ self }}",
    "a block that shows itself": "{% block a %}{{ self.a() }}{% endblock %}",
    "a macro that calls itself": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "call": "{% call m() %}x{% endcall %}",
    "include": "{% include 'x' %}",
    "import": "{% import 'x' as y %}",
    "from import": "{% from 'x' import y %}",
    "extends": "{% extends 'x' %}",
    "a filter block": "{% filter upper %}x{% endfilter %}",
    "autoescape": "{% autoescape false %}{{ name }}{% endautoescape %}",
    "three loops": "{% for a in items %}{% for b in a %}{% for c in b %}{% endfor %}{% endfor %}{% endfor %}",
    "a loop over a list": "{% for i in [1, 2, 3] %}x{% endfor %}",
    "a loop over a filter": "{% for i in name | list %}x{% endfor %}",
    "a loop with a condition": "{% for i in items if i %}x{% endfor %}",
    "a loop with two variables": "{% for a, b in items %}x{% endfor %}",
    "a loop that hides loop": "{% for loop in items %}x{% endfor %}",
    "a list": "{{ [1, 2] }}",
    "an object": "{{ {'a': 1} }}",
    "a slice": "{{ name[:3] }}",
    "a list with an expression behind in": "{{ 'a' in ['a' ~ 'b'] }}",
    "dynamic arguments": "{{ name | default(*items) }}",
    "a huge number": "{{ 1" + "0" * 18_000 + " }}",
    "a huge hexadecimal number": "{{ 0x" + "f" * 18_000 + " }}",
    "a number over 64 bits": "{{ 99999999999999999999999 }}",
    "a broken escape": "{{ '\\N{nothing}' }}",
    "brackets": "{{ " + "(" * 9_000 + " }}",
    "square brackets": "{{ " + "[" * 9_000 + " }}",
    "nots": "{{ " + "not " * 4_000 + "a }}",
    "minuses": "{{ " + "-" * 9_000 + "1 }}",
    "choices": "{{ " + "a if b else " * 1_500 + "c }}",
    "attributes": "{{ a" + ".b" * 4_500 + " }}",
    "items": "{{ a" + "[0]" * 2_500 + " }}",
    "filters on filters": "{{ a" + "|trim" * 500 + " }}",
    "a long sum": "{{ " + "+".join("a" * 2_500) + " }}",
    "a long and": "{{ " + " and ".join("a" * 3_000) + " }}",
    "a long comparison": "{{ a" + "<a" * 2_500 + " }}",
    "nested ifs": "{% if a %}" * 900 + "{% endif %}" * 900,
    "nested for": "{% for a in b %}" * 500 + "{% endfor %}" * 500,
    "open tags": "{{" * 9_000,
    "many placeholders": "{{a}}" * 10_000,
    "many filters": "{{a|title}}" * 500,
    "many comments": "{#a#}" * 4_000 + "{{ a }}" + "{#a#}" * 30_000,
    "safe": "{{ name | safe }}",
    "an unknown filter": "{{ name | nothing }}",
    "attr": "{{ name | attr('__class__') }}",
    "map": "{{ items | map(attribute='__class__') | join }}",
    "an unknown test": "{{ name is callable }}",
    "a private attribute": "{{ name.__class__ }}",
    "a private item": "{{ name['__class__'] }}",
    "a private name": "{{ _name }}",
    "a joined letter": "{{ ﬁ }}",
    "none": "{{ none }}",
    "an if without its else": "{{ name if other }}",
    "an unknown tag": "{% trans %}x{% endtrans %}",
    "an open placeholder": "{{ name",
    "an open if": "{% if name %}",
    "an empty placeholder": "{{ }}",
    "super": "{{ super() }}",
    "loop outside a loop": "{{ loop.index }}",
}


@pytest.mark.parametrize("name", BOMBS)
def test_what_is_not_allowed_is_refused(name: str) -> None:
    assert refused(BOMBS[name])


def test_what_is_refused_is_not_compiled_either() -> None:
    with pytest.raises(TemplateError):
        compile_content(text("{{ name() }}"))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("a\nb\n{{ name * 2 }}", "line 3: * is not allowed; work the value out before you send it"),
        ("{{ now() }}", "line 1: calling something with ( ) is not allowed; use filters, such as {{ name | upper }}"),
        ("\n{% set a = 1 %}", "line 2: set is not allowed; give the value as a variable"),
        ("{{ a | safe }}", "line 1: safe is not allowed: values are always escaped in HTML; write the markup yourself"),
        ("{% for a in range(9) %}{% endfor %}", "a loop goes over a variable, such as {% for item in items %}"),
        ("{{ a", "line 1: unexpected end of template"),
        ("\n\n{{ a | nothing }}", "line 3: there is no filter nothing; there are abs, capitalize,"),
        ("{{ a is nothing }}", "line 1: there is no test nothing; there are boolean, defined,"),
        ("{% autoescape false %}{% endautoescape %}", "autoescape is not allowed; values are always escaped in HTML"),
    ],
)
def test_the_message_says_where_and_what_to_do(source: str, message: str) -> None:
    assert message in refused(source)


def test_the_field_is_named_wherever_it_is() -> None:
    bad, good = "{{ a() }}", "good"
    card = {"card_type": "text_notice", "list": [{"value": good}, {"value": bad}]}
    contents: dict[str, Content] = {
        "content.subject": EmailContent(subject=bad, text=good),
        "content.html": EmailContent(subject=good, html=bad),
        "content.text": EmailContent(subject=good, html=good, text=bad),
        "content.tencent.params.1": SmsContent(tencent=ApprovedTemplate(template_id="1", params=[good, bad])),
        "content.articles.0.url": WecomNews.model_validate({"type": "news", "articles": [{"title": good, "url": bad}]}),
        "content.card.list.1.value": WecomTemplateCard.model_validate({"type": "template_card", "card": card}),
        "content.mentioned_list.0": WecomText(type="text", content=good, mentioned_list=[bad]),
    }
    for field, content in contents.items():
        with pytest.raises(TemplateError) as caught:
            analyse(content)
        assert caught.value.field == field


def test_all_parts_of_a_content_share_what_one_content_may_hold() -> None:
    half = "{{ a ~ b }}" * 900
    analyse(EmailContent(subject="x", text=half))
    with pytest.raises(TemplateError, match="too many"):
        analyse(EmailContent(subject="x", text=half, html=half))


ANALYSED: dict[str, tuple[list[str], list[str]]] = {
    "nothing {": ([], []),
    "{{ a }}{{ b }}{{ a }}": (["a", "b"], []),
    "{# {{ a }} #}{% raw %}{{ b }}{% endraw %}": ([], []),
    "{{ 姓名 }}": (["姓名"], []),
    "{{ a | default('x') }}": ([], ["a"]),
    "{{ a | d('x') }}{{ a }}": (["a"], []),
    "{{ a | upper | default('x') }}": (["a"], []),
    "{{ a.b | default('x') }}": (["a"], []),
    "{{ a | default(b) }}": (["b"], ["a"]),
    "{{ a | default(b | default('x')) }}": ([], ["b", "a"]),
    "{{ 'yes' if a is defined else 'no' }}": ([], ["a"]),
    "{{ a if a is defined else 'no' }}": ([], ["a"]),
    "{{ 'no' if a is undefined else a }}": ([], ["a"]),
    "{{ 'no' if a is none else a }}": ([], ["a"]),
    "{{ a if a is undefined else 'no' }}": (["a"], []),
    "{% if a is defined %}{{ a }}{% endif %}": ([], ["a"]),
    "{% if a is defined %}{{ a }}{% endif %}{{ a }}": (["a"], []),
    "{% if a is defined %}{% else %}{{ a }}{% endif %}": (["a"], []),
    "{% if a is not defined %}none{% else %}{{ a }}{% endif %}": ([], ["a"]),
    "{% if a is not defined %}1{% elif a == 'x' %}2{% else %}{{ a }}{% endif %}": ([], ["a"]),
    "{% if a is defined and a == b %}{{ a }}{% endif %}": (["b"], ["a"]),
    "{% if a is defined or a == b %}{{ a }}{% endif %}": (["a", "b"], []),
    "{% if a is undefined or a == 'x' %}1{% else %}{{ a }}{% endif %}": ([], ["a"]),
    "{% if not (a is undefined or b is undefined) %}{{ a ~ b }}{% endif %}": ([], ["a", "b"]),
    "{% if a %}{{ b }}{% endif %}": (["a", "b"], []),
    "{% for i in a %}{{ i.name }}{{ loop.index }}{{ b }}{% endfor %}": (["a", "b"], []),
    "{% for i in a %}{% else %}{{ i }}{% endfor %}": (["a", "i"], []),
    "{% for a in a %}{{ a }}{% endfor %}": (["a"], []),
    "{% for i in a.b %}{% for j in i['c'] %}{{ j }}{% endfor %}{% endfor %}": (["a"], []),
    "{% for i in a %}{% endfor %}{{ i }}": (["a", "i"], []),
    "{% if a is defined %}{% for i in a %}{{ i }}{% endfor %}{% endif %}": ([], ["a"]),
    "{{ a[b] }}{{ c is even }}{{ d in e }}{{ -f }}{{ g | round(h) }}": (["a", "b", "c", "d", "e", "f", "h", "g"], []),
    "{{ a in ('x', 'y') }}{{ b is in ['x', 'y'] }}": (["a", "b"], []),
}


@pytest.mark.parametrize("source", ANALYSED)
def test_variables_are_found(source: str) -> None:
    analysis = found(source)
    assert (analysis.required, analysis.optional) == ANALYSED[source]
    assert analysis.loops == ("{% for" in source)


def test_a_variable_that_any_part_requires_is_required() -> None:
    content = EmailContent(subject="{{ b | default('') }}", html="{{ a | default('') }}{{ c }}", text="{{ b }}")
    assert analyse(content) == Analysis(["c", "b"], ["a"], False)


def test_loops_end_however_they_are_made() -> None:
    two = "{% for a in entries %}{% for b in entries %}"
    ends = "{% endfor %}{% endfor %}"
    assert "does too much" in unfit((two + ends) * 50, entries=ENTRIES)
    assert "does too much" in unfit(two + "{{ a ~ b }}" + ends, entries=ENTRIES)
    assert "does too much" in unfit("{% for a in entries %}{{ long }}{% endfor %}", entries=ENTRIES, long=LONG)
    assert "does too much" in unfit("{{ long }}" * 60, long=LONG)
    assert "does too much" in unfit("{{ " + " ~ ".join(["long"] * 101) + " }}", long=LONG)
    # A long list of ordinary lines is no such thing.
    line = "{{ loop.index }} {{ i.name | upper }} {{ i.price | round(2) }}{% if not loop.last %}, {% endif %}"
    filled = shown("{% for i in items %}" + line + "{% endfor %}", items=[{"name": "a", "price": 1.234}] * 200)
    assert filled.startswith("1 A 1.23, 2 A 1.23, ") and filled.endswith("200 A 1.23")


def test_slow_loops_end_by_their_processor_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meter, "MAX_CPU_SECONDS", 0.02)
    monkeypatch.setattr(meter, "MAX_WORK", 10**12)
    source = "{% for a in e %}{% for b in e %}{% if long | title == '' %}{% endif %}{% endfor %}{% endfor %}"
    assert "does too much" in unfit(source, e=ENTRIES, long="y z " * 5_000)


def test_values_cannot_do_what_the_template_may_not() -> None:
    # Python's % would format the text that the variable holds.
    assert "even takes a number" in unfit("{{ 'even' if a is even else 'odd' }}", a="%999999999d")
    # Jinja's own round takes 10 to the power that it is given.
    assert "from 0 to 10" in unfit("{{ 1.5 | round(n, 'ceil') }}", n=10**9)
    assert "from 0 to 10" in unfit("{{ a | round(n) }}", a=5, n=-(10**9))
    assert "a list" in unfit("{% for i in a %}{% endfor %}", a="text")
    assert "a list" in unfit("{% for i in a %}{% endfor %}", a={"k": 1})
    # The time that it takes must grow with the text only, not with its square.
    assert shown("{{ a | striptags }}", a="<!--" * 3_000 + "<b>" * 3_000)[:4] == "＜!--"


def test_only_data_can_be_reached() -> None:
    data = {"items": ["a", "b"], "get": "g", "list": [1, 2], "nested": {"deep": [{"x": "y"}]}}
    assert shown("{% for i in o.items %}{{ i }}{% endfor %}{{ o.get }}{{ o['get'] }}", o=data) == "abgg"
    assert (
        shown("{{ o.list[1] }}{{ o.list[-1] }}{{ o.list.0 }}{{ o.nested.deep[0].x }}{{ o[k] }}", o=data, k="get")
        == "221yg"
    )
    for source in (
        "{{ o.keys }}",
        "{{ o.list.append }}",
        "{{ o.get.upper }}",
        "{{ o.get[0] }}",
        "{{ o.list[2] }}",
        "{{ o.a.b }}",
    ):
        assert "something is missing" in unfit(source, o=data)
    assert "something is missing" in unfit("{{ o[k] }}", o=data, k="__class__")


def test_a_null_is_missing_at_any_depth() -> None:
    assert shown("{{ a | default('x') }}{{ b.c | default('y') }}", a=None, b={"c": None}) == "xy"
    assert shown("{% if a is defined %}1{% elif a is none %}2{% endif %}", a=None) == "2"
    assert shown("{{ 'no' if b.c is undefined else 'yes' }}", b={"c": None}) == "no"
    for source in ("{{ b.c }}", "{{ b['c'] }}", "{{ b.c | upper }}", "{% for i in b.d %}{{ i }}{% endfor %}"):
        assert "missing" in unfit(source, b={"c": None, "d": [None]})
    for source in ("{{ b.d | first }}", "{{ b.d | last | upper }}", "{{ b.d | join }}", "{{ b.d[0] }}"):
        assert "missing" in unfit(source, b={"c": None, "d": [None]})
    assert shown("{% for i in a %}{{ i | default('-') }}{% endfor %}", a=["x", None]) == "x-"


def test_the_filters_do_what_their_names_say() -> None:
    filters = {
        "upper": ("abC", "ABC"),
        "lower": ("ABc", "abc"),
        "title": ("ab cd", "Ab Cd"),
        "capitalize": ("aB", "Ab"),
        "trim": ("  a ", "a"),
        "length": ([1, 2], "2"),
        "count": ("abc", "3"),
        "join('-')": (["a", 1], "a-1"),
        "join(', ', attribute='n')": ([{"n": "x"}, {"n": "y"}], "x, y"),
        "first": (["a", "b"], "a"),
        "last": ("xyz", "z"),
        "round": (2.5, "2.0"),
        "round(2)": (1.005, "1.0"),
        "round(1, 'ceil')": (1.21, "1.3"),
        "round(1, 'floor')": (1.29, "1.2"),
        "int": ("42", "42"),
        "float": ("1.5", "1.5"),
        "abs": (-3, "3"),
        "escape": (">", "&gt;"),
        "e": ("&", "&amp;"),
        "string": (5, "5"),
        "truncate(9)": ("hello big world", "hello..."),
        "striptags": ("<p>a &amp; <b>b</b></p><!-- <i> --> c", "a & b c"),
        "urlencode": ("a b&中", "a%20b%26%E4%B8%AD"),
        "default('x')": ("y", "y"),
        "d('x', true)": ("", "x"),
    }
    for name, (value, expected) in filters.items():
        assert shown("{{ a | " + name + " }}", a=value) == expected, name
    assert {name.partition("(")[0] for name in filters} | {"default", "d"} == set(FILTERS)


@pytest.mark.parametrize("bad", ["join", "first", "round", "round(1, 'up')", "abs", "length"])
def test_a_filter_says_that_a_value_does_not_suit_it(bad: str) -> None:
    value: object = {"join": 5, "first": 5, "round": "secret", "abs": "secret", "length": 5}.get(bad, 1.5)
    assert "secret" not in unfit("{{ a | " + bad + " }}", a=value)
