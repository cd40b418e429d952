"""Managing accounts: what is saved, what is refused and why, and that secrets go in only."""

import json
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from functions.manage import handler
from functions.manage.account_input import MASK
from functions.manage.accounts import Accounts
from functions.manage.deps import deps
from local.runtime import Context
from local.sandbox.wecom import AGENT_ID, CORP_ID, CORP_SECRET, WecomSandbox
from shared.api.kit import Api, Call, Caller
from shared.api.operation import Operation
from shared.api.operations import OPERATIONS
from shared.aws.secrets import SecretError
from shared.errors import ConflictError
from shared.model.accounts import Account, Rate, UnitFee
from shared.model.audit import AuditRecord
from shared.model.content import EmailContent
from shared.model.ids import callback_token
from shared.model.templates import Template, TemplateVersion
from shared.model.words import Channel, KeyKind, MessageClass, Scope
from shared.providers.base import Provider, Verification
from shared.store.catalog_items import CatalogConflictError
from tests.conftest import Aws
from tests.fakes import FakeClock, logged
from tests.integration.functions.manage.manage_calls import ManageApi
from tests.samples import change

CREATE, LIST = "POST /v1/accounts", "GET /v1/accounts"
GET, PATCH, DELETE = "GET /v1/accounts/{id}", "PATCH /v1/accounts/{id}", "DELETE /v1/accounts/{id}"
VERIFY = "POST /v1/accounts/{id}/verify"
PASSWORD = "hunter2-密码"

SMTP = {
    "provider": "smtp",
    "host": "smtp.example.com",
    "port": 587,
    "username": "me",
    "from_address": "me@example.com",
}
NO_LOGIN = {name: value for name, value in SMTP.items() if name != "username"}
BODY = {"id": "mail", "name": "Mail", "settings": SMTP, "secret": {"password": PASSWORD}}


@pytest.fixture
def manage_api(aws: Aws, clock: FakeClock) -> ManageApi:
    return ManageApi(aws, clock)


def stored(manage_api: ManageApi, account_id: str = "mail") -> Account:
    found = manage_api.catalog.load_account("default", account_id)
    assert found is not None
    return found.value


def secret(manage_api: ManageApi, account_id: str = "mail") -> dict[str, Any]:
    return manage_api.secrets.get("default", account_id, stored(manage_api, account_id).secret_version)


def caller(**path: str) -> Call:
    return Call("test", Caller("default", "k1", KeyKind.LIVE, frozenset(Scope)), path, {}, b"", None, None)


# Create and read


def test_an_account_is_created_and_its_secret_masked(manage_api: ManageApi) -> None:
    answer = manage_api.call(CREATE, BODY)
    assert answer.status == 201
    assert answer.json["secret"] == {"password": MASK}
    assert (answer.json["channel"], answer.json["provider"], answer.json["state"]) == ("email", "smtp", "active")
    assert answer.json["settings"]["host"] == "smtp.example.com"
    assert answer.json["created_at"] == answer.json["updated_at"] == "2025-01-15T10:00:00Z"
    assert manage_api.call(GET, id="mail").json == answer.json
    assert manage_api.call(LIST).json["accounts"] == [answer.json]
    assert secret(manage_api) == {"password": PASSWORD}


