"""The audit log: each change leaves one record, each record has its change, and no secret is in either."""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import pytest
from botocore.exceptions import ClientError

from shared.api.operations import OPERATIONS
from shared.model.audit import record_change
from shared.model.keys import ApiKey, hash_secret
from shared.model.words import KeyKind, Scope
from shared.store.audit import MAX_QUERIES, AuditLog, AuditSearch
from shared.store.bootstrap import bootstrap
from shared.store.catalog import Catalog
from shared.store.catalog_items import to_cursor
from tests.conftest import Aws
from tests.fakes import FakeClock
from tests.integration.functions.manage.manage_calls import Answer, ManageApi
from tests.samples import change

AUDIT = "GET /v1/audit"
PASSWORD = "abcdefghijklmnop-qq-authorization-code"
OTHER_PASSWORD = "another-authorization-code-qrstuvwx"
SMTP = {
    "provider": "smtp",
    "host": "smtp.example.com",
    "port": 587,
    "username": "u",
    "from_address": "noreply@example.com",
}
MAIL = {"id": "mail", "name": "Mail", "settings": SMTP, "secret": {"password": PASSWORD}}
SMS = {
    "id": "sms",
    "name": "SMS",
    "settings": {"provider": "tencent", "sdk_app_id": "1400006666"},
    "secret": {"secret_id": "AKID1", "secret_key": "abcdef"},
}
LARGE = "<p>{{ name }}</p>" + "x" * 100_000
CONTENT = {"content": {"type": "email", "subject": "{{ name }}", "html": LARGE}, "sample": {"name": "Ann"}}
TEMPLATE = {"id": "hello", "name": "Hello", "class": "notification", "accounts": ["mail"], **CONTENT}
KEY = {"name": "Shop", "scopes": ["send"], "kind": "live"}
BOB = {"channel": "email", "address": "bob@example.com"}
VERSION = "/v1/templates/{id}/versions/{version}"

Step = Callable[[ManageApi], Answer]
STEPS: dict[str, Step] = {
    "create_account": lambda manage_api: manage_api.call("POST /v1/accounts", MAIL),
    "update_account": lambda manage_api: manage_api.call(
        "PATCH /v1/accounts/{id}", {"weight": 7, "secret": {"password": OTHER_PASSWORD}}, id="mail"
    ),
    "create_template": lambda manage_api: manage_api.call("POST /v1/templates", TEMPLATE),
    "update_template": lambda manage_api: manage_api.call("PATCH /v1/templates/{id}", {"name": "New"}, id="hello"),
    "create_version": lambda manage_api: manage_api.call(
        "POST /v1/templates/{id}/versions", {**CONTENT, "note": "second"}, id="hello"
    ),
    "submit_version": lambda manage_api: manage_api.call(f"POST {VERSION}/submit", id="hello", version=2),
    "approve_version": lambda manage_api: manage_api.call(
        f"POST {VERSION}/approve", {"comment": "Good."}, id="hello", version=2, who="k2"
    ),
    "reject_version": lambda manage_api: manage_api.call(
        f"POST {VERSION}/reject", {"comment": "No."}, id="hello", version=2, who="k2"
    ),
    "publish_version": lambda manage_api: manage_api.call(f"POST {VERSION}/publish", id="hello", version=1),
    "copy_template": lambda manage_api: manage_api.call("POST /v1/templates/{id}/copy", {"id": "copy"}, id="hello"),
    "archive_template": lambda manage_api: manage_api.call("POST /v1/templates/{id}/archive", id="hello"),
    "create_key": lambda manage_api: manage_api.call("POST /v1/keys", KEY),
    "revoke_key": lambda manage_api: manage_api.call("DELETE /v1/keys/{id}", id="spare"),
    "delete_key": lambda manage_api: manage_api.call("POST /v1/keys/{id}/delete", id="spare"),
    "update_settings": lambda manage_api: manage_api.call("PATCH /v1/settings", {"review_required": True}, who="k2"),
    "restore_settings": lambda manage_api: manage_api.call("POST /v1/settings/restore", {"version": 1}, who="k1"),
    "update_deployment": lambda manage_api: manage_api.call(
        "PATCH /v1/deployment", {"concurrency": {"email.marketing": 40}}, scopes="operate"
    ),
    "set_guard_prefix": lambda manage_api: manage_api.call(
        "PUT /v1/verifications/guard/{prefix}", {"state": "held", "minutes": 5, "reason": "a look"}, prefix="62812"
    ),
    "delete_guard_prefix": lambda manage_api: manage_api.call(
        "DELETE /v1/verifications/guard/{prefix}", prefix="62812"
    ),
    "rotate_callback": lambda manage_api: manage_api.call("POST /v1/accounts/{id}/callback", id="sms"),
    "delete_account": lambda manage_api: manage_api.call("DELETE /v1/accounts/{id}", id="idle"),
    "add_suppression": lambda manage_api: manage_api.call("POST /v1/suppressions", BOB),
    "remove_suppression": lambda manage_api: manage_api.call("POST /v1/suppressions/remove", BOB),
    "import_suppressions": lambda manage_api: manage_api.call(
        "POST /v1/suppressions/import", {"channel": "email", "rows": [{"address": "ann@example.com"}, {"address": "x"}]}
    ),
}
"""Every operation that changes something, in an order in which each can succeed."""

