"""What bodies and queries may hold: no more than the API's description says."""

import json
from typing import Any

import pytest
from openapi_schema_validator import OAS31Validator
from pydantic import TypeAdapter, ValidationError

from functions.manage.template_checks import check_content
from shared.api.kit import parse
from shared.api.manage import AccountUpdate, TemplateUpdate, VersionCreate
from shared.api.messages import SendRequest
from shared.api.openapi import document
from shared.api.problems import MalformedError, problem_of
from shared.api.trace import MessageQuery, RangeQuery
from shared.errors import InvalidError
from shared.model.content import WecomFile, WecomTemplateCard
from shared.model.envelope import read_envelope
from shared.model.words import MessageClass
from tests.samples import envelope

SEND = {"template": "x", "to": "a"}


def refused(model: Any, body: bytes) -> InvalidError:
    with pytest.raises(InvalidError) as caught:
        parse(model, body)
    return caught.value


@pytest.mark.parametrize(
    ("model", "field", "good", "bad"),
    [
        (SendRequest, "version", [1, 999_999, 2.0], [0, 1_000_000, 10**30, True, "1", 1.5]),
        (SendRequest, "ttl", [10, 259_200, 60.0], [9, 259_201, False, "60"]),
        (MessageQuery, "limit", [1, 100], [0, 101, True, "20"]),
        (AccountUpdate, "weight", [0, 1000], [-1, 1001, False, "7"]),
        (TemplateUpdate, "ttl_seconds", [10, 259_200], [9, 259_201, True, "60"]),
    ],
)
def test_a_number_is_a_number_within_its_bounds(model: Any, field: str, good: list[Any], bad: list[Any]) -> None:
    base = {SendRequest: SEND, MessageQuery: {"to": "a"}}.get(model, {})
    schema = TypeAdapter(model).json_schema()["properties"][field]
    for value in good:
        assert getattr(parse(model, json.dumps(base | {field: value}).encode()), field) == value
        assert OAS31Validator(schema).is_valid(value)
    for value in bad:
        problem = problem_of(refused(model, json.dumps(base | {field: value}).encode()))
        assert (problem.status, [error.field for error in problem.errors]) == (422, [field])
        assert not OAS31Validator(schema).is_valid(value)


@pytest.mark.parametrize("value", [0, 1_736_935_200, "0", "1736935200", "1e3", "2025-01-15", "2025-01-15T08:00:00", ""])
def test_a_time_has_a_date_and_an_offset(value: Any) -> None:
    body = json.dumps(SEND | {"send_at": value}).encode()
    assert [error.field for error in refused(SendRequest, body).errors] == ["send_at"]
    with pytest.raises(ValidationError, match="1 validation error"):
        RangeQuery.model_validate({"after": str(value)})


@pytest.mark.parametrize("value", ["2025-01-15T08:00:00Z", "2025-01-15t08:00:00.5+08:00", "2025-01-15 08:00Z"])
def test_a_time_is_read(value: str) -> None:
    found = RangeQuery.model_validate({"after": value}).after
    assert found is not None
    assert found.utcoffset() is not None


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_words_that_json_has_not_are_400(number: str) -> None:
    error = refused(SendRequest, b'{"template": "x", "to": "a", "variables": {"a": [%s]}}' % number.encode())
    assert isinstance(error, MalformedError)
    assert [each.field for each in error.errors] == [""]
    parse(SendRequest, json.dumps(SEND | {"variables": {number: number}}).encode())


def test_a_card_holds_finite_numbers_and_no_endless_nesting() -> None:
    card: dict[str, Any] = {"a": "b"}
    for _ in range(40):
        card = {"a": card}
    for bad in (card, {"a": [float("inf")]}):
        with pytest.raises(InvalidError) as caught:
            check_content(
                WecomTemplateCard(type="template_card", card=bad), MessageClass.NOTIFICATION, {}, [], new=True
            )
        assert [error.field for error in caught.value.errors] == ["content.card"]


@pytest.mark.parametrize(
    ("data", "good"), [("AAAA", True), ("AA==", True), ("!!!!", False), ("AA\nAA", False), ("A", False)]
)
def test_a_file_is_base64_and_nothing_else(data: str, good: bool) -> None:
    schema = document()["components"]["schemas"]["WecomFile"]
    assert OAS31Validator(schema).is_valid({"type": "file", "data": data}) is good
    body = json.dumps({"content": {"type": "file", "data": data}}).encode()
    if good:
        content = parse(VersionCreate, body).content
        assert isinstance(content, WecomFile)
        assert WecomFile.model_validate_json(content.model_dump_json()) == content
    else:
        assert [error.field for error in refused(VersionCreate, body).errors] == ["content.data"]


@pytest.mark.parametrize(
    ("content", "fits"),
    [
        ({"type": "email", "subject": "a", "text": "b"}, True),
        ({"type": "email", "subject": "a", "text": "b", "html": None}, True),
        ({"type": "email", "subject": "a", "html": None}, False),
        ({"subject": "a", "text": "b"}, False),
        ({"type": "sms", "tencent": {"template_id": "1"}}, True),
        ({"type": "sms"}, False),
        ({"type": "image", "media_id": "a"}, True),
        ({"type": "image", "media_id": "a", "data": "AAAA"}, False),
        ({"type": "image"}, False),
    ],
)
def test_the_description_tells_contents_apart_as_the_models_do(content: dict[str, Any], fits: bool) -> None:
    described = document()
    schema = described["components"]["schemas"]["VersionCreate"]
    validator = OAS31Validator({**schema, "components": described["components"]})
    assert validator.is_valid({"content": content}) is fits
    body = json.dumps({"content": content}).encode()
    if fits:
        parse(VersionCreate, body)
    else:
        assert problem_of(refused(VersionCreate, body)).status == 422


def test_an_envelope_has_only_characters_that_a_queue_takes() -> None:
    one = envelope(variables={"note": "\ufffe a \uffff b \0 c \\uffff"}, reference="\uffff")
    text = one.to_json()
    # SQS API reference, SendMessage: #x9, #xA, #xD, #x20 to #xD7FF, #xE000 to #xFFFD, #x10000 to #x10FFFF.
    assert all(c in "\t\n\r" or " " <= c <= "\ud7ff" or "\ue000" <= c <= "\ufffd" or c >= "\U00010000" for c in text)
    assert read_envelope(text) == one