def test_the_secret_is_in_no_answer_no_log_and_not_in_the_catalog(
    manage_api: ManageApi, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.INFO)
    answers = [
        manage_api.call(CREATE, BODY),
        manage_api.call(CREATE, BODY),
        manage_api.call(CREATE, {**BODY, "id": "other", "settings": {**SMTP, "port": "x"}}),
        manage_api.call(CREATE, {**BODY, "id": "other", "secret": {"passwort": PASSWORD}}),
        manage_api.call(CREATE, {**BODY, "id": "other", "secret": {"password": [PASSWORD]}}),
        manage_api.call(CREATE, {**BODY, "id": "other", "secret": PASSWORD}),
        manage_api.call(PATCH, {"secret": {"password": PASSWORD + "2"}}, id="mail"),
        manage_api.call(GET, id="mail"),
        manage_api.call(LIST),
        manage_api.call(VERIFY, id="nope"),
    ]
    assert [a.status for a in answers] == [201, 409, 422, 422, 422, 422, 200, 200, 200, 404]
    items = str(manage_api.aws.dynamodb.scan(TableName=manage_api.aws.catalog))
    out, err = capsys.readouterr()
    told = "".join(a.text for a in answers) + items + logged(caplog.records) + out + err
    assert "hunter2" not in told
    assert "密码" not in told


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"settings": {"provider": "ses", "from_address": "a@example.com"}, "secret": {}}, {}),
        ({"settings": NO_LOGIN, "secret": {}}, {}),
        (
            {
                "settings": {"provider": "tencent", "sdk_app_id": "14", "sign_name": "示例"},
                "secret": {"secret_id": "AKID", "secret_key": "key"},
            },
            {"secret_id": MASK, "secret_key": MASK},
        ),
        ({"settings": {"provider": "robot"}, "secret": {"key": "0123456789abcdef"}}, {"key": MASK}),
    ],
)
def test_every_provider_has_a_secret_of_its_own_or_none(manage_api: ManageApi, changes: Any, expected: Any) -> None:
    answer = manage_api.call(CREATE, {**BODY, **changes})
    assert (answer.status, answer.json["secret"]) == (201, expected)
    secrets = manage_api.aws.client("secretsmanager").list_secrets()["SecretList"]
    assert len(secrets) == (1 if expected else 0)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"id": "Not An Id"}, "id"),
        ({"id": "x" * 41}, "id"),
        ({"name": ""}, "name"),
        ({"weight": 1001}, "weight"),
        ({"weight": "x"}, "weight"),
        ({"extra": 1}, "extra"),
        ({"settings": []}, "settings"),
        ({"settings": {}}, "settings.provider"),
        ({"settings": {"provider": "fax"}}, "settings.provider"),
        ({"settings": {"provider": 5}}, "settings.provider"),
        ({"settings": {**SMTP, "host": "a b"}}, "settings.host"),
        ({"settings": {**SMTP, "port": 0}}, "settings.port"),
        ({"settings": {**SMTP, "hots": "x"}}, "settings.hots"),
        ({"settings": {k: v for k, v in SMTP.items() if k != "from_address"}}, "settings.from_address"),
        ({"settings": {**SMTP, "security": "none"}}, "settings"),
        ({"settings": {"provider": "robot"}, "secret": {}}, "secret.key"),
        ({"settings": {"provider": "robot"}, "secret": {"key": "a b"}}, "secret.key"),
        ({"secret": {"password": 5}}, "secret.password"),
        ({"secret": {"passwort": "x"}}, "secret.passwort"),
        ({"secret": {"password": MASK}}, "secret.password"),
        ({"settings": {"provider": "ses", "from_address": "a@example.com"}}, "secret.password"),
        ({"secret": {"password": "x" * 70_000}}, "secret"),
        ({"secret": {}}, "secret.password"),
        ({"settings": {**SMTP, "from_name": "Shop\r\nBcc: a"}}, "settings.from_name"),
        ({"settings": {**SMTP, "from_name": "a\x00"}}, "settings.from_name"),
        (
            {"settings": {"provider": "ses", "from_address": "a@example.com", "from_name": "\u2028"}, "secret": {}},
            "settings.from_name",
        ),
    ],
)
def test_a_wrong_field_is_named_and_nothing_is_saved(manage_api: ManageApi, changes: Any, field: str) -> None:
    answer = manage_api.call(CREATE, {**BODY, **changes})
    assert answer.status == 422
    assert answer.fields == [field]
    assert manage_api.call(LIST).json["accounts"] == []
    assert manage_api.aws.client("secretsmanager").list_secrets()["SecretList"] == []


@pytest.mark.parametrize(("body", "status"), [("{", 400), ("[]", 422), ("null", 422), ("", 400)])
def test_what_is_no_object_is_refused(manage_api: ManageApi, body: str, status: int) -> None:
    assert manage_api.call(CREATE, body).status == status
    assert manage_api.call(PATCH, body, id="mail").status == status


@pytest.mark.parametrize(
    ("route", "scopes"),
    [(CREATE, "send read"), (PATCH, "read"), (DELETE, "read"), (VERIFY, "read"), (LIST, "manage"), (GET, "send")],
)
def test_each_operation_wants_its_scope(manage_api: ManageApi, route: str, scopes: str) -> None:
    assert manage_api.call(route, BODY, id="mail", scopes=scopes).status == 403
    answer = manage_api.call(route, BODY, id="mail", problem="This API key has been revoked; ask for another.")
    assert (answer.status, answer.json["detail"]) == (401, "This API key has been revoked; ask for another.")


def test_accounts_are_the_tenants_own(manage_api: ManageApi) -> None:
    manage_api.call(CREATE, BODY)
    assert manage_api.call(GET, id="mail", tenant="other").status == 404
    assert manage_api.call(PATCH, {"name": "x"}, id="mail", tenant="other").status == 404
    assert manage_api.call(DELETE, id="mail", tenant="other").status == 404
    assert manage_api.call(VERIFY, id="mail", tenant="other").status == 404
    assert manage_api.call(LIST, tenant="other").json["accounts"] == []
    assert manage_api.call(CREATE, BODY, tenant="other").status == 201


