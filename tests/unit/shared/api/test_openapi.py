"""The API's description: valid, complete, and true to the models; and its page for people."""

import json
import re
from base64 import b64encode
from hashlib import sha256
from html import escape
from html.parser import HTMLParser
from typing import Any

import pytest
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate

from functions.manage.account_input import read_secret, read_settings
from shared.api.docs_page import POLICY, page
from shared.api.examples import EXAMPLES
from shared.api.field_docs import field_docs
from shared.api.openapi import document
from shared.api.operation import Operation
from shared.api.operations import BY_ID, OPERATIONS
from shared.providers.table import PROVIDERS


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    return document()


def operation_of(described: dict[str, Any], operation: Operation) -> dict[str, Any]:
    found: dict[str, Any] = described["paths"][operation.path][operation.method.lower()]
    return found


def validator(described: dict[str, Any], schema: dict[str, Any]) -> OAS31Validator:
    return OAS31Validator({**schema, "components": described["components"]})


def test_the_description_is_valid(described: dict[str, Any]) -> None:
    validate(described)
    assert described["openapi"] == "3.1.0"
    assert json.loads(json.dumps(described)) == described


def test_a_docstring_under_a_field_describes_it(described: dict[str, Any]) -> None:
    shown = described["components"]["schemas"]["CampaignCreate"]["properties"]
    ttl = "Seconds in which a message must be sent once it is due; the default is the template's."
    assert shown["ttl"]["description"] == ttl
    assert shown["audience"] == {"$ref": "#/components/schemas/Audience", "description": "The file of recipients."}
    [after] = [p for p in operation_of(described, BY_ID["list_audit"])["parameters"] if p["name"] == "after"]
    assert after["description"] == "Records from this time on." and "description" not in after["schema"]
    assert escape(ttl) in page(described)


@pytest.mark.parametrize("operation", [o for o in OPERATIONS if o.request or o.response], ids=lambda o: o.id)
def test_no_docstring_of_a_field_is_left_out(described: dict[str, Any], operation: Operation) -> None:
    for model in (operation.request, operation.response):
        docs = {} if model is None else field_docs(model)
        found = [
            schema
            for name, schema in described["components"]["schemas"].items()
            if model and name.partition("-")[0] == model.__name__
        ]
        for schema in found:
            said = [field["description"] for field in schema["properties"].values() if "description" in field]
            assert len(said) >= len(docs)


def test_every_operation_is_there_once(described: dict[str, Any]) -> None:
    ids = [operation["operationId"] for methods in described["paths"].values() for operation in methods.values()]
    assert sorted(ids) == sorted(BY_ID)
    assert {operation_of(described, o)["tags"][0] for o in OPERATIONS} == {t["name"] for t in described["tags"]}


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: o.id)
def test_an_operation_documents_the_statuses_it_can_answer(described: dict[str, Any], operation: Operation) -> None:
    found = operation_of(described, operation)
    expected = {operation.success, *operation.errors, 500, 503}
    if operation.scope is not None:
        expected |= {401, 403}
    assert set(found["responses"]) == {str(status) for status in expected}
    for status, answer in found["responses"].items():
        if int(status) >= 400:
            assert list(answer["content"]) == ["application/problem+json"]
    assert ("content" in found["responses"][str(operation.success)]) == (operation.success != 204)
    assert found["security"] == ([{"apiKey": [operation.scope.value]}] if operation.scope else [])


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: o.id)
def test_an_operation_documents_its_parameters(described: dict[str, Any], operation: Operation) -> None:
    parameters = operation_of(described, operation)["parameters"]
    by_place: dict[str, set[str]] = {"path": set(), "query": set(), "header": set()}
    for parameter in parameters:
        by_place[parameter["in"]].add(parameter["name"])
        assert "anyOf" not in parameter["schema"]
    assert by_place["path"] == set(re.findall(r"\{(\w+)\}", operation.path))
    fields = operation.query.model_fields if operation.query else {}
    assert by_place["query"] == {field.alias or name for name, field in fields.items()}
    assert by_place["header"] == (
        {"Idempotency-Key"} if operation.id in ("send_messages", "start_verification") else set()
    )


def test_every_body_has_an_example() -> None:
    assert set(EXAMPLES) == {operation.id for operation in OPERATIONS if operation.request is not None}


@pytest.mark.parametrize(("name", "example"), [(i, e) for i, found in EXAMPLES.items() for e in found.values()])
def test_an_example_fits_its_model_and_its_schema(described: dict[str, Any], name: str, example: Any) -> None:
    operation = BY_ID[name]
    assert operation.request is not None
    operation.request.model_validate_json(json.dumps(example))
    body = operation_of(described, operation)["requestBody"]["content"]["application/json"]
    validator(described, body["schema"]).validate(example)
    if name == "create_account":
        settings = read_settings(example["settings"])
        read_secret(settings.provider, example.get("secret", {}))


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_providers_settings_and_secret_are_described(described: dict[str, Any], provider: str) -> None:
    schemas = described["components"]["schemas"]
    settings = schemas["AccountCreate"]["properties"]["settings"]
    place = settings["discriminator"]["mapping"][provider]
    assert {"$ref": place} in settings["oneOf"]
    assert schemas[place.rpartition("/")[2]]["properties"]["provider"]["const"] == provider
    secret = schemas[f"{provider.capitalize()}Secret"]
    for field in secret.get("properties", {}).values():
        assert "password" in json.dumps(field)


