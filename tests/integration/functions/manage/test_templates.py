"""Managing templates through the API: what is saved, what is refused and why."""

import json
from base64 import b64encode
from collections.abc import Callable
from typing import Any

import pytest

from functions.manage.deps import deps_of
from functions.manage.function import ManageSettings
from functions.manage.templates import template_operations
from shared.api.kit import Api
from shared.api.operations import OPERATIONS
from shared.model.accounts import Account
from shared.model.words import Channel
from shared.store.catalog_items import CatalogConflictError
from shared.wiring.parts import Parts
from tests.conftest import Aws
from tests.fakes import FakeClock
from tests.samples import change

TEXT = {"type": "text", "content": "Hello {{ name }}"}
CARD = {"type": "textcard", "title": "{{ name }}", "description": "d", "url": "https://example.com"}
LIST = "GET /v1/templates"
ONE = "GET /v1/templates/{id}"
PATCH = "PATCH /v1/templates/{id}"
COPY = "POST /v1/templates/{id}/copy"
ARCHIVE = "POST /v1/templates/{id}/archive"
VERSIONS = "POST /v1/templates/{id}/versions"
VERSION = "GET /v1/templates/{id}/versions/{version}"
PUBLISH = "POST /v1/templates/{id}/versions/{version}/publish"
PREVIEW = "POST /v1/templates/{id}/versions/{version}/preview"


class TemplatesApi:
    """The template operations over moto."""

    def __init__(self, aws: Aws, clock: FakeClock) -> None:
        settings = ManageSettings(catalog_table="catalog", guard_table="guard", secret_prefix="x", queue_mappings="{}")
        deps = deps_of(Parts(settings, client=aws.client, clock=clock), settings)
        self.catalog = deps.catalog
        self.api = Api(template_operations(deps))
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
                ),
                change(),
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
        status, data = answer["statusCode"], json.loads(answer["body"])
        operation = next(o for o in OPERATIONS if o.route_key == route)
        assert status in {operation.success, *operation.errors}, f"{route} is not described to answer {status}"
        if status == operation.success and operation.response is not None:
            operation.response.model_validate(data)
        return status, data

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
def templates_api(aws: Aws, clock: FakeClock) -> TemplatesApi:
    return TemplatesApi(aws, clock)


def fields(answer: tuple[int, Any]) -> list[str]:
    assert answer[0] == 422, answer
    return [e["field"] for e in answer[1]["errors"]]


def test_a_template_is_created_versioned_published_copied_and_archived(templates_api: TemplatesApi) -> None:
    status, made = templates_api.create()
    assert status == 201
    assert (made["channel"], made["class"], made["latest"], made["published"]) == ("wecom", "notification", 1, None)
    assert made["current"]["required"] == ["name"] and made["current"]["sample"] == {"name": "Ann"}
    content = {"type": "markdown", "content": "**{{ title }}** {{ more | default('') }}"}
    version = {"content": content, "sample": {"title": "T"}, "note": "second"}
    status, second = templates_api.call(VERSIONS, version, id="hello")
    assert status == 201 and (second["version"], second["required"], second["optional"]) == (2, ["title"], ["more"])
    assert templates_api.call(PUBLISH, id="hello", version="2")[1]["published"] == 2
    assert templates_api.call(PUBLISH, id="hello", version="3")[0] == 404
    assert templates_api.call(ONE, id="hello")[1]["current"]["note"] == "second"
    # The first version is as it was.
    first = templates_api.call(VERSION, id="hello", version="1")[1]
    assert first["content"]["content"] == TEXT["content"] and first["published"] is False
    status, copied = templates_api.call(COPY, {"id": "hello-2"}, id="hello")
    assert status == 201 and (copied["latest"], copied["published"]) == (1, None)
    assert copied["current"]["content"] == second["content"]
    assert templates_api.call(COPY, {"id": "hello-2"}, id="hello")[0] == 409
    assert templates_api.call(ARCHIVE, id="hello")[1]["archived"] is True
    assert templates_api.call(PUBLISH, id="hello", version="1")[0] == 409
    listed = templates_api.call(LIST, query={"limit": "1"})[1]
    rest = templates_api.call(LIST, query={"limit": "1", "cursor": listed["cursor"]})[1]
    assert [t["id"] for t in listed["templates"] + rest["templates"]] == ["hello", "hello-2"]
    assert rest["cursor"] is None
    assert templates_api.call(LIST, query={"cursor": "%"})[0] == 422