EXPECTED: dict[str, tuple[str, list[str], dict[str, Any] | None, dict[str, Any] | None]] = {
    "create_account": ("account/mail", [], None, {"weight": 100, "secret": {"password": "••••••"}}),
    "update_account": ("account/mail", ["secret", "updated_at", "weight"], {"weight": 100}, {"weight": 7}),
    "create_template": ("template/hello", [], None, {"name": "Hello", "latest": 1, "class": "notification"}),
    "update_template": ("template/hello", ["name", "updated_at"], {"name": "Hello"}, {"name": "New"}),
    "create_version": ("template/hello/2", [], None, {"version": 2, "note": "second", "author": "k1"}),
    "submit_version": (
        "template/hello/2",
        ["review.state", "review.submitted_at", "review.submitted_by"],
        {"published": False},
        {"published": False},
    ),
    "approve_version": (
        "template/hello/2",
        ["review.comment", "review.decided_at", "review.decided_by", "review.state"],
        {},
        {},
    ),
    "reject_version": ("template/hello/2", ["review.comment", "review.decided_at", "review.state"], {}, {}),
    "publish_version": ("template/hello", ["published", "updated_at"], {"published": None}, {"published": 1}),
    "copy_template": ("template/copy", [], None, {"id": "copy", "published": None}),
    "archive_template": ("template/hello", ["archived", "updated_at"], {"archived": False}, {"archived": True}),
    "create_key": ("key/", [], None, {"name": "Shop", "revoked_at": None}),
    "revoke_key": ("key/spare", ["revoked_at"], {"revoked_at": None}, {"name": "Spare"}),
    "delete_key": ("key/spare", [], {"name": "Spare"}, None),
    "update_settings": (
        "settings",
        ["changed_at", "changed_by", "review_required", "version"],
        {"review_required": False},
        {"review_required": True},
    ),
    "restore_settings": (
        "settings",
        [
            "blocked_words",
            "changed_at",
            "changed_by",
            "restored",
            "review_off_asked_at",
            "review_off_asked_by",
            "version",
        ],
        {"blocked_words": [], "version": 3},
        {"blocked_words": ["x"], "version": 4, "restored": 1},
    ),
    "update_deployment": (
        "deployment",
        ["changed_at", "changed_by", "concurrency.email.marketing"],
        {"concurrency": {}},
        {"concurrency": {"email.marketing": 40}},
    ),
    "set_guard_prefix": ("verification-guard/prefix/62812", [], None, {"state": "held", "why": "a look"}),
    "delete_guard_prefix": ("verification-guard/prefix/62812", [], {"state": "held"}, None),
    "rotate_callback": ("account/sms", ["callback_url", "updated_at"], {"callback_url": None}, {"callback_url": None}),
    "delete_account": ("account/idle", [], {"id": "idle", "name": "Mail"}, None),
    "add_suppression": ("suppression/email/", [], None, {"channel": "email", "recipient": "b***@example.com"}),
    "remove_suppression": ("suppression/email/", [], {"channel": "email", "recipient": "b***@example.com"}, None),
    "import_suppressions": ("suppression/email", [], None, {"added": 1, "already_there": 0, "invalid": 1}),
}


def key(key_id: str, name: str) -> ApiKey:
    return ApiKey(
        id=key_id, tenant="default", name=name, kind=KeyKind.LIVE, scopes=list(Scope), hash="f" * 64, created_at=0
    )


