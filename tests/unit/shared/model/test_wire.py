"""What is read where it travels is told apart from what cannot be read; and nothing else spells the short keys."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.model import envelope as envelopes
from shared.model import events
from shared.model.envelope import read_envelope
from shared.model.events import read_record
from shared.model.wire import UnreadableError
from tests.samples import envelope

ROOT = Path(__file__).parents[4]
SHORT = {*events._KEYS.values(), *envelopes._KEYS.values(), *envelopes._ENVELOPE_KEYS.values()}
ALSO_WORDS = {
    "account",
    "avoid",
    "class",
    "code",
    "note",
    "to",
    "tag",
    "at",
    "ms",
    "until",
    "of",
    "over",
    "down",
    "checks",
}
"""Keys that are names in other places: of requests, of providers' answers, of tables."""


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ('"i":0', '"i":"zero"', "recipients[0].i"),
        ('"to":', '"two":', "recipients[0]"),
        ('"email"', '"ann@example.com"', "channel"),
        ('"version":1', '"version":1.5', "version"),
        ('"recipients":[', '"recipients":{}, "x":[', "recipients"),
        ("}", "", ""),
    ],
)
def test_what_cannot_be_read_is_named_by_its_place_and_never_by_its_value(old: str, new: str, field: str) -> None:
    text = envelope().to_json()
    assert old in text
    with pytest.raises(UnreadableError) as wrong:
        read_envelope(text.replace(old, new, 1))
    assert wrong.value.field == field
    assert "ann@" not in str(wrong.value) and "zero" not in str(wrong.value)


@pytest.mark.parametrize("text", [b"", b"null", b"[]", b"\xff", b'{"v":1', b'{"a":' * 100_000, '"\ud800"'])
def test_whatever_comes_is_read_or_unreadable(text: bytes | str) -> None:
    for read in (read_envelope, read_record):
        with pytest.raises(UnreadableError):
            read(text)


def test_keys_that_are_not_known_are_passed_over() -> None:
    one = envelope()
    assert read_envelope(one.to_json()[:-1] + ',"added_later":{"x":[1]}}') == one


def spelled(tree: ast.AST) -> Iterator[str]:
    """The keys by which dictionaries are read."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript):
            key: ast.expr | None = node.slice
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get":
            key = node.args[0] if node.args else None
        else:
            continue
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            yield key.value


@pytest.mark.parametrize("package", ["shared", "functions"])
def test_no_code_reads_a_row_by_its_short_keys(package: str) -> None:
    found = [
        (path.relative_to(ROOT).as_posix(), key)
        for path in (ROOT / package).rglob("*.py")
        for key in spelled(ast.parse(path.read_text("utf-8")))
        if key in SHORT - ALSO_WORDS
    ]
    assert found == []
