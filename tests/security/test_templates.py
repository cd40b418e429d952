"""Attacks by templates and by values: what a rendering may cost, and where a value stays a value."""

import random
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from jinja2 import pass_context

from shared.model.content import (
    Content,
    EmailContent,
    RenderedWecom,
    SmsContent,
    WecomMarkdown,
    WecomTemplateCard,
    WecomText,
    WecomTextCard,
)
from shared.model.variables import check_variables
from shared.model.words import MessageClass
from shared.policy.links import is_safe, is_web_address
from shared.providers.declared import check
from shared.rendering.engine import HTML, METER, TEXT
from shared.rendering.meter import MAX_WORK, STEP
from shared.rendering.operators import ITEM, OPERATORS
from shared.rendering.places import PLACES
from shared.rendering.render import RenderingError, TemplateError, compile_content
from shared.rendering.words import FILTERS, TESTS
from tests.security.attempts import Attempts

BIG = "y z <&中" * 2_857
VARIABLES: dict[str, Any] = {
    "big": BIG,
    "ones": "a" * 20_000,
    "many": [""] * 199 + ["x" * 20_000],
    "long": ["x" * 20_000] * 20,
    "few": ["ab", "c", 7],
    "rows": [{"k": "v" * 100, "n": i, "sub": ["s"] * 50} for i in range(200)],
    "n": 10**4_000,
    "i": 3,
    "f": 1.5e300,
    "it": "loop variable",
    "t": True,
    "o": {"k": "x" * 20_000, "d": {"k": 1}},
}
MOST_MEMORY = 16_000_000
"""Bytes: a text takes up to four for a character, and a few of the largest may live at once."""


HANDING_ON = frozenset({"default", "d", "first", "last", ITEM})
"""Operations that hand a value on, or a part of one, and make nothing."""


class Watch:
    """What is made while templates run. made: characters of new texts. calls: operations that were carried out."""

    def __init__(self) -> None:
        self.made = self.calls = self.spent = 0
        self.early = True

    def around(self, call: Callable[..., Any], free: bool) -> Callable[..., Any]:
        """The same operation, watched. free: it makes nothing new."""

        @pass_context
        def watched(context: Any, value: Any, *args: Any, **kwargs: Any) -> Any:
            self.calls += 1
            result = call(context, value, *args, **kwargs)
            if isinstance(result, str) and not free:
                self.made += len(result)
            self.spent = context.parent[METER].spent
            # Paid before it was made, so never behind.
            self.early = self.early and self.made <= self.spent
            return result

        return watched


@contextmanager
def watching() -> Iterator[Watch]:
    """Watch all filters, tests and operators of both environments."""
    watch = Watch()
    tables: list[tuple[dict[str, Any], list[str]]] = [
        table for env in (TEXT, HTML) for table in ((env.filters, [*FILTERS, *OPERATORS]), (env.tests, [*TESTS]))
    ]
    before = [dict(known) for known, _ in tables]
    for known, names in tables:
        known.update({name: watch.around(known[name], name in HANDING_ON) for name in names})
    try:
        yield watch
    finally:
        for (known, _), old in zip(tables, before, strict=True):
            known.update(old)