@pytest.fixture
def manage_api(aws: Aws, clock: FakeClock) -> ManageApi:
    """A tenant with the callers' keys, a key to be revoked, an account to be deleted and settings to go back to."""
    manage_api = ManageApi(aws, clock)
    manage_api.catalog.ensure_tenant("default")
    for key_id, name in (("k1", "Ann's key"), ("k2", "Bob's key"), ("spare", "Spare")):
        manage_api.catalog.create_key(key(key_id, name), change())
    for account in ({**MAIL, "id": "idle"}, SMS):
        assert manage_api.call("POST /v1/accounts", account).status == 201
    for blocked in (["x"], []):
        assert manage_api.call("PATCH /v1/settings", {"blocked_words": blocked}).status == 200
    clock.advance(60)
    return manage_api


def contents(aws: Aws) -> tuple[dict[str, Any], dict[str, Any]]:
    """What people decide: the items of both tables without the audit log, and the log."""
    dynamodb = Aws.client(aws, "dynamodb")
    items = [item for table in (aws.catalog, aws.guard) for item in dynamodb.scan(TableName=table)["Items"]]
    found = {f"{item['pk']['S']} {item['sk']['S']}": item for item in items}
    log = {name: json.loads(item["doc"]["S"]) for name, item in found.items() if name.startswith("audit#")}
    return {name: item for name, item in found.items() if name not in log}, log


def unmarked(items: dict[str, Any]) -> dict[str, Any]:
    """Without the marks of suppression lists: a print may come without its entry, and stops nobody."""
    return {name: item for name, item in items.items() if not name.startswith("suppressing#")}


def put_back(aws: Aws, items: dict[str, Any], log: dict[str, Any]) -> None:
    """Make the tables what they were, record by record."""
    dynamodb = Aws.client(aws, "dynamodb")
    for table in (aws.catalog, aws.guard):
        for item in dynamodb.scan(TableName=table)["Items"]:
            name = f"{item['pk']['S']} {item['sk']['S']}"
            if name not in items and name not in log:
                dynamodb.delete_item(TableName=table, Key={"pk": item["pk"], "sk": item["sk"]})
    for item in items.values():
        # What people decide of prefixes of numbers is beside what the guard counts of them.
        table = aws.guard if item["pk"]["S"].startswith("pumping#") else aws.catalog
        dynamodb.put_item(TableName=table, Item=item)


def ask(manage_api: ManageApi, **query: str) -> list[dict[str, Any]]:
    """All that the log answers, over all its pages."""
    found: list[dict[str, Any]] = []
    while True:
        answer = manage_api.call(AUDIT, query=query)
        assert answer.status == 200, answer.text
        found += answer.json["records"]
        if answer.json["cursor"] is None:
            return found
        query["cursor"] = answer.json["cursor"]


def test_every_operation_that_changes_something_is_tried() -> None:
    reads = {"verify_account", "preview_version", "query_suppressions"}
    changing = {o.id for o in OPERATIONS if o.function == "manage" and o.method != "GET"}
    # It needs a provider that keeps a list: tests/e2e/test_provider_lists.py tries it.
    elsewhere = {"mirror_suppressions"}
    assert set(STEPS) == set(EXPECTED) == changing - reads - elsewhere


def test_each_change_leaves_one_record_that_says_who_what_before_and_after(
    manage_api: ManageApi, clock: FakeClock
) -> None:
    _, before = contents(manage_api.aws)
    made = ""
    for name, step in STEPS.items():
        clock.advance(1)
        answer = step(manage_api)
        assert answer.status < 300, (name, answer.text)
        _, log = contents(manage_api.aws)
        assert len(log) == len(before) + 1, name
        before = log
        found = ask(manage_api, limit="1")[0]
        made = answer.json["key"] if name == "create_key" else made
        target, changed, old, new = EXPECTED[name]
        assert found["action"] == name
        assert found["target"].startswith(target)
        assert found["changed"] == changed, name
        assert (found["who"], found["who_name"]) in [("k1", "Ann's key"), ("k2", "Bob's key")]
        assert found["at"] == f"2025-01-15T10:01:{list(STEPS).index(name) + 1:02}Z"
        for wanted, given in ((old, found["before"]), (new, found["after"])):
            assert (given is None) == (wanted is None)
            assert (wanted or {}).items() <= (given or {}).items(), name
    everything = json.dumps(
        Aws.client(manage_api.aws, "dynamodb").scan(TableName="catalog")["Items"], ensure_ascii=False
    )
    log_text = json.dumps(list(contents(manage_api.aws)[1].values()), ensure_ascii=False)
    assert made.startswith("mp_live_")
    for secret in (PASSWORD, OTHER_PASSWORD, made, made.rpartition("_")[2]):
        assert secret not in everything
    assert hash_secret(made.rpartition("_")[2]) in everything
    assert hash_secret(made.rpartition("_")[2]) not in log_text
    assert "f" * 64 not in log_text