def test_what_is_not_there_or_another_tenants_is_not_found(templates_api: TemplatesApi) -> None:
    templates_api.create()
    assert templates_api.call(ONE, id="nope")[0] == 404
    assert templates_api.call(ONE, id="hello", tenant="other")[0] == 404
    assert templates_api.create()[0] == 409
    for version in ("9", "0", "x", "²", "-1", "9" * 30):
        status, _ = templates_api.call(VERSION, id="hello", version=version)
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
        ({"accounts": ["app", "app"]}, "accounts.1"),
        ({"accounts": []}, "accounts"),
        ({"sample": {"name": None}}, "sample.name"),
        ({"sample": {"name": {"a": {"b": {"c": {"d": {}}}}}}}, "sample"),
        ({"sample": {"name": ["a"]}}, "content.content"),
        ({"sample": []}, "sample"),
        ({"content": {"type": "text", "content": "{{ name * 1000000000 }}"}}, "content.content"),
        ({"content": {"type": "text", "content": "{% for i in name recursive %}{{ loop(name) }}{% endfor %}"}},
         "content.content"),
        ({"content": {"type": "markdown", "content": "{{ name }}" + "x" * 3000}, "accounts": ["robot", "app"]},
         "content.content"),
        ({"content": {"type": "email", "subject": "{{ name }}", "html": "<p>", "text": "{{ other() }}"},
          "accounts": ["mail"]}, "content.text"),
        ({"content": {"type": "email", "subject": "{{ name }}", "html": "中" * 140_000}, "accounts": ["mail"]},
         "content"),
        ({"ttl_seconds": 5}, "ttl_seconds"),
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
def test_bad_input_names_its_field(templates_api: TemplatesApi, changes: Any, field: str) -> None:
    assert field in fields(templates_api.create(**changes))
    assert templates_api.call(LIST, query={})[1]["templates"] == []


def test_an_sms_template_can_go_either_way(templates_api: TemplatesApi) -> None:
    content = {"type": "sms", "text": "Code {{ code }}", "tencent": {"template_id": "1001", "params": ["{{ code }}"]}}
    status, made = templates_api.create(content, accounts=["tencent", "aws"], sample={"code": "123456"})
    assert status == 201 and made["channel"] == "sms"
    preview = templates_api.call(PREVIEW, {}, id="hello", version="1")[1]
    assert preview["rendered"] == {"text": "Code 123456", "tencent": {"template_id": "1001", "params": ["123456"]}}
    assert preview["problems"] == {"tencent": [], "aws": []}


def test_a_code_for_tencent_must_be_a_number(templates_api: TemplatesApi) -> None:
    content = {"type": "sms", "tencent": {"template_id": "1001", "params": ["{{ code }}", "{{ code }}"]}}
    body: Any = {"accounts": ["tencent"], "class": "verification"}
    answer = templates_api.create(content, **body, sample={"code": "A1B2"})
    assert fields(answer) == ["content.tencent.params.0", "content.tencent.params.1"]
    assert "1 to 6 digits" in answer[1]["errors"][0]["message"]
    assert templates_api.create(content, **body, sample={"code": "123456"})[0] == 201
    version: Any = {"content": content, "sample": {"code": "1234567"}}
    assert fields(templates_api.call(VERSIONS, version, id="hello"))[0] == "content.tencent.params.0"
    preview = templates_api.call(PREVIEW, {"variables": {"code": "A1"}}, id="hello", version="1")[1]
    assert "1 to 6 digits" in preview["problems"]["tencent"][0]


def test_a_preview_escapes_html_and_names_variables(templates_api: TemplatesApi) -> None:
    content = {"type": "email", "subject": "Hi {{ name }}", "html": "<b>{{ name }}</b>", "text": "{{ name }}"}
    templates_api.create(content, accounts=["mail"])
    evil = "<script>&"
    status, preview = templates_api.call(PREVIEW, {"variables": {"name": evil}}, id="hello", version="1")
    assert status == 200
    assert preview["rendered"]["html"] == "<b>&lt;script&gt;&amp;</b>"
    assert preview["rendered"]["text"] == evil and preview["rendered"]["subject"] == "Hi " + evil
    assert fields(templates_api.call(PREVIEW, {"variables": {}}, id="hello", version="1")) == ["variables.name"]
    assert fields(templates_api.call(PREVIEW, {"variables": {"name": "a", "b": 1}}, id="hello", version="1")) == [
        "variables.b"
    ]


