"""What filters, tests and operators take: what they cannot read is refused by name, never read as something else."""

import json
from typing import Any

import pytest

from shared.model.content import RenderedSms, SmsContent
from shared.rendering.meter import LIST, MISSING, NUMBER, OBJECT, TEXT, TRUTH
from shared.rendering.operators import OPERATORS
from shared.rendering.places import PLACES
from shared.rendering.render import RenderingError, TemplateError, compile_content
from shared.rendering.words import FILTERS, TESTS

VALUES: dict[str, Any] = {
    TEXT: "secret",
    NUMBER: 7,
    TRUTH: True,
    LIST: ["secret"],
    OBJECT: {"a": "secret"},
    MISSING: None,
}


def shown(source: str, **variables: Any) -> str:
    rendered = compile_content(SmsContent(text=source)).render({}, variables)
    assert isinstance(rendered, RenderedSms)
    return str(rendered.text)


def unfit(source: str, **variables: Any) -> str:
    with pytest.raises(RenderingError) as caught:
        shown(source, **variables)
    return caught.value.message


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_refuses_every_kind_that_it_does_not_take_and_says_its_name(name: str) -> None:
    for kind, value in VALUES.items():
        if kind in FILTERS[name].takes:
            continue
        message = unfit("{{ o.v | " + name + " | default('') }}", o={"v": value})
        assert "secret" not in message
        assert ("missing" if kind is MISSING else f"{name} takes ") in message


@pytest.mark.parametrize("name", TESTS)
def test_a_test_refuses_every_kind_that_it_does_not_take_and_says_its_name(name: str) -> None:
    argument = " [1]" if name == "in" else ""
    for kind, value in VALUES.items():
        if kind in TESTS[name].takes:
            continue
        message = unfit("{{ 'y' if o.v is " + name + argument + " else 'n' }}", o={"v": value})
        assert ("missing" if kind is MISSING else f"{name} takes ") in message


@pytest.mark.parametrize(
    ("value", "filter", "result"),
    [
        ("1500", "int", "1500"),
        (" -7 ", "int", "-7"),
        (3.9, "int", "3"),
        ("1500", "float", "1500.0"),
        ("1.5e3", "float", "1500.0"),
        (".5", "float", "0.5"),
        (2, "float", "2.0"),
    ],
)
def test_numbers_are_read(value: Any, filter: str, result: str) -> None:
    assert shown("{{ v | " + filter + " }}", v=value) == result


@pytest.mark.parametrize("filter", ["int", "float"])
@pytest.mark.parametrize(
    "value",
    ["1,500", "1.5k", "", " ", "abc", "1_000", "１５００", "0x10", "1 500", "--1", "1e", "nan", "inf", "9" * 31, True],
)
def test_what_is_no_number_is_not_taken_for_one(value: Any, filter: str) -> None:
    assert f"{filter} takes " in unfit("{{ v | " + filter + " }}", v=value)


@pytest.mark.parametrize("value", ["1.5", "1.500", "1e3"])
def test_a_text_with_decimals_is_no_whole_number(value: str) -> None:
    assert "int takes " in unfit("{{ v | int }}", v=value)


@pytest.mark.parametrize(
    "source", ["{{ v | int(0) }}", "{{ v | float(default=0) }}", "{{ v | int(0, 16) }}", "{{ v | upper('x') }}"]
)
def test_no_filter_has_a_value_for_what_it_cannot_read(source: str) -> None:
    with pytest.raises(TemplateError, match="has no arguments"):
        compile_content(SmsContent(text=source))


@pytest.mark.parametrize("sign", ["==", "!=", "<", "<=", ">", ">="])
@pytest.mark.parametrize(
    ("one", "other"), [("150", 100), (100, "150"), (True, 1), ("true", True), ([1], [1]), ({}, {}), ("a", ["a"])]
)
def test_only_values_of_one_kind_are_compared(sign: str, one: Any, other: Any) -> None:
    message = unfit("{% if a " + sign + " b %}gold{% else %}silver{% endif %}", a=one, b=other)
    assert f"{sign} compares" in message or "a comparison takes" in message


def test_values_of_one_kind_are_compared() -> None:
    source = "{{ 'y' if a < b else 'n' }}{{ 'y' if a == b else 'n' }}{{ 'y' if a <= b <= c else 'n' }}"
    assert shown(source, a=1, b=2.0, c=2) == "yny"
    assert shown(source, a="a", b="b", c="a") == "ynn"


@pytest.mark.parametrize(
    ("value", "container", "result"),
    [("b", "abc", "y"), ("d", "abc", "n"), (1, [2, 1], "y"), ("a", ["b", None], "n"), ("k", {"k": 1}, "y")],
)
def test_values_are_looked_for(value: Any, container: Any, result: str) -> None:
    assert shown("{{ 'y' if v in c else 'n' }}", v=value, c=container) == result
    assert shown("{{ 'y' if v is in c else 'n' }}", v=value, c=container) == result
    assert shown("{{ 'n' if v not in c else 'y' }}", v=value, c=container) == result


@pytest.mark.parametrize(
    ("value", "container"), [(1, ["1"]), ("1", [1]), (1, "1"), ("1", 1), ([1], [[1]]), (True, [1])]
)
def test_nothing_is_looked_for_among_other_kinds(value: Any, container: Any) -> None:
    message = unfit("{{ 'y' if v in c else 'n' }}", v=value, c=container)
    assert "in compares" in message or "in takes" in message or "a comparison takes" in message


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{{ a + b }}", "+ takes two numbers or two texts"),
        ("{{ n + a }}", "+ takes two numbers"),
        ("{{ n - a }}", "- takes two numbers"),
        ("{{ a - n }}", "- takes a number"),
        ("{{ n / a }}", "/ takes two numbers"),
        ("{{ -a }}", "a minus sign takes a number"),
        ("{{ a ~ l }}", "~ takes texts and numbers"),
        ("{{ l ~ a }}", "~ takes"),
        ("{{ a + o.x }}", "missing"),
        ("{{ n / o.x }}", "missing"),
        ("{{ a ~ o.x }}", "missing"),
        ("{{ 'y' if a == o.x else 'n' }}", "missing"),
        ("{{ l | join(n) }}", "join takes a text"),
        ("{{ [l] | join }}", "a list is not allowed"),
        ("{{ a | trim(n) }}", "trim takes a text"),
        ("{{ a | truncate('x') }}", "truncate takes a length"),
        ("{{ a | truncate(2) }}", "truncate takes a length"),
        ("{{ big + big }}", "too large"),
        ("{{ big / 0.0001 }}", "too large"),
    ],
)
def test_operators_take_what_their_signs_say(source: str, message: str) -> None:
    variables = {"a": "secret", "b": 1, "n": 1, "l": ["x"], "o": {"y": 1}, "big": 1.7e308}
    used = {name: value for name, value in variables.items() if name in source}
    try:
        found = unfit(source, **used)
    except TemplateError as error:
        found = error.message
    assert message in found and "secret" not in found


@pytest.mark.parametrize("name", [*FILTERS, *OPERATORS, *TESTS, *PLACES])
def test_every_operation_says_what_it_takes_and_costs(name: str) -> None:
    operation = {**FILTERS, **OPERATORS, **TESTS, **PLACES}[name]
    assert operation.wants() and operation.cost.words
    json.dumps([operation.wants(), operation.cost.words])