def test_a_record_shows_what_the_api_shows_and_large_content_by_its_digest(manage_api: ManageApi) -> None:
    account = STEPS["create_account"](manage_api).json
    assert ask(manage_api, action="create_account", target="account/mail")[0]["after"] == account
    template = STEPS["create_template"](manage_api).json
    found = ask(manage_api, action="create_template")[0]["after"]
    html = found["current"]["content"].pop("html")
    assert html == {"sha256": sha256(LARGE.encode()).hexdigest(), "bytes": len(LARGE)}
    assert template["current"]["content"].pop("html") == LARGE
    assert found == template


REFUSED: dict[str, Step] = {
    "an id that is taken": lambda manage_api: manage_api.call("POST /v1/accounts", {**MAIL, "id": "idle"}),
    "a wrong field": lambda manage_api: manage_api.call("POST /v1/accounts", {**MAIL, "x": 1}),
    "wrong settings": lambda manage_api: manage_api.call(
        "PATCH /v1/accounts/{id}", {"settings": {"provider": "smtp"}}, id="idle"
    ),
    "no such account": lambda manage_api: manage_api.call("DELETE /v1/accounts/{id}", id="nope"),
    "an account in use": lambda manage_api: manage_api.call("DELETE /v1/accounts/{id}", id="mail"),
    "a template that is taken": lambda manage_api: manage_api.call("POST /v1/templates", TEMPLATE),
    "an unknown account": lambda manage_api: manage_api.call(
        "PATCH /v1/templates/{id}", {"accounts": ["nope"]}, id="hello"
    ),
    "no such version": lambda manage_api: manage_api.call(f"POST {VERSION}/publish", id="hello", version=9),
    "not submitted": lambda manage_api: manage_api.call(f"POST {VERSION}/approve", {}, id="hello", who="k2"),
    "a key beyond the caller": lambda manage_api: manage_api.call(
        "POST /v1/keys", {**KEY, "scopes": ["read"]}, scopes="manage"
    ),
    "no callbacks": lambda manage_api: manage_api.call("POST /v1/accounts/{id}/callback", id="mail"),
    "no such key": lambda manage_api: manage_api.call("DELETE /v1/keys/{id}", id="nope"),
    "no such settings": lambda manage_api: manage_api.call("POST /v1/settings/restore", {"version": 9}),
    "no right": lambda manage_api: manage_api.call("PATCH /v1/settings", {"review_required": True}, scopes="send read"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_leaves_no_record(manage_api: ManageApi, name: str) -> None:
    STEPS["create_account"](manage_api)
    STEPS["create_template"](manage_api)
    before = contents(manage_api.aws)
    assert 400 <= REFUSED[name](manage_api).status < 500
    assert contents(manage_api.aws) == before


@pytest.mark.parametrize("name", ["archive_template", "revoke_key", "update_settings"])
def test_what_changes_nothing_leaves_no_record(manage_api: ManageApi, name: str) -> None:
    STEPS["create_account"](manage_api)
    STEPS["create_template"](manage_api)
    assert STEPS[name](manage_api).status < 300
    before = contents(manage_api.aws)
    assert STEPS[name](manage_api).status < 300
    assert contents(manage_api.aws) == before


def test_the_first_key_is_recorded_as_well(aws: Aws, clock: FakeClock) -> None:
    text = bootstrap(Catalog(aws.dynamodb, aws.catalog, clock), clock)
    [found] = ask(ManageApi(aws, clock))
    key_id = text.split("_")[2]
    assert (found["who"], found["action"], found["target"]) == ("bootstrap", "create_key", f"key/{key_id}")
    assert found["before"] is None
    assert found["after"]["scopes"] == ["manage", "send", "read", "unmask", "operate"]
    assert text.split("_")[3] not in str(contents(aws))


# Dying


@dataclass
class Script:
    """At which call the process dies: before AWS hears of it, or after AWS has done it."""

    at: int
    late: bool
    calls: int = 0

    def run(self, call: Callable[[], Any]) -> Any:
        self.calls += 1
        if self.calls != self.at:
            return call()
        if self.late:
            with suppress(ClientError):
                call()
        raise ConnectionError


class Frail:
    """A client whose calls follow a script."""

    def __init__(self, client: Any, script: Script) -> None:
        self._client = client
        self._script = script

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        if name in {"exceptions", "meta"}:
            return found
        return lambda **asked: self._script.run(lambda: found(**asked))


@dataclass(frozen=True)
class FrailAws(Aws):
    """AWS whose clients follow a script."""

    script: Script = field(default_factory=lambda: Script(0, False))

    def client(self, service: str, **config: Any) -> Any:
        return Frail(Aws.client(self, service, **config), self.script)


# An import spans more items than a transaction holds; its record is written before them.
@pytest.mark.rotates
@pytest.mark.parametrize("name", [name for name in STEPS if name != "import_suppressions"])
def test_dying_at_any_call_leaves_change_and_record_or_neither(
    manage_api: ManageApi, clock: FakeClock, name: str
) -> None:
    for earlier, step in STEPS.items():
        if earlier == name:
            break
        assert step(manage_api).status < 300
    items, log = contents(manage_api.aws)
    deaths = 0
    for late in (False, True):
        for at in range(1, 100):
            script = Script(at, late)
            status = STEPS[name](ManageApi(FrailAws(script=script), clock)).status
            after, records = contents(manage_api.aws)
            assert len(records) - len(log) == (0 if unmarked(after) == unmarked(items) else 1), (at, late)
            put_back(manage_api.aws, items, log)
            if script.calls < at:
                assert status < 300
                break
            deaths += 1
            assert status == 500 or name == "delete_account"
    assert deaths >= 4


# Reading


def add(
    manage_api: ManageApi, at: str, who: str = "k1", action: str = "update_account", target: str = "account/mail"
) -> str:
    ms = int(datetime.fromisoformat(at).timestamp() * 1000)
    record = record_change(ms, "default", who, action, target, None, {"at": at})
    manage_api.audit.add(record)
    return record.id


@pytest.fixture
def log(aws: Aws, clock: FakeClock) -> ManageApi:
    """A tenant of July 2024, with changes in three months that lie apart."""
    manage_api = ManageApi(aws, clock)
    now = clock.now_ms()
    clock.set(int(datetime(2024, 7, 1, 12, tzinfo=UTC).timestamp() * 1000))
    manage_api.catalog.ensure_tenant("default")
    clock.set(now)
    for month in ("2024-07", "2024-10", "2025-01"):
        for day in (1, 2):
            add(manage_api, f"{month}-0{day}T12:00:00Z")
            add(manage_api, f"{month}-0{day}T13:00:00Z", "k2", "publish_version", "template/hello")
            add(manage_api, f"{month}-0{day}T13:00:00.001Z", "k2", "submit_version", "template/hello/2")
    return manage_api


@pytest.mark.parametrize("limit", [1, 2, 3, 6, 17, 18, 100])
def test_the_newest_come_first_over_all_months(log: ManageApi, limit: int) -> None:
    found = ask(log, limit=str(limit))
    assert len(found) == 18
    assert [r["id"][:10] for r in found] == sorted((r["id"][:10] for r in found), reverse=True)
    assert len({r["id"] for r in found}) == 18


def test_a_page_ends_before_it_is_too_large_to_be_answered(log: ManageApi, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = log.call(AUDIT, query={"limit": "100"}).json["records"]
    monkeypatch.setattr("shared.store.audit.PAGE_BYTES", 1500)
    found, query = [], {"limit": "100"}
    for _ in whole:
        page = log.call(AUDIT, query=query).json
        assert 0 < len(page["records"]) < len(whole)
        found += page["records"]
        if page["cursor"] is None:
            break
        query["cursor"] = page["cursor"]
    assert found == whole


def test_recipients_of_keys_are_masked_in_records_of_before_too(log: ManageApi) -> None:
    view = {"id": "t", "recipients": ["email:someone@example.com", "wecom:zhangsan"]}
    log.audit.add(record_change(log.clock.now_ms(), "default", "k1", "create_key", "key/t", None, view))
    [record] = log.call(AUDIT, query={"target": "key/t"}).json["records"]
    assert record["after"]["recipients"] == ["email:s***@example.com", "wecom:zh***"]


def test_a_full_last_page_has_no_cursor(log: ManageApi) -> None:
    assert log.call(AUDIT, query={"limit": "18"}).json["cursor"] is None
    assert log.call(AUDIT, query={"limit": "17"}).json["cursor"] is not None


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({"who": "k1"}, 6),
        ({"who": "nobody"}, 0),
        ({"action": "publish_version"}, 6),
        ({"target": "template/hello"}, 12),
        ({"target": "template"}, 12),
        ({"target": "template/hello/2"}, 6),
        ({"target": "template/hel"}, 0),
        ({"who": "k2", "action": "submit_version", "target": "account"}, 0),
        ({"after": "2025-01-02T13:00:00Z"}, 2),
        ({"after": "2025-01-02T13:00:00.001Z"}, 1),
        ({"before": "2024-07-01T13:00:00Z"}, 1),
        ({"before": "2024-07-01T12:00:00Z"}, 0),
        ({"after": "2024-10-01T00:00:00Z", "before": "2024-10-02T12:00:00Z"}, 3),
        ({"after": "2024-10-01T21:00:00+08:00", "before": "2024-10-02T12:00:00Z"}, 2),
        ({"after": "2025-01-01T00:00:00Z", "before": "2024-01-01T00:00:00Z"}, 0),
        ({"after": "0001-01-01T00:00:00Z", "before": "9999-12-31T23:59:59-12:00"}, 18),
        ({"after": "9999-12-31T23:59:59-12:00"}, 0),
        ({"before": "0001-01-01T00:00:00+12:00"}, 0),
    ],
)
@pytest.mark.parametrize("limit", ["1", "100"])
def test_what_is_searched_for_is_found(log: ManageApi, query: dict[str, str], count: int, limit: str) -> None:
    assert len(ask(log, **query, limit=limit)) == count


def test_a_search_answers_in_bounded_time_and_goes_on(log: ManageApi, clock: FakeClock) -> None:
    clock.advance(86_400 * 365 * 4)
    first = log.call(AUDIT, query={"who": "k1"}).json
    assert first["records"] == []
    assert first["cursor"] is not None
    calls = 0

    class Counting:
        def query(self, **asked: Any) -> Any:
            nonlocal calls
            calls += 1
            return log.aws.dynamodb.query(**asked)

    client: Any = Counting()
    page = AuditLog(client, log.aws.catalog).page("default", AuditSearch(0, clock.now_ms(), "k1"), 100)
    assert (page.items, calls) == ([], MAX_QUERIES)
    assert len(ask(log, who="k1")) == 6


def test_a_busy_month_is_read_in_parts(log: ManageApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.store.audit.BATCH", 2)
    assert len(ask(log, limit="4")) == 18
    assert len(ask(log, who="k1", limit="100")) == 6


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ({"limit": "0"}, ["query.limit"]),
        ({"limit": "101"}, ["query.limit"]),
        ({"after": "yesterday"}, ["query.after"]),
        ({"before": "2025-01-01T00:00:00"}, ["query.before"]),
        ({"who": "x" * 201}, ["query.who"]),
        ({"creator": "x"}, ["query.creator"]),
        ({"cursor": "x"}, ["query.cursor"]),
        ({"cursor": to_cursor("template#hello")}, ["query.cursor"]),
        ({"cursor": to_cursor("7" + "Z" * 25)}, ["query.cursor"]),
    ],
)
def test_a_wrong_search_is_refused(log: ManageApi, query: dict[str, str], fields: list[str]) -> None:
    answer = log.call(AUDIT, query=query)
    assert (answer.status, answer.fields) == (422, fields)


def test_the_log_is_a_tenants_own_and_wants_the_scope_manage(log: ManageApi) -> None:
    assert log.call(AUDIT, scopes="send read").status == 403
    assert log.call(AUDIT, tenant="other").json == {"records": [], "cursor": None}
    log.catalog.ensure_tenant("other")
    assert ask(log) != []
    assert log.call(AUDIT, tenant="other").json == {"records": [], "cursor": None}