def test_a_new_version_stays_in_its_channel_and_within_the_accounts(templates_api: TemplatesApi) -> None:
    templates_api.create(accounts=["robot", "app"])
    body: Any = {"content": {"type": "sms", "text": "x"}, "sample": {}}
    assert fields(templates_api.call(VERSIONS, body, id="hello")) == ["content.type"]
    # The request names no account, so the content is to blame.
    answer = templates_api.call(VERSIONS, {"content": CARD, "sample": {"name": "Ann"}}, id="hello")
    assert fields(answer) == ["content"] and "`robot`" in answer[1]["errors"][0]["message"]
    assert fields(templates_api.call(VERSIONS, {"content": TEXT, "sample": {"x": 1}}, id="hello")) == [
        "sample.name",
        "sample.x",
    ]
    long = {"type": "markdown", "content": "x" * 3000}
    answer = templates_api.call(VERSIONS, {"content": long}, id="hello")
    assert fields(answer) == ["content.content"] and "provider app" in answer[1]["errors"][0]["message"]
    assert templates_api.call(ONE, id="hello")[1]["latest"] == 1
    assert templates_api.call(VERSIONS, {"content": TEXT, "sample": {"name": "A"}}, id="nope")[0] == 404


def test_new_accounts_must_carry_the_content_that_is_sent(templates_api: TemplatesApi) -> None:
    templates_api.create({"type": "markdown", "content": "{{ name }}" + "x" * 3000}, accounts=["robot"])
    assert fields(templates_api.call(PATCH, {"accounts": ["robot", "app"]}, id="hello")) == ["accounts.1"]
    assert fields(templates_api.call(PATCH, {"accounts": ["mail"]}, id="hello")) == ["accounts.0"]
    templates_api.create(CARD, id="card")
    answer = templates_api.call(PATCH, {"accounts": ["app", "robot"], "name": "Not taken"}, id="card")
    assert fields(answer) == ["accounts.1"]
    assert templates_api.call(ONE, id="card")[1]["name"] == "Hello"
    # A version that the new accounts cannot carry cannot be published any more.
    short = {"content": {"type": "markdown", "content": "{{ name }}"}, "sample": {"name": "A"}}
    assert templates_api.call(VERSIONS, short, id="hello")[0] == 201
    assert templates_api.call(PUBLISH, id="hello", version="2")[0] == 200
    assert templates_api.call(PATCH, {"accounts": ["app"]}, id="hello")[1]["accounts"] == ["app"]
    assert fields(templates_api.call(PUBLISH, id="hello", version="1")) == ["accounts.0"]
    assert templates_api.call(ONE, id="hello")[1]["published"] == 2


def test_what_an_update_does_not_name_stays(templates_api: TemplatesApi) -> None:
    templates_api.create(ttl_seconds=600)
    assert templates_api.call(PATCH, {"name": "New"}, id="hello")[1]["ttl_seconds"] == 600
    changed = templates_api.call(PATCH, {"ttl_seconds": 60}, id="hello")[1]
    assert (changed["name"], changed["ttl_seconds"], changed["accounts"]) == ("New", 60, ["app"])
    assert templates_api.call(PATCH, {"ttl_seconds": None, "name": None}, id="hello")[1]["ttl_seconds"] is None
    assert templates_api.call(ONE, id="hello")[1]["name"] == "New"
    assert fields(templates_api.call(PATCH, {"class": "marketing"}, id="hello")) == ["class"]
    assert templates_api.call(PATCH, {"name": "x"}, id="nope")[0] == 404


def test_a_version_that_was_published_stays_so(templates_api: TemplatesApi, clock: FakeClock) -> None:
    templates_api.create()
    assert templates_api.call(VERSIONS, {"content": TEXT, "sample": {"name": "B"}}, id="hello")[0] == 201
    assert templates_api.call(PUBLISH, id="hello", version="1")[1]["current"]["sample"] == {"name": "Ann"}
    first = templates_api.catalog.load_version("default", "hello", 1)
    assert first is not None and first.value.published_at == clock.now_ms()
    clock.advance(60)
    assert templates_api.call(PUBLISH, id="hello", version="2")[1]["published"] == 2
    assert templates_api.call(PUBLISH, id="hello", version="1")[1]["published"] == 1
    again = templates_api.catalog.load_version("default", "hello", 1)
    assert again is not None and again.value == first.value
    assert templates_api.call(VERSION, id="hello", version="2")[1]["published"] is True
    assert fields(templates_api.call(PUBLISH, id="hello", version="x")) == ["path.version"]
    assert templates_api.call(PUBLISH, id="nope", version="1")[0] == 404