class Grammar:
    """Makes templates of everything that the language has, by chance; most of them run, some misuse a value."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)

    def template(self) -> str:
        """Some statements, with loops in loops."""
        return "".join(self._statement(0) for _ in range(self._chance.randrange(1, 4)))

    def _statement(self, deep: int) -> str:
        kind = self._chance.randrange(6)
        if kind == 0 and deep < 2:
            over = self._chance.choice(("rows", "many", "long", "few"))
            body = "".join(self._statement(deep + 1) for _ in range(self._chance.randrange(1, 4)))
            return "{% for it in " + over + " %}" + body + "{% endfor %}"
        if kind == 1:
            return "{% if " + self._truth(2) + " %}" + self._statement(deep) + "{% endif %}"
        return "{{ " + self._text(4) + " }}"

    def _one(self, *makers: Callable[[int], str]) -> Callable[[int], str]:
        every = (self._text, self._number, self._truth, self._list)
        return self._chance.choice(every if self._chance.random() < 0.02 else makers)

    def _text(self, deep: int) -> str:
        if deep <= 0 or self._chance.random() < 0.1:
            return self._chance.choice(("big", "ones", "big", "o.k", "'a'", "', '", "it"))
        return self._one(self._filtered, self._joined, self._trimmed, self._cut, self._added, self._chosen)(deep - 1)

    def _filtered(self, deep: int) -> str:
        taking_texts = [
            name for name, each in FILTERS.items() if "a text" in each.takes and name not in {"int", "float"}
        ]
        return f"({self._text(deep)})|{self._chance.choice(taking_texts)}"

    def _joined(self, deep: int) -> str:
        return f"({self._list(deep)})|join({self._text(deep)})"

    def _trimmed(self, deep: int) -> str:
        return f"({self._text(deep)})|trim({self._text(deep)})"

    def _cut(self, deep: int) -> str:
        return f"({self._text(deep)})|truncate({self._chance.choice((40_000, 10**9))}, true, {self._text(deep)})"

    def _added(self, deep: int) -> str:
        return f"({self._text(deep)} {self._chance.choice('~+')} {self._text(deep)})"

    def _chosen(self, deep: int) -> str:
        return f"({self._text(deep)} if {self._truth(deep)} else {self._text(deep)})"

    def _number(self, deep: int) -> str:
        if deep <= 0:
            return self._chance.choice(("n", "i", "f", "7"))
        counted = f"({self._one(self._text, self._list)(deep - 1)})|length"
        added = f"({self._number(deep - 1)} {self._chance.choice('+-/')} {self._number(deep - 1)})"
        return self._chance.choice((counted, counted, added, f"({self._number(deep - 1)})|abs"))

    def _truth(self, deep: int) -> str:
        sign = self._chance.choice(("==", "!=", "<", ">=", "in", "not in"))
        compared = f"({self._text(deep - 1)} {sign} {self._text(deep - 1)})"
        tests = ("defined", "string", "number", "mapping", "none")
        tested = f"({self._text(deep - 1)} is {self._chance.choice(tests)})"
        found = f"({self._text(deep - 1)} in {self._list(0)})"
        return self._chance.choice((compared, tested, found, f"({compared} and not {tested})"))

    def _list(self, _deep: int) -> str:
        return self._chance.choice(("many", "long", "few"))


def content(source: str, html: bool) -> EmailContent:
    # Without the limit on the length of the source, which is not what is tried here.
    part: dict[str, Any] = {"html": source, "text": None} if html else {"html": None, "text": source}
    return EmailContent.model_construct(type="email", subject="s", attachments=[], **part)


def test_no_template_makes_more_than_it_has_paid_for(attempts: Attempts, whole: bool) -> None:
    assert check_variables(VARIABLES) is None
    ran = 0
    for seed in range(5_000 if whole else 250):
        made = content(Grammar(seed).template(), seed % 2 == 0)
        with watching() as watch:
            try:
                compiled = compile_content(made)
                used = {*compiled.analysis.required, *compiled.analysis.optional}
                rendered: Any = compiled.render({}, {name: v for name, v in VARIABLES.items() if name in used})
                size = len(rendered.html or rendered.text or "")
            except TemplateError:
                continue
            except RenderingError:
                size = 0
        ran += watch.calls > 0
        held = watch.early and watch.made <= MAX_WORK and watch.calls <= MAX_WORK // STEP and size <= MAX_WORK
        attempts.check(f"seed {seed}: made {watch.made}, calls {watch.calls}, size {size}", held=held)
    assert ran > 100


TWO = "{% for a in rows %}{% for b in rows %}"
ENDS = "{% endfor %}{% endfor %}"
BOMBS = {
    "a separator that is a join": "{{ (many|join(many|join(ones)))|length }}",
    "three joins": "{{ (many|join(many|join(many|join(ones))))|length }}",
    "six joins": "{{ many|join(many|join(many|join(many|join(many|join(many|join(ones)))))) }}",
    "characters to trim": "{{ (long|join(ones))|trim(long|join(big) ~ 'a')|length }}",
    "titles": "{{ (many|join(big))" + "|title" * 24 + "|length }}",
    "escapes": "{{ big" + "|e" * 25 + "|length }}",
    "urlencodes": "{{ big" + "|urlencode" * 6 + "|length }}",
    "texts put together": "{{ " + "(" * 20 + "long|join(big)" + ") ~ (long|join(big))" * 20 + " }}",
    "the end of a truncate": "{{ ones|truncate(99999999, true, long|join(ones)) }}",
    "comparisons in loops": TWO + "{% if a.k == b.k and ones == ones and ones in long %}{% endif %}" + ENDS,
    "empty loops": (TWO + ENDS) * 50,
    "attributes in loops": TWO + "{{ a.k.x.y|default(b.sub[0]) }}" * 5 + ENDS,
    "long numbers": TWO + "{{ n }}{{ -n }}{{ n|string }}" + ENDS,
    "many placeholders": "{{ big }}" * 1_900,
    "quotes to escape": "{{ (many|join(ones ~ '<'))|e }}",
    "tags to strip": "{{ (long|join('<b>&amp;'))|striptags|striptags }}" * 40,
}


@pytest.mark.parametrize("html", [True, False])
def test_no_bomb_takes_memory_or_ends_a_process(attempts: Attempts, html: bool) -> None:
    ended = 0
    for name, source in BOMBS.items():
        compiled = compile_content(content(source, html))
        own = {name: VARIABLES[name] for name in compiled.analysis.required}
        tracemalloc.start()
        try:
            compiled.render({}, own)
            found = "rendered"
        except RenderingError as error:
            found = error.message
        finally:
            most = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        ended += "does too much" in found
        attempts.check(f"{name}: {found}, {most:,} bytes", held=most < MOST_MEMORY)
    # An escaped text is not escaped again, and a long end is not used by a short text.
    assert ended == len(BOMBS) - 2


def test_all_parts_of_a_content_have_one_budget(attempts: Attempts) -> None:
    card = {str(i): "{{ ones }}" for i in range(150)}
    contents: list[Content] = [
        EmailContent(subject="{{ ones }}" * 50, html="{{ ones }}" * 50, text="{{ ones }}" * 50),
        WecomTemplateCard.model_validate({"type": "template_card", "card": card}),
    ]
    for made in contents:
        with pytest.raises(RenderingError, match="does too much"):
            compile_content(made).render({}, {"ones": VARIABLES["ones"]})
        attempts.check(made.type, held=True)


EVIL_LINKS = [
    *("javascript:alert(1)", "JaVaScRiPt:alert(1)", "vbscript:x", "data:text/html,<script>", "file:///etc/passwd"),
    *(" " * n + "javascript:x" for n in (1, 1_999, 2_000, 2_001, 19_000)),
    *("java" + mark * 2_500 + "script:x" for mark in ("\t", "\n", "\r")),
    *(chr(n) + "javascript:x" for n in range(0x21)),
    *("java" + chr(n) + "script:x" for n in (0x09, 0x0A, 0x0D)),
    *("javascript" + mark + ":x" for mark in ("\t", "\n", " ", "\x00")),
    *("\u200bjavascript:x", "\ufeffjavascript:x", "\xa0javascript:x", "\u2028javascript:x", "java\u200dscript:x"),
    *("java\xadscript:x", "\u202ejavascript:x", ":x", "weixin://dl/x", "intent://x#Intent;end", "blob:https://x/y"),
    *("view-source:https://x", "jar:https://x!/", "ms-word:ofe|u|https://x", "about:blank", "ws://x", "ftp://x"),
]
WEB_EVIL = [
    *("//evil.example/x", "/x", "x.example", "mailto:a@example.com", "https:", "https://", "http:///x", "https:/x"),
    *("https:\\\\x", " https://x.example", "https://x.example\t.evil", "https://\nx", "", "#", "?x", "https://:80/"),
]
ENCODED = ["javascript&#58;x", "&#106;avascript:x", "java&Tab;script:x", "&#x6A;avascript&colon;x"]
GOOD_LINKS = [
    "https://example.com/a:b",
    "HTTPS://example.com",
    "http://127.0.0.1:8080/?a=b:c#d",
    "https://例子.example/",
]
HTML_PLACES = [
    *('<a href="{{ u }}">x</a>', "<a href='{{ u }}{{ v }}'>x</a>", '<img src="{{ u }}">', "<A HREF = '{{ u }}'>"),
    *('<form action="{{ u }}">', '<button formaction="{{ u }}">', '<td background="{{ u }}">', '<q cite="{{ u }}">'),
    *("<a href=\"{{ u | default('x') }}\">", '<a href="{% if v %}{{ u }}{% endif %}">', '<a ping="{{ u }}">'),
    *('<a href=" {{ u }}">', '<a href="&#32;{{ u }}">', '<a href="&Tab;{{ u }}">', '<img longdesc="{{ u }}">'),
    *('<v:fill src="{{ u }}"/>', '<a xlink:href="{{ u }}">', '<a x:href="{{ u }}">', '<video poster="{{ u }}">'),
    *('<a href="{{ u | trim }}">', "<a href='{{ u ~ v }}'>", '<!--[if mso]><a href="{{ u }}"><![endif]-->'),
]


def refused(made: Content, **variables: Any) -> bool:
    """Whether a message is not sent: it cannot be saved, filled in, or a provider would have to refuse it."""
    try:
        compiled = compile_content(made)
        used = {*compiled.analysis.required, *compiled.analysis.optional}
        rendered = compiled.render({}, {name: value for name, value in variables.items() if name in used})
    except (TemplateError, RenderingError):
        return True
    if not isinstance(rendered, RenderedWecom):
        return False
    return all(check(rendered, name, MessageClass.NOTIFICATION) for name in ("app", "robot"))


def test_no_value_makes_a_link_run_or_open_something(attempts: Attempts) -> None:
    for link in EVIL_LINKS:
        attempts.check(f"is_safe {link[:40]!r}", held=not is_safe(link))
        for place in HTML_PLACES:
            made = EmailContent(subject="s", html=place)
            attempts.check(f"{place} {link[:40]!r}", held=refused(made, u=link, v="x"))
    for link in GOOD_LINKS:
        attempts.check(f"good {link}", held=is_safe(link) and is_web_address(link))
        made = EmailContent(subject="s", html=HTML_PLACES[0])
        attempts.check(f"good in a place {link}", held=not refused(made, u=link))


def card(**fields: Any) -> WecomTemplateCard:
    known = {"card_type": "news_notice", "main_title": {"title": "t"}, "card_image": {"url": "https://x.example/a.png"}}
    action = {"card_action": {"type": 1, "url": "https://x.example"}}
    return WecomTemplateCard.model_validate({"type": "template_card", "card": {**known, **action, **fields}})


def wecom_links(u: str) -> Iterator[tuple[str, Content]]:
    """Every place of a WeCom message that holds a whole link."""
    yield "textcard", WecomTextCard(type="textcard", title="t", description="d", url=u)
    for name in ("url", "picurl"):
        article = {"title": "t", "url": "https://x.example", name: u}
        yield f"news {name}", _of({"type": "news", "articles": [article]})
    yield "jump_list", card(jump_list=[{"type": 1, "title": "t", "url": u}])
    yield "second of a jump_list", card(jump_list=[{"type": 1, "title": "t", "url": "https://x.example"}, {"url": u}])
    yield "card_action", card(card_action={"type": 1, "url": u})
    yield "card_image", card(card_image={"url": u})
    yield "source", card(source={"icon_url": u})
    yield "quote_area", card(quote_area={"type": 1, "url": u, "quote_text": "t"})
    yield "image_text_area", card(image_text_area={"type": 1, "url": u, "title": "t", "image_url": "https://x.example"})
    yield "its image", card(image_text_area={"type": 0, "title": "t", "image_url": u})
    yield "horizontal_content_list", card(horizontal_content_list=[{"type": 1, "keyname": "k", "url": u}])
    yield "button", card(button_list=[{"type": 1, "text": "t", "url": u}])


def _of(fields: dict[str, Any]) -> Content:
    from pydantic import TypeAdapter

    found: Content = TypeAdapter(Content).validate_python(fields)
    return found


def test_no_field_of_a_wecom_message_holds_another_link_than_a_web_address(attempts: Attempts) -> None:
    for link in [*EVIL_LINKS, *WEB_EVIL]:
        # An empty one is none, and leads nowhere.
        for name, made in wecom_links("{{ u }}"):
            held = refused(made, u=link) or (not link and name not in {"textcard", "news url", "card_action"})
            attempts.check(f"{name} {link[:40]!r}", held=held)
        for source in ('<a href="{{ u }}">x</a>', "<a href='{{ u }}'>x</a>"):
            attempts.check(f"text {source} {link[:40]!r}", held=refused(WecomText(type="text", content=source), u=link))
        made = WecomMarkdown(type="markdown", content="[x]({{ u }})")
        attempts.check(f"markdown {link[:40]!r}", held=refused(made, u=link))
    for link in ENCODED:
        made = WecomText(type="text", content='<a href="{{ u }}">x</a>')
        attempts.check(f"encoded {link}", held=refused(made, u=link))
    for name, made in wecom_links("{{ u }}"):
        attempts.check(f"good {name}", held=not refused(made, u="https://example.com/a?b=c"))


MARKUP = [
    *("[Pay here](https://evil.example)", "<@all>", "<@ALL>", "<@ada>", '<font color="warning">x</font>', "**bold**"),
    *("</div><a href='https://evil.example'>x</a>", "`code`", "# heading", "> quote", "x\n# heading", "x\r\n> quote"),
    *("](https://evil.example)", "(https://evil.example)", "![x](https://evil.example)", "[x]", "<br>", "<a href=x>y"),
]


def shown(made: Content, **variables: Any) -> str:
    rendered = compile_content(made).render({}, variables)
    assert isinstance(rendered, RenderedWecom)
    return "\n".join(str(each) for each in rendered.body.values())


def test_no_value_is_markup_in_a_wecom_message(attempts: Attempts) -> None:
    for value in MARKUP:
        for source in ("{{ v }}", "Hi {{ v }}!", "[1]{{ v }}", "{{ w }}{{ v }}", "{% if v %}{{ v }}{% endif %}"):
            made = WecomMarkdown(type="markdown", content=source)
            text = shown(made, **({"v": value, "w": "[x]"} if "w" in source else {"v": value}))
            held = not any(mark in text.replace("[1]", "") for mark in ("[", "]", "<", "](", "**", "`"))
            held = held and "](" not in text and not any(line.lstrip()[:1] in {"#", ">"} for line in text.splitlines())
            attempts.check(f"markdown {source} {value!r}: {text!r}", held=held)
        plain: list[Content] = [
            WecomText(type="text", content="{{ v }}"),
            WecomTextCard(type="textcard", title="{{ v }}", description='<div class="gray">{{ v }}</div>', url="x"),
            card(main_title={"title": "{{ v }}"}, sub_title_text="{{ v }}"),
        ]
        for content in plain:
            text = shown(content, v=value).replace('<div class="gray">', "").replace("</div>", "", 1)
            attempts.check(f"{content.type} {value!r}: {text!r}", held="<" not in text)


def test_formatting_that_is_wanted_leads_nowhere_and_calls_nobody(attempts: Attempts) -> None:
    made = WecomMarkdown(type="markdown", content="[1]{{ v | markdown }}")
    assert shown(made, v="**bold** `code`\n# heading\n> quote") == "[1]**bold** `code`\n# heading\n> quote"
    for value in MARKUP:
        text = shown(made, v=value).removeprefix("[1]")
        attempts.check(f"{value!r}: {text!r}", held=not set("<[]") & set(text) and not text.startswith("("))
    for content in (SmsContent(text="{{ v | markdown }}"), WecomText(type="text", content="{{ v | markdown }}")):
        attempts.check(content.type, held=refused(content, v="x"))
    attempts.check("within", held=refused(WecomMarkdown(type="markdown", content="{{ v | markdown ~ v }}"), v="x"))


def test_no_value_calls_everybody(attempts: Attempts) -> None:
    tried: list[tuple[Content, Any]] = [
        (WecomText(type="text", content="x", mentioned_list=["{{ v }}"]), "@all"),
        (WecomText(type="text", content="x", mentioned_list=["@{{ v }}"]), "all"),
        (WecomText(type="text", content="x", mentioned_mobile_list=["{{ v }}"]), " @ALL "),
        (WecomMarkdown(type="markdown", content="<@{{ v }}>"), "all"),
        (WecomMarkdown(type="markdown", content="<@a{{ v }}>"), "ll"),
        (WecomMarkdown(type="markdown", content="<@{{ v }}>"), "ada><@all"),
    ]
    for made, value in tried:
        attempts.check(f"{made.type} {value!r}", held=refused(made, v=value))
    assert shown(WecomMarkdown(type="markdown", content="<@{{ v }}> <@all>"), v="ada") == "<@ada> <@all>"


def test_a_value_in_a_link_or_attribute_of_a_wecom_message_does_not_leave_it(attempts: Attempts) -> None:
    evil = [
        '" onclick="x',
        "') [x](https://evil.example",
        ")](https://evil.example) <@all>",
        "a b\n# x",
        '"><a href="x',
    ]
    # With a filter the template is compiled by Jinja; without, it is filled in on the short way.
    for value, shown_as in ((value, blank) for value in evil for blank in ("{{ v }}", "{{ v | trim }}")):
        text = shown(WecomMarkdown(type="markdown", content=f"[x](https://x.example/{shown_as})"), v=value)
        attempts.check(f"markdown {text!r}", held=text.count("(") == text.count(")") == 1 and " " not in text)
        text = shown(WecomText(type="text", content=f'<a href="https://x.example/{shown_as}">x</a>'), v=value)
        attempts.check(f"text {text!r}", held=text.count('"') == 2 and text.count("<") == 2)
        text = shown(WecomText(type="text", content=f"<a title='{shown_as}'>x</a>"), v=value)
        attempts.check(f"attribute {text!r}", held=text.count("'") == 2 and text.count("<") == 2)


@pytest.mark.parametrize("place", PLACES)
def test_what_a_place_does_can_be_compiled(place: str) -> None:
    # Jinja writes the name of a filter between quotes of its own into the code that it makes.
    assert not set(place) & set("'\"\\")