@pytest.mark.parametrize("account_id", ["nope", "x" * 3000, "汉", "a#b", "../x"])
def test_what_is_not_there_is_not_found(manage_api: ManageApi, account_id: str) -> None:
    for route in (GET, PATCH, DELETE, VERIFY):
        assert manage_api.call(route, {"name": "x"}, id=account_id).status == 404


def test_an_id_that_is_taken_leaves_the_first_account_and_its_secret_alone(manage_api: ManageApi) -> None:
    manage_api.call(CREATE, BODY)
    assert manage_api.call(CREATE, {**BODY, "secret": {"password": "another"}}).status == 409
    assert secret(manage_api) == {"password": PASSWORD}


def test_of_two_who_create_at_once_each_secret_goes_with_its_own_account(
    manage_api: ManageApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = ManageApi(manage_api.aws, manage_api.clock)
    put = manage_api.secrets.put

    def slow(*args: Any) -> int:
        # The other is done in the time that we take to look for the account and to save the secret.
        version = put(*args)
        assert other.call(CREATE, {**BODY, "name": "Theirs", "secret": {"password": "theirs"}}).status == 201
        put("default", "mail", {"password": "a straggler"}, Channel.EMAIL)
        return version

    monkeypatch.setattr(manage_api.secrets, "put", slow)
    assert manage_api.call(CREATE, BODY).status == 409
    assert stored(manage_api).name == "Theirs"
    assert secret(manage_api) == {"password": "theirs"}


# This machine


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({**SMTP, "host": "127.0.0.1"}, "settings.host"),
        ({**SMTP, "host": "localhost", "security": "none"}, "settings.host"),
        ({**SMTP, "host": " LOCALHOST "}, "settings.host"),
        ({**SMTP, "host": "::1"}, "settings.host"),
        ({**SMTP, "host": "::ffff:127.0.0.1"}, "settings.host"),
        (
            {"provider": "ses", "from_address": "a@example.com", "endpoint": "http://127.0.0.1:9001"},
            "settings.endpoint",
        ),
        ({"provider": "tencent", "sdk_app_id": "14", "endpoint": "http://localhost:1"}, "settings.endpoint"),
    ],
)
def test_an_account_may_not_point_at_the_machine_it_runs_on(
    aws: Aws, clock: FakeClock, settings: Any, field: str
) -> None:
    secrets: dict[str, Any] = {"tencent": {"secret_id": "a", "secret_key": "b"}, "smtp": {"password": "x"}}
    body = {"id": "x", "name": "x", "settings": settings, "secret": secrets.get(settings["provider"], {})}
    refused = ManageApi(aws, clock).call(CREATE, body)
    assert (refused.status, refused.fields) == (422, [field])
    assert ManageApi(aws, clock, loopback=True).call(CREATE, body).status == 201
    changed = ManageApi(aws, clock).call(PATCH, {"settings": settings}, id="x")
    assert (changed.status, changed.fields) == (422, [field])


# Change


def test_only_what_is_given_changes(manage_api: ManageApi, clock: FakeClock) -> None:
    created = manage_api.call(CREATE, BODY).json
    clock.advance(5)
    answer = manage_api.call(PATCH, {"weight": 0, "state": "disabled", "name": None}, id="mail")
    assert answer.status == 200
    assert answer.json == {**created, "weight": 0, "state": "disabled", "updated_at": "2025-01-15T10:00:05Z"}
    assert secret(manage_api) == {"password": PASSWORD}


def test_every_change_shows_in_the_time_even_within_a_millisecond(manage_api: ManageApi) -> None:
    manage_api.call(CREATE, BODY)
    times = [stored(manage_api).updated_at]
    for weight in (1, 2, 3):
        manage_api.call(PATCH, {"weight": weight}, id="mail")
        times.append(stored(manage_api).updated_at)
    assert times == sorted(set(times))


def test_a_new_secret_makes_a_new_version(manage_api: ManageApi, clock: FakeClock) -> None:
    manage_api.call(CREATE, BODY)
    before = stored(manage_api).secret_version
    clock.advance(1)
    assert manage_api.call(PATCH, {"secret": {"password": "new"}}, id="mail").json["secret"] == {"password": MASK}
    assert stored(manage_api).secret_version > before
    assert secret(manage_api) == {"password": "new"}