def test_an_archived_template_is_kept_but_not_changed(templates_api: TemplatesApi) -> None:
    templates_api.create()
    templates_api.call(PUBLISH, id="hello", version="1")
    assert templates_api.call(ARCHIVE, id="hello")[1]["archived"] is True
    rev = templates_api.catalog.load_template("default", "hello")
    assert templates_api.call(ARCHIVE, id="hello")[1]["archived"] is True
    assert templates_api.catalog.load_template("default", "hello") == rev
    assert templates_api.call(ONE, id="hello")[1]["archived"] is True
    assert templates_api.call(LIST)[1]["templates"][0]["archived"] is True
    assert templates_api.call(VERSIONS, {"content": TEXT, "sample": {"name": "B"}}, id="hello")[0] == 409
    assert templates_api.call(PREVIEW, {}, id="hello", version="1")[1]["rendered"]["body"]["content"] == "Hello Ann"
    status, copied = templates_api.call(COPY, {"id": "again", "name": "Again"}, id="hello")
    assert status == 201 and (copied["archived"], copied["published"], copied["name"]) == (False, None, "Again")
    assert templates_api.call(ARCHIVE, id="nope")[0] == 404
    assert templates_api.call(COPY, {"id": "x"}, id="nope")[0] == 404


def test_a_copy_is_of_what_is_sent(templates_api: TemplatesApi) -> None:
    templates_api.create(ttl_seconds=60)
    templates_api.call(PUBLISH, id="hello", version="1")
    other = {"content": {"type": "markdown", "content": "second"}}
    assert templates_api.call(VERSIONS, other, id="hello")[0] == 201
    copied = templates_api.call(COPY, {"id": "copy"}, id="hello")[1]
    assert copied["current"]["content"]["content"] == "Hello {{ name }}" and copied["ttl_seconds"] == 60
    assert (copied["current"]["version"], copied["current"]["required"]) == (1, ["name"])
    assert templates_api.call(PUBLISH, id="copy", version="1")[1]["published"] == 1
    assert fields(templates_api.call(COPY, {"id": "Bad Id"}, id="hello")) == ["id"]


def test_an_account_that_is_gone_is_named(templates_api: TemplatesApi) -> None:
    templates_api.create(accounts=["app", "robot"])
    templates_api.call(ARCHIVE, id="hello")
    robot = templates_api.catalog.load_account("default", "robot")
    assert robot is not None
    templates_api.catalog.delete_account(robot.value, robot.rev, change())
    assert fields(templates_api.call(COPY, {"id": "copy"}, id="hello")) == ["accounts.1"]
    problems = templates_api.call(PREVIEW, {}, id="hello", version="1")[1]["problems"]
    assert problems == {"app": [], "robot": ["the account does not exist any more"]}


def test_a_preview_says_what_each_provider_would_refuse(templates_api: TemplatesApi) -> None:
    templates_api.create({"type": "markdown", "content": "{{ name }}"}, accounts=["robot", "app"])
    status, preview = templates_api.call(PREVIEW, {"variables": {"name": "n" * 3000}}, id="hello", version="1")
    assert status == 200 and preview["rendered"] == {"type": "markdown", "body": {"content": "n" * 3000}}
    assert preview["problems"]["robot"] == []
    assert [problem.partition(":")[0] for problem in preview["problems"]["app"]] == ["content"]
    assert fields(templates_api.call(PREVIEW, {"variables": {"name": ["a"]}}, id="hello", version="1")) == [
        "content.content"
    ]
    assert fields(templates_api.call(PREVIEW, {"variables": {"name": None}}, id="hello", version="1")) == [
        "variables.name"
    ]
    assert fields(templates_api.call(PREVIEW, {"variables": {"name": "n" * 20_001}}, id="hello", version="1")) == [
        "variables"
    ]
    assert fields(templates_api.call(PREVIEW, {"variables": []}, id="hello", version="1")) == ["variables"]
    assert templates_api.call(PREVIEW, {}, id="hello", version="2")[0] == 404


