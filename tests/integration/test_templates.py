"""Managing templates through the API: what is saved, what is refused and why."""

import json
from typing import Any

import pytest

from functions.manage.deps import ManageDeps, ManageSettings
from functions.manage.templates import template_operations
from shared.api.kit import Api
from shared.aws.secrets import SecretStore
from shared.model.accounts import Account
from shared.model.words import Channel
from shared.store.catalog import Catalog
from shared.store.tokens import MemoryTokenCache
from tests.conftest import Aws
from tests.fakes import FakeClock

TEXT = {"type": "text", "content": "Hello {{ name }}"}


class Desk:
    """The template operations over moto."""

    def __init__(self, aws: Aws, clock: FakeClock) -> None:
        self.catalog = Catalog(aws.dynamodb, aws.catalog, clock)
        settings = ManageSettings(catalog_table="catalog", guard_table="guard", secret_prefix="x")
        secrets = SecretStore(aws.client("secretsmanager"), "x", clock=clock)
        self.api = Api(template_operations(ManageDeps(self.catalog, secrets, MemoryTokenCache(clock), clock, settings)))
        for name, channel, provider in (
            ("mail", Channel.EMAIL, "smtp"),
            ("tencent", Channel.SMS, "tencent"),
            ("aws", Channel.SMS, "aws"),
            ("app", Channel.WECOM, "app"),
            ("robot", Channel.WECOM, "robot"),
        ):
            self.catalog.create_account(
                Account(
                    id=name,
                    tenant="default",
                    name=name,
                    channel=channel,
                    provider=provider,
                    settings={},
                    created_at=0,
                    updated_at=0,
                )
            )

    def call(self, route: str, body: Any = None, query: Any = None, tenant: str = "default", **path: str) -> Any:
        caller = {"tenant": tenant, "key_id": "k", "kind": "live", "scopes": "read manage", "problem": ""}
        answer = self.api(
            {
                "routeKey": route,
                "headers": {},
                "pathParameters": path,
                "queryStringParameters": query,
                "body": json.dumps({} if body is None else body),
                "requestContext": {"authorizer": {"lambda": caller}},
            }
        )
        return answer["statusCode"], json.loads(answer["body"])

    def create(self, content: Any = None, **changes: Any) -> Any:
        body = {
            "id": "hello",
            "name": "Hello",
            "class": "notification",
            "accounts": ["app"],
            "content": content or TEXT,
            "sample": {"name": "Ann"},
        }
        return self.call("POST /v1/templates", body | changes)


@pytest.fixture
def desk(aws: Aws, clock: FakeClock) -> Desk:
    return Desk(aws, clock)


def fields(answer: tuple[int, Any]) -> list[str]:
    assert answer[0] == 422, answer
    return [e["field"] for e in answer[1]["errors"]]


def test_a_template_is_created_versioned_published_copied_and_archived(desk: Desk) -> None:
    status, made = desk.create()
    assert status == 201
    assert (made["channel"], made["class"], made["latest"], made["published"]) == ("wecom", "notification", 1, None)
    assert made["current"]["required"] == ["name"] and made["current"]["sample"] == {"name": "Ann"}
    content = {"type": "markdown", "content": "**{{ title }}** {{ more | default('') }}"}
    version = {"content": content, "sample": {"title": "T"}, "note": "second"}
    status, second = desk.call("POST /v1/templates/{id}/versions", version, id="hello")
    assert status == 201 and (second["version"], second["required"], second["optional"]) == (2, ["title"], ["more"])
    publish = "POST /v1/templates/{id}/versions/{version}/publish"
    assert desk.call(publish, id="hello", version="2")[1]["published"] == 2
    assert desk.call(publish, id="hello", version="3")[0] == 404
    assert desk.call("GET /v1/templates/{id}", id="hello")[1]["current"]["note"] == "second"
    # The first version is as it was.
    first = desk.call("GET /v1/templates/{id}/versions/{version}", id="hello", version="1")[1]
    assert first["content"]["content"] == TEXT["content"] and first["published"] is False
    status, copied = desk.call("POST /v1/templates/{id}/copy", {"id": "hello-2"}, id="hello")
    assert status == 201 and (copied["latest"], copied["published"]) == (1, None)
    assert copied["current"]["content"] == second["content"]
    assert desk.call("POST /v1/templates/{id}/copy", {"id": "hello-2"}, id="hello")[0] == 409
    assert desk.call("POST /v1/templates/{id}/archive", id="hello")[1]["archived"] is True
    assert desk.call(publish, id="hello", version="1")[0] == 409
    listed = desk.call("GET /v1/templates", query={"limit": "1"})[1]
    rest = desk.call("GET /v1/templates", query={"limit": "1", "cursor": listed["cursor"]})[1]
    assert [t["id"] for t in listed["templates"] + rest["templates"]] == ["hello", "hello-2"]
    assert rest["cursor"] is None
    assert desk.call("GET /v1/templates", query={"cursor": "%"})[0] == 422