def test_a_login_never_loses_its_password(manage_api: ManageApi) -> None:
    manage_api.call(CREATE, BODY)
    answer = manage_api.call(PATCH, {"secret": {}}, id="mail")
    assert (answer.status, answer.fields) == (422, ["secret.password"])
    assert "to log in with a username" in answer.text
    assert secret(manage_api) == {"password": PASSWORD}
    # The password that is stored counts; once it is gone, a username needs one.
    assert manage_api.call(PATCH, {"settings": {**SMTP, "from_name": "You"}}, id="mail").status == 200
    assert manage_api.call(PATCH, {"settings": NO_LOGIN, "secret": {}}, id="mail").status == 200
    assert manage_api.call(PATCH, {"settings": SMTP}, id="mail").fields == ["secret.password"]
    assert manage_api.call(PATCH, {"name": "Other"}, id="mail").status == 200
    assert manage_api.call(PATCH, {"settings": SMTP, "secret": {"password": "x"}}, id="mail").status == 200


def test_an_empty_secret_takes_it_away(manage_api: ManageApi) -> None:
    manage_api.call(CREATE, BODY)
    assert manage_api.call(PATCH, {"secret": {}, "settings": NO_LOGIN}, id="mail").json["secret"] == {}
    assert secret(manage_api) == {}
    listed = manage_api.aws.client("secretsmanager").list_secrets(IncludePlannedDeletion=False)["SecretList"]
    assert listed == []


def test_settings_are_replaced_whole(manage_api: ManageApi) -> None:
    manage_api.call(CREATE, BODY)
    settings = {k: v for k, v in SMTP.items() if k != "username"} | {"port": 465, "security": "tls"}
    changed = manage_api.call(PATCH, {"settings": settings, "secret": {}}, id="mail").json["settings"]
    assert (changed["port"], changed["security"], changed["username"]) == (465, "tls", None)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"settings": {"provider": "ses", "from_address": "a@example.com"}}, "settings.provider"),
        ({"settings": {**SMTP, "port": 0}}, "settings.port"),
        ({"secret": {"password": MASK}}, "secret.password"),
        ({"secret": {"key": "x"}}, "secret.key"),
        ({"state": "gone"}, "state"),
        ({"id": "other"}, "id"),
    ],
)
def test_a_wrong_change_is_refused_whole(manage_api: ManageApi, body: Any, field: str) -> None:
    manage_api.call(CREATE, BODY)
    before = stored(manage_api)
    answer = manage_api.call(PATCH, {"name": "New", **body}, id="mail")
    assert (answer.status, answer.fields) == (422, [field])
    assert stored(manage_api) == before
    assert secret(manage_api) == {"password": PASSWORD}


def test_two_who_change_at_once_both_get_their_change(manage_api: ManageApi, monkeypatch: pytest.MonkeyPatch) -> None:
    manage_api.call(CREATE, BODY)
    other = ManageApi(manage_api.aws, manage_api.clock)
    update = manage_api.catalog.update_account
    theirs = [{"weight": 7, "secret": {"password": "theirs"}}]

    def late(account: Account, rev: int, record: AuditRecord) -> None:
        while theirs:
            assert other.call(PATCH, theirs.pop(), id="mail").status == 200
        update(account, rev, record)

    monkeypatch.setattr(manage_api.catalog, "update_account", late)
    assert manage_api.call(PATCH, {"name": "Ours"}, id="mail").status == 200
    assert (stored(manage_api).name, stored(manage_api).weight) == ("Ours", 7)
    assert secret(manage_api) == {"password": "theirs"}