@pytest.mark.parametrize(
    ("name", "body", "fits"),
    [
        ("send_messages", {"template": "x", "to": "a"}, True),
        ("send_messages", {"template": "x", "to": "a", "recipients": None}, True),
        ("send_messages", {"template": "x", "recipients": [{"to": "a"}]}, True),
        ("send_messages", {"template": "x"}, False),
        ("send_messages", {"template": "x", "to": "a", "recipients": [{"to": "b"}]}, False),
        ("send_messages", {"template": "x", "to": "a", "extra": 1}, False),
        ("create_account", {"id": "a", "name": "a", "settings": {"provider": "robot"}}, True),
        ("create_account", {"id": "a", "name": "a", "settings": {"provider": "fax"}}, False),
        ("create_account", {"id": "a", "name": "a", "settings": {"provider": "robot", "x": 1}}, False),
        ("update_account", {"settings": None, "secret": None}, True),
        ("update_account", {"secret": {"passwort": "x"}}, False),
        ("create_key", {"name": "a", "scopes": []}, False),
        ("redrive_dead_letters", {"all": True}, True),
        ("redrive_dead_letters", {"all": True, "class": None}, True),
        ("redrive_dead_letters", {"class": "marketing", "ids": ["a"]}, True),
        ("redrive_dead_letters", {}, False),
        ("redrive_dead_letters", {"all": False, "template": None}, False),
        ("redrive_dead_letters", {"all": True, "template": "x"}, False),
        ("discard_dead_letters", {"account": "a"}, False),
    ],
)
def test_the_schema_says_what_the_model_takes(described: dict[str, Any], name: str, body: Any, fits: bool) -> None:
    schema = operation_of(described, BY_ID[name])["requestBody"]["content"]["application/json"]["schema"]
    assert validator(described, schema).is_valid(body) is fits


def test_the_server_can_be_named() -> None:
    assert document("https://push.example.com")["servers"] == [{"url": "https://push.example.com"}]
    assert document()["servers"] == [{"url": "/"}]


class Reader(HTMLParser):
    """Collects what the page is made of, and that its tags are closed in order."""

    VOID = frozenset({"meta", "link", "br", "img", "hr", "input"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.meta: dict[str, str] = {}
        self.style = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        self.ids += [found["id"]] if "id" in found else []
        self.links += [found[name] for name in ("href", "src") if name in found]
        if tag == "meta" and "http-equiv" in found:
            self.meta[found["http-equiv"]] = found["content"]
        assert not any(name == "style" or name.startswith("on") for name in found)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "style":
            self.style += data


@pytest.fixture(scope="module")
def read(described: dict[str, Any]) -> Reader:
    reader = Reader()
    reader.feed(page(described))
    reader.close()
    return reader


def test_the_page_is_whole_and_needs_nothing_else(read: Reader) -> None:
    assert read.open == []
    assert not {"script", "link", "img", "iframe", "form"} & set(read.tags)
    assert all(link.startswith("#") or link == "/openapi.json" for link in read.links)
    assert {"nav", "main", "caption", "title"} <= set(read.tags)


def test_the_page_allows_its_own_style_and_nothing_else(read: Reader) -> None:
    digest = b64encode(sha256(read.style.encode()).digest()).decode()
    assert "Content-Security-Policy" not in read.meta
    policy = POLICY
    assert policy.startswith("default-src 'none'; ")
    assert f"style-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy


def test_the_page_names_everything_once_and_every_link_leads_somewhere(read: Reader, described: dict[str, Any]) -> None:
    assert len(read.ids) == len(set(read.ids))
    assert set(BY_ID) <= set(read.ids)
    assert {f"schema-{name}" for name in described["components"]["schemas"]} <= set(read.ids)
    assert {link[1:] for link in read.links if link.startswith("#")} <= set(read.ids)


def test_the_page_escapes_what_it_shows(described: dict[str, Any]) -> None:
    evil = "<script>alert('x')</script>"
    changed = json.loads(json.dumps(described))
    changed["info"]["description"] = evil
    changed["components"]["schemas"]["Problem"]["description"] = evil
    changed["components"]["schemas"]["Problem"]["properties"]["title"]["pattern"] = evil
    operation = changed["paths"]["/v1/messages"]["post"]
    operation["summary"] = evil
    operation["requestBody"]["content"]["application/json"]["examples"]["one"]["value"] = {"a": evil}
    assert "<script" not in page(changed)