def test_what_is_not_there_or_another_tenants_is_not_found(desk: Desk) -> None:
    desk.create()
    assert desk.call("GET /v1/templates/{id}", id="nope")[0] == 404
    assert desk.call("GET /v1/templates/{id}", id="hello", tenant="other")[0] == 404
    assert desk.create()[0] == 409
    for version in ("9", "0", "x", "²", "-1", "9" * 30):
        status, _ = desk.call("GET /v1/templates/{id}/versions/{version}", id="hello", version=version)
        assert status == (404 if version == "9" else 422)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"content": {"type": "text", "content": "{{ name"}}, "content.content"),
        ({"content": {"type": "text", "content": "{% for i in range(10**9) %}x{% endfor %}"}}, "content.content"),
        ({"content": {"type": "text", "content": "{% for i in name %}{% for j in name %}{% for k in name %}x"
                      "{% endfor %}{% endfor %}{% endfor %}"}}, "content.content"),
        ({"content": {"type": "text", "content": "{{ name.__class__ }}"}}, "content.content"),
        ({"sample": {}}, "sample.name"),
        ({"sample": {"name": "Ann", "x": 1}}, "sample.x"),
        ({"sample": {"name": "n" * 3000}}, "content.content"),
        ({"accounts": ["nope"]}, "accounts.0"),
        ({"accounts": ["app", "mail"]}, "accounts.1"),
        ({"accounts": []}, "accounts"),
        ({"id": "Not An Id"}, "id"),
        ({"class": "spam"}, "class"),
        ({"extra": 1}, "extra"),
        (
            {
                "content": {"type": "textcard", "title": "{{ name }}", "description": "d", "url": "https://example.com"},
                "accounts": ["app", "robot"],
            },
            "accounts.1",
        ),
        ({"content": {"type": "sms", "text": "{{ name }}"}, "accounts": ["tencent"]}, "accounts.0"),
        ({"content": {"type": "sms", "text": "{{ name }}"}, "accounts": ["aws", "tencent"]}, "accounts.1"),
        ({"content": {"type": "email", "subject": "{{ name }}", "html": "x"}, "accounts": ["app"]}, "accounts.0"),
    ],
)  # fmt: skip
def test_bad_input_names_its_field(desk: Desk, changes: Any, field: str) -> None:
    assert field in fields(desk.create(**changes))
    assert desk.call("GET /v1/templates", query={})[1]["templates"] == []


def test_an_sms_template_can_go_either_way(desk: Desk) -> None:
    content = {"type": "sms", "text": "Code {{ code }}", "tencent": {"template_id": "1001", "params": ["{{ code }}"]}}
    status, made = desk.create(content, accounts=["tencent", "aws"], sample={"code": "123456"})
    assert status == 201 and made["channel"] == "sms"
    preview = desk.call("POST /v1/templates/{id}/versions/{version}/preview", {}, id="hello", version="1")[1]
    assert preview["rendered"] == {"text": "Code 123456", "tencent": {"template_id": "1001", "params": ["123456"]}}
    assert preview["problems"] == {"tencent": [], "aws": []}


def test_a_preview_escapes_html_and_names_variables(desk: Desk) -> None:
    content = {"type": "email", "subject": "Hi {{ name }}", "html": "<b>{{ name }}</b>", "text": "{{ name }}"}
    desk.create(content, accounts=["mail"])
    route = "POST /v1/templates/{id}/versions/{version}/preview"
    evil = "<script>&"
    status, preview = desk.call(route, {"variables": {"name": evil}}, id="hello", version="1")
    assert status == 200
    assert preview["rendered"]["html"] == "<b>&lt;script&gt;&amp;</b>"
    assert preview["rendered"]["text"] == evil and preview["rendered"]["subject"] == "Hi " + evil
    assert fields(desk.call(route, {"variables": {}}, id="hello", version="1")) == ["variables.name"]
    assert fields(desk.call(route, {"variables": {"name": "a", "b": 1}}, id="hello", version="1")) == ["variables.b"]


def test_a_new_version_stays_in_its_channel_and_new_accounts_must_carry_the_content(desk: Desk) -> None:
    card = {"type": "textcard", "title": "{{ name }}", "description": "d", "url": "https://example.com"}
    desk.create(card)
    body = {"content": {"type": "sms", "text": "x"}, "sample": {}}
    assert fields(desk.call("POST /v1/templates/{id}/versions", body, id="hello")) == ["content.type"]
    assert fields(desk.call("PATCH /v1/templates/{id}", {"accounts": ["robot"]}, id="hello")) == ["accounts.0"]
    status, changed = desk.call("PATCH /v1/templates/{id}", {"name": "New", "ttl_seconds": 60}, id="hello")
    assert status == 200 and (changed["name"], changed["ttl_seconds"]) == ("New", 60)