def test_an_account_that_never_stands_still_is_a_conflict(
    manage_api: ManageApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    manage_api.call(CREATE, BODY)

    def never(account: Account, rev: int, record: AuditRecord) -> None:
        raise CatalogConflictError

    monkeypatch.setattr(manage_api.catalog, "update_account", never)
    assert manage_api.call(PATCH, {"name": "Ours"}, id="mail").status == 409


def test_a_change_that_dies_after_its_secret_leaves_the_account_as_it_was(
    manage_api: ManageApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    manage_api.call(CREATE, BODY)

    def die(account: Account, rev: int, record: AuditRecord) -> None:
        raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr(manage_api.catalog, "update_account", die)
        body = {"settings": {**SMTP, "host": "new.example.com"}, "secret": {"password": "new"}}
        assert manage_api.call(PATCH, body, id="mail").status == 500
    assert stored(manage_api).settings["host"] == "smtp.example.com"
    fresh = ManageApi(manage_api.aws, manage_api.clock)
    assert secret(fresh) == {"password": PASSWORD}
    assert manage_api.call(PATCH, body, id="mail").status == 200
    assert secret(fresh) == {"password": "new"}


# Delete


def test_an_account_goes_with_its_secret_and_its_id_can_be_used_again(manage_api: ManageApi, clock: FakeClock) -> None:
    manage_api.call(CREATE, BODY)
    answer = manage_api.call(DELETE, id="mail")
    assert (answer.status, answer.text) == (204, "")
    assert manage_api.call(GET, id="mail").status == 404
    assert manage_api.call(DELETE, id="mail").status == 404
    clock.advance(1)
    assert manage_api.call(CREATE, {**BODY, "secret": {"password": "again"}}).status == 201
    assert secret(manage_api) == {"password": "again"}


def test_an_account_that_changes_while_it_is_deleted_goes_as_it_is(
    manage_api: ManageApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    manage_api.catalog.ensure_tenant("default")
    manage_api.call(CREATE, BODY)
    delete, others = manage_api.catalog.delete_account, [ManageApi(manage_api.aws, manage_api.clock)]

    def late(account: Account, rev: int, record: AuditRecord) -> None:
        while others:
            assert others.pop().call(PATCH, {"name": "Theirs"}, id="mail").status == 200
        delete(account, rev, record)

    monkeypatch.setattr(manage_api.catalog, "delete_account", late)
    assert manage_api.call(DELETE, id="mail").status == 204
    assert not others
    [gone] = manage_api.call("GET /v1/audit", query={"action": "delete_account"}).json["records"]
    assert gone["before"]["name"] == "Theirs"


def test_an_account_that_never_stands_still_cannot_be_deleted(
    manage_api: ManageApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    manage_api.call(CREATE, BODY)

    def never(account: Account, rev: int, record: AuditRecord) -> None:
        raise CatalogConflictError

    monkeypatch.setattr(manage_api.catalog, "delete_account", never)
    assert manage_api.call(DELETE, id="mail").status == 409
    assert secret(manage_api) == {"password": PASSWORD}


def test_an_account_in_use_stays_with_its_secret(manage_api: ManageApi) -> None:
    manage_api.call(CREATE, BODY)
    template = Template(
        id="code",
        tenant="default",
        name="Code",
        channel=Channel.EMAIL,
        message_class=MessageClass.VERIFICATION,
        accounts=["mail"],
        latest=1,
        created_at=1,
        updated_at=1,
    )
    content = EmailContent(subject="s", text="t")
    first = TemplateVersion(template="code", version=1, content=content, created_at=1)
    manage_api.catalog.create_template(template, first, change())
    answer = manage_api.call(DELETE, id="mail")
    assert answer.status == 409
    assert "code" in answer.json["detail"]
    assert secret(manage_api) == {"password": PASSWORD}


def test_a_secret_that_cannot_be_deleted_is_left_to_the_operator(
    manage_api: ManageApi, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    manage_api.call(CREATE, BODY)

    def fail(tenant: str, account_id: str) -> None:
        raise SecretError("hunter2")

    monkeypatch.setattr(manage_api.secrets, "delete", fail)
    assert manage_api.call(DELETE, id="mail").status == 204
    told = logged(caplog.records)
    assert "left behind" in told
    assert "hunter2" not in told


# Verify


def app(sandbox: WecomSandbox, corp_secret: str = CORP_SECRET) -> dict[str, Any]:
    settings = {"provider": "app", "corp_id": CORP_ID, "agent_id": AGENT_ID, "endpoint": sandbox.url}
    return {"id": "app", "name": "App", "settings": settings, "secret": {"corp_secret": corp_secret}}


def test_a_good_account_is_found_good_and_a_bad_secret_bad(aws: Aws, clock: FakeClock) -> None:
    manage_api = ManageApi(aws, clock, loopback=True)
    with WecomSandbox() as sandbox:
        manage_api.call(CREATE, app(sandbox))
        good = manage_api.call(VERIFY, id="app")
        assert (good.status, good.json["ok"]) == (200, True)
        manage_api.call(PATCH, {"secret": {"corp_secret": "wrong"}}, id="app")
        bad = manage_api.call(VERIFY, id="app")
    assert (bad.status, bad.json["ok"]) == (200, False)
    assert bad.json["summary"]
    assert bad.json["action"]
    assert bad.json["raw_code"] == "40001"


def test_a_provider_that_is_away_is_told_in_words(aws: Aws, clock: FakeClock) -> None:
    manage_api = ManageApi(aws, clock, loopback=True)
    with WecomSandbox() as sandbox:
        manage_api.call(CREATE, app(sandbox))
    answer = manage_api.call(VERIFY, id="app")
    assert (answer.status, answer.json["ok"]) == (200, False)
    assert answer.json["summary"]


def test_a_missing_secret_is_told_in_words(manage_api: ManageApi) -> None:
    manage_api.call(CREATE, BODY)
    ManageApi(manage_api.aws, manage_api.clock).secrets.delete("default", "mail")
    answer = manage_api.call(VERIFY, id="mail")
    assert (answer.status, answer.json["ok"]) == (200, False)
    assert "secret is missing" in answer.json["summary"]


def test_secrets_that_cannot_be_read_are_told_in_words(manage_api: ManageApi, monkeypatch: pytest.MonkeyPatch) -> None:
    manage_api.call(CREATE, BODY)

    def fail(tenant: str, account_id: str, version: int) -> None:
        raise SecretError("AccessDenied")

    monkeypatch.setattr(manage_api.secrets, "get", fail)
    answer = manage_api.call(VERIFY, id="mail")
    assert (answer.status, answer.json["ok"]) == (200, False)
    assert "cannot be read" in answer.json["summary"]


def test_settings_that_no_longer_fit_are_told_in_words(manage_api: ManageApi) -> None:
    manage_api.call(CREATE, BODY)
    found = manage_api.catalog.load_account("default", "mail")
    assert found is not None
    broken = found.value.model_copy(update={"settings": {"provider": "smtp", "old_name": 1}})
    manage_api.catalog.update_account(broken, found.rev, change())
    answer = manage_api.call(VERIFY, id="mail")
    assert (answer.status, answer.json["ok"]) == (200, False)
    assert "do not fit" in answer.json["summary"]


class Odd(Provider):
    """A provider whose try does what the test says."""

    def __init__(self, attempt: Any) -> None:
        self._attempt = attempt
        self.closed = threading.Event()

    def send(self, group: Any) -> Any:
        raise NotImplementedError

    def verify(self) -> Verification:
        result: Verification = self._attempt()
        return result

    def close(self) -> None:
        self.closed.set()


def odd(monkeypatch: pytest.MonkeyPatch, attempt: Any) -> Odd:
    provider = Odd(attempt)
    monkeypatch.setattr("functions.manage.trying.build_provider", lambda *_: provider)
    return provider


def test_a_try_that_fails_is_told_in_words_and_keeps_what_it_says_back(
    manage_api: ManageApi, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    manage_api.call(CREATE, BODY)

    def fail() -> None:
        raise RuntimeError(f"login {PASSWORD}")

    provider = odd(monkeypatch, fail)
    answer = manage_api.call(VERIFY, id="mail")
    assert (answer.status, answer.json["ok"]) == (200, False)
    told = answer.text + logged(caplog.records)
    assert "RuntimeError" in told
    assert "hunter2" not in told
    assert provider.closed.wait(5)


def test_a_try_that_hangs_is_given_up(manage_api: ManageApi, monkeypatch: pytest.MonkeyPatch) -> None:
    manage_api.call(CREATE, BODY)
    release = threading.Event()

    def hang() -> Verification:
        release.wait(10)
        return Verification(True, "late")

    provider = odd(monkeypatch, hang)
    found = Accounts(manage_api.deps, verify_seconds=0.05).verify(caller(id="mail"))
    assert not found.ok
    assert "0.05 seconds" in found.summary
    release.set()
    assert provider.closed.wait(5)


def test_a_rate_is_set_changed_and_taken_away(manage_api: ManageApi) -> None:
    answer = manage_api.call(CREATE, {**BODY, "rate": {"per_second": 5, "burst": 10}})
    rate = {"per_second": 5, "burst": 10, "per_day": None, "code_share": 0.1}
    assert (answer.json["rate"], answer.json["rate_from"]) == (rate, "account")
    assert manage_api.call(PATCH, {"weight": 7}, id="mail").json["rate"] == rate
    other = {"per_second": 2.5, "burst": 1, "per_day": 100, "code_share": 0}
    assert manage_api.call(PATCH, {"rate": other}, id="mail").json["rate"] == other
    answer = manage_api.call(PATCH, {"rate": None}, id="mail")
    assert (answer.json["rate"], answer.json["rate_from"]) == (None, None)


@pytest.mark.parametrize("rate", [
    {"per_second": 0, "burst": 1}, {"per_second": 1}, {"per_second": "1", "burst": 1}, {"per_second": 1, "burst": True}
])  # fmt: skip
def test_a_rate_that_makes_no_sense_is_refused(manage_api: ManageApi, rate: dict[str, Any]) -> None:
    answer = manage_api.call(CREATE, {**BODY, "rate": rate})
    assert answer.status == 422
    assert answer.json["errors"][0]["field"].startswith("rate.")


def test_the_rate_that_the_provider_names_counts_where_people_set_none(
    manage_api: ManageApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    manage_api.call(CREATE, BODY)
    said = Rate(per_second=14, burst=14, per_day=50_000)
    odd(monkeypatch, lambda: Verification(True, "fine", rate=said))
    before = manage_api.call(GET, id="mail").json
    assert manage_api.call(VERIFY, id="mail").json["rate"] == said.model_dump()
    after = manage_api.call(GET, id="mail").json
    assert (after["rate"], after["rate_from"]) == (said.model_dump(), "verified")
    assert after["updated_at"] != before["updated_at"]
    # Nothing changes when it says the same again.
    assert manage_api.call(VERIFY, id="mail").status == 200
    assert manage_api.call(GET, id="mail").json == after
    own = {"per_second": 1, "burst": 1, "per_day": None, "code_share": 0.1}
    answer = manage_api.call(PATCH, {"rate": own}, id="mail").json
    assert (answer["rate"], answer["rate_from"]) == (own, "account")


def test_a_group_robot_has_the_rate_of_its_provider(manage_api: ManageApi) -> None:
    body = {"id": "bot", "name": "Bot", "settings": {"provider": "robot"}, "secret": {"key": "0123456789-abcdef"}}
    answer = manage_api.call(CREATE, body)
    assert (answer.json["rate"]["per_second"], answer.json["rate"]["burst"]) == (0.25, 5)
    assert answer.json["rate_from"] == "provider"


def test_a_fee_is_set_changed_and_taken_away(manage_api: ManageApi) -> None:
    fee = {"amount": 0.02, "currency": "CNY"}
    answer = manage_api.call(CREATE, {**BODY, "fee": fee})
    assert (answer.json["fee"], answer.json["fee_from"]) == (fee, "account")
    assert manage_api.call(PATCH, {"weight": 7}, id="mail").json["fee"] == fee
    other = {"amount": 0, "currency": "USD"}
    assert manage_api.call(PATCH, {"fee": other}, id="mail").json["fee"] == other
    assert stored(manage_api).fee == UnitFee(amount=0, currency="USD")
    answer = manage_api.call(PATCH, {"fee": None}, id="mail")
    # A mail server of one's own charges nothing.
    assert (answer.json["fee"], answer.json["fee_from"]) == ({"amount": 0, "currency": "USD"}, "provider")


def test_what_text_messages_cost_is_not_known_until_it_is_said(manage_api: ManageApi) -> None:
    settings = {"provider": "tencent", "sdk_app_id": "14", "sign_name": "示例"}
    secret = {"secret_id": "AKID", "secret_key": "key"}
    answer = manage_api.call(CREATE, {"id": "texts", "name": "Texts", "settings": settings, "secret": secret})
    assert (answer.json["fee"], answer.json["fee_from"]) == (None, None)


@pytest.mark.parametrize(
    ("fee", "field", "words"),
    [
        ({"amount": -1, "currency": "CNY"}, "fee.amount", "0"),
        ({"amount": "1", "currency": "CNY"}, "fee.amount", "give a number"),
        ({"amount": 1, "currency": "cny"}, "fee.currency", "three capital letters"),
        ({"amount": 1}, "fee.currency", "is missing"),
    ],
)
def test_a_fee_that_makes_no_sense_is_refused(
    manage_api: ManageApi, fee: dict[str, Any], field: str, words: str
) -> None:
    answer = manage_api.call(CREATE, {**BODY, "fee": fee})
    assert answer.status == 422
    assert answer.fields == [field]
    assert words in answer.json["errors"][0]["message"]


def test_an_answer_that_is_not_described_would_be_noticed(manage_api: ManageApi) -> None:
    def refuse(call: Call) -> None:
        raise ConflictError("no")

    manage_api.api = Api({"list_accounts": refuse})
    with pytest.raises(AssertionError, match="lacks"):
        manage_api.call(LIST)


@pytest.fixture
def _deployed(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    tables = {"CATALOG_TABLE": aws.catalog, "GUARD_TABLE": aws.guard}
    for name, value in (tables | {"SECRET_PREFIX": "mepush", "QUEUE_MAPPINGS": "{}"}).items():
        monkeypatch.setenv(name, value)
    handler.api.cache_clear()
    deps.cache_clear()
    yield
    handler.api.cache_clear()
    deps.cache_clear()


@pytest.mark.usefixtures("_deployed")
@pytest.mark.parametrize("operation", [o for o in OPERATIONS if o.function == "manage"], ids=lambda o: o.id)
def test_the_function_serves_every_operation_that_is_its_own(operation: Operation) -> None:
    context = Context("manage", "arn:aws:lambda:us-east-1:123456789012:function:manage", 512, "r1", 0.0)
    who = {"tenant": "default", "key_id": "k1", "kind": "live", "scopes": "read manage operate", "problem": ""}
    event = {
        "routeKey": operation.route_key,
        "pathParameters": {"id": "none", "version": "1", "prefix": "62812", "domain": "none"},
        "requestContext": {"authorizer": {"lambda": who}},
        "body": "{}",
    }
    answer = handler.lambda_handler(event, context)
    assert answer["statusCode"] in {operation.success, *operation.errors}
    assert "no such route" not in answer["body"]


# Callbacks

TENCENT = {
    "id": "sms",
    "name": "SMS",
    "settings": {"provider": "tencent", "sdk_app_id": "1400006666", "sign_name": "微推"},
    "secret": {"secret_id": "AKID1", "secret_key": "abcdef"},
}
ROTATE = "POST /v1/accounts/{id}/callback"


@pytest.fixture
def calling(manage_api: ManageApi) -> ManageApi:
    """With a tenant, and an account of a provider that calls back."""
    manage_api.catalog.ensure_tenant("default")
    assert manage_api.call(CREATE, TENCENT).status == 201
    return manage_api


def callback_url(manage_api: ManageApi, generation: int) -> str:
    tenant = manage_api.catalog.tenant("default")
    assert tenant is not None
    token = callback_token(tenant.salt, "sms", generation)
    return f"https://abc.execute-api.eu-central-1.amazonaws.com/callbacks/default/sms/{token}"


def test_an_account_shows_where_its_provider_is_to_call(calling: ManageApi) -> None:
    assert calling.call(GET, id="sms").json["callback_url"] == callback_url(calling, 0)
    assert calling.call(PATCH, {"weight": 7}, id="sms").json["callback_url"] == callback_url(calling, 0)
    assert calling.call(CREATE, {**TENCENT, "id": "two"}).json["callback_url"].count("/callbacks/default/two/") == 1
    calling.call(CREATE, BODY)
    assert calling.call(GET, id="mail").json["callback_url"] is None


def test_who_may_not_change_accounts_is_not_shown_it(calling: ManageApi) -> None:
    callers: list[dict[str, Any]] = [{"scopes": "send read"}, {"kind": "team"}, {"kind": "test"}]
    for who in callers:
        assert calling.call(GET, id="sms", **who).json["callback_url"] is None
    token = callback_url(calling, 0).rpartition("/")[2]
    assert token not in calling.call(LIST).text
    assert token not in json.dumps(calling.aws.dynamodb.scan(TableName="catalog")["Items"], default=str)


def test_a_callback_url_is_made_anew(calling: ManageApi, clock: FakeClock) -> None:
    before = stored(calling, "sms")
    answer = calling.call(ROTATE, id="sms")
    assert (answer.status, answer.json["callback_url"]) == (200, callback_url(calling, 1))
    assert calling.call(GET, id="sms").json == answer.json
    after = stored(calling, "sms")
    changed = {"callback_generation": 1, "updated_at": after.updated_at}
    assert (after, after.updated_at > before.updated_at) == (before.model_copy(update=changed), True)
    assert calling.call(ROTATE, id="sms").json["callback_url"] == callback_url(calling, 2)
    # It stays with whatever else changes.
    assert calling.call(PATCH, {"name": "x"}, id="sms").json["callback_url"] == callback_url(calling, 2)


def test_two_who_make_it_anew_at_once_get_different_ones(calling: ManageApi, monkeypatch: pytest.MonkeyPatch) -> None:
    save = calling.catalog.update_account
    others: list[str] = []

    def saved(account: Account, rev: int, record: AuditRecord) -> None:
        if not others:
            others.append("")
            others.append(calling.call(ROTATE, id="sms").json["callback_url"])
        save(account, rev, record)

    monkeypatch.setattr(calling.catalog, "update_account", saved)
    mine = calling.call(ROTATE, id="sms").json["callback_url"]
    assert (others[1], mine) == (callback_url(calling, 1), callback_url(calling, 2))


def test_a_provider_that_calls_nobody_has_none_to_make_anew(calling: ManageApi) -> None:
    calling.call(CREATE, BODY)
    answer = calling.call(ROTATE, id="mail")
    assert (answer.status, answer.json["detail"]) == (409, "The provider smtp makes no callbacks.")
    assert calling.call(ROTATE, id="nope").status == 404
    assert calling.call(ROTATE, id="sms", scopes="send read").status == 403
    assert calling.call(ROTATE, id="sms", kind="test").status == 403


def test_the_audit_log_says_that_it_is_another_and_not_which(calling: ManageApi) -> None:
    old = callback_url(calling, 0).rpartition("/")[2]
    new = calling.call(ROTATE, id="sms").json["callback_url"].rpartition("/")[2]
    answer = calling.call("GET /v1/audit", query={"action": "rotate_callback"})
    assert answer.json["records"][0]["changed"] == ["callback_url", "updated_at"]
    assert old not in answer.text and new not in answer.text