def test_a_picture_comes_back_as_it_was_given(templates_api: TemplatesApi) -> None:
    data = b64encode(b"\x89PNG\r\n\x1a\n" + bytes(range(256))).decode()
    status, made = templates_api.create({"type": "image", "data": data}, accounts=["robot", "app"], sample={})
    assert status == 201 and made["current"]["content"]["data"] == data
    preview = templates_api.call(PREVIEW, {}, id="hello", version="1")[1]
    assert preview["rendered"]["body"]["data"] == data and preview["problems"] == {"robot": [], "app": []}
    assert fields(templates_api.create({"type": "image", "data": b64encode(b"GIF89a....").decode()}, sample={})) == [
        "content.data"
    ]


CHANGES: dict[str, Callable[[TemplatesApi], tuple[int, Any]]] = {
    "add_version": lambda templates_api: templates_api.call(
        VERSIONS, {"content": TEXT, "sample": {"name": "B"}}, id="hello"
    ),
    "publish_version": lambda templates_api: templates_api.call(PUBLISH, id="hello", version="1"),
    "update_template": lambda templates_api: templates_api.call(PATCH, {"name": "New"}, id="hello"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_changes_at_the_same_time_all_count(
    templates_api: TemplatesApi, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    templates_api.create()
    original, others = getattr(templates_api.catalog, name), [1, 2]

    def after_another(*args: Any) -> Any:
        if others:
            head = templates_api.catalog.load_template("default", "hello")
            assert head is not None
            ttl = 100 * others.pop()
            type(templates_api.catalog).update_template(
                templates_api.catalog, head.value.model_copy(update={"ttl_seconds": ttl}), head.rev, change()
            )
        return original(*args)

    monkeypatch.setattr(templates_api.catalog, name, after_another)
    assert CHANGES[name](templates_api)[0] < 300 and not others
    after = templates_api.call(ONE, id="hello")[1]
    assert after["ttl_seconds"] == 100
    done = {"add_version": ("latest", 2), "publish_version": ("published", 1), "update_template": ("name", "New")}
    field, value = done[name]
    assert after[field] == value


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_that_others_never_let_through_is_given_up(
    templates_api: TemplatesApi, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    templates_api.create()
    tries = []

    def refuse(*_: Any) -> None:
        tries.append(1)
        raise CatalogConflictError

    monkeypatch.setattr(templates_api.catalog, name, refuse)
    assert CHANGES[name](templates_api)[0] == 409 and 1 < len(tries) < 10


LOGO = {"name": "logo.png", "data": b64encode(b"\x89PNG").decode(), "cid": "logo"}


def mail(**changes: Any) -> dict[str, Any]:
    return {"type": "email", "subject": "Hello", "html": '<img src="cid:logo">', "attachments": [LOGO], **changes}


def test_a_template_carries_files_and_its_html_shows_them(templates_api: TemplatesApi) -> None:
    status, view = templates_api.create(mail(), accounts=["mail"], sample={})
    assert (status, view["current"]["content"]["attachments"]) == (201, [LOGO])
    status, preview = templates_api.call(PREVIEW, id="hello", version="1")
    shown = {"name": "logo.png", "content_type": "image/png", "size": 4, "cid": "logo"}
    assert (status, preview["rendered"]["attachments"]) == (200, [shown])
    status, copy = templates_api.call(COPY, {"id": "copy"}, id="hello")
    assert (status, copy["current"]["content"]["attachments"]) == (201, [LOGO])


@pytest.mark.parametrize(
    ("content", "field", "text"),
    [
        (mail(attachments=[]), "content.html", "`cid:logo`, which is not among the attachments"),
        (mail(html='<img src="cid:{{ which }}">'), "content.html", "placeholder"),
        (mail(attachments=[LOGO, LOGO | {"name": "a.exe", "cid": None}]), "content.attachments.1.name", "no kind"),
        (mail(attachments=[LOGO | {"name": "a.pdf"}]), "content.attachments.0.cid", "images"),
        (mail(attachments=[LOGO | {"data": "?"}]), "content.attachments.0.data", "base64"),
        (mail(attachments=[LOGO, LOGO]), "content.attachments.1.cid", "same cid"),
    ],
)
def test_files_that_do_not_fit_are_named(
    templates_api: TemplatesApi, content: dict[str, Any], field: str, text: str
) -> None:
    status, problem = templates_api.create(content, accounts=["mail"], sample={})
    found = {error["field"]: error["message"] for error in problem["errors"]}
    assert status == 422
    assert text in found[field]
