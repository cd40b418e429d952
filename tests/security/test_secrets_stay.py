"""A stored secret stays with the server and the login that it was given for, whatever is changed about its account."""

import itertools
import re
import secrets
from pathlib import Path
from typing import Any, Literal

import pytest

from functions.manage.account_input import MASK
from shared.model.accounts import Account, NoSecret, ProviderSettings
from shared.model.audit import AuditRecord
from shared.net.problems import NOT_ALLOWED, WORDS
from shared.providers.registry import secret_model, settings_model
from shared.providers.table import PROVIDERS
from tests.certificates import authority
from tests.conftest import Aws
from tests.fakes import FakeClock
from tests.integration.functions.manage.manage_calls import Answer, ManageApi
from tests.security.attempts import Attempts

CREATE, PATCH, GET = "POST /v1/accounts", "PATCH /v1/accounts/{id}", "GET /v1/accounts/{id}"
VERIFY = "POST /v1/accounts/{id}/verify"

SETTINGS: dict[str, dict[str, Any]] = {
    "smtp": {"provider": "smtp", "host": "smtp.example.com", "port": 587, "username": "me", "from_address": "a@b.cn"},
    "tencent": {"provider": "tencent", "sdk_app_id": "1400006666"},
    "app": {"provider": "app", "corp_id": "ww1", "agent_id": 7},
    "robot": {"provider": "robot"},
}
"""Of each provider that has a secret: the least settings."""
SECRETS: dict[str, dict[str, str]] = {
    "smtp": {"password": "first"},
    "tencent": {"secret_id": "AKID", "secret_key": "first"},
    "app": {"corp_secret": "first"},
    "robot": {"key": "0123456789abcdef"},
}
BINDING: dict[str, dict[str, Any]] = {
    "smtp": {
        "host": "smtp.example.org",
        "port": 465,
        "security": "tls",
        "username": "you",
        "ca_pem": authority().pem,
        "bounce_mailbox": {"host": "imap.example.org"},
    },
    "tencent": {
        "region": "ap-beijing",
        "sdk_app_id": "1400007777",
        "endpoint": "https://sms.ap-shanghai.tencentcloudapi.com",
    },
    "app": {"corp_id": "ww2", "agent_id": 8, "endpoint": "https://qyapi.weixin.qq.com"},
    "robot": {"endpoint": "https://qyapi.weixin.qq.com"},
}
"""By provider: each setting that says where a secret goes or whose it is, with another value than the account's."""
FREE: dict[str, dict[str, Any]] = {
    "smtp": {
        "from_address": "c@b.cn",
        "from_name": "Shop",
        "reply_to": "d@b.cn",
        "helo": "mail.b.cn",
        "connect_timeout_s": 3,
        "timeout_s": 4,
        "max_messages_per_connection": 5,
        "max_connections": 3,
        "chunking": False,
    },
    "tencent": {
        "sign_name": "示例",
        "sign_name_abroad": "Shop",
        "sender_id": "Shop",
        "timeout": 3,
        "pull_receipts": True,
        "report_conversion": True,
    },
    "app": {"safe": 1, "enable_id_trans": True, "duplicate_check_interval": 60},
    "robot": {"mention": False},
}
"""By provider: each setting that has nothing to do with its secret."""
NUMBERS = itertools.count()
KINDS = ("live", "test", "team")


@pytest.fixture
def manage_api(aws: Aws, clock: FakeClock) -> ManageApi:
    return ManageApi(aws, clock)


def create(manage_api: ManageApi, provider: str) -> Account:
    body = {"id": provider, "name": provider, "settings": SETTINGS[provider], "secret": SECRETS[provider]}
    assert manage_api.call(CREATE, body).status == 201
    return stored(manage_api, provider)


def stored(manage_api: ManageApi, provider: str) -> Account:
    found = manage_api.catalog.load_account("default", provider)
    assert found is not None
    return found.value


def change(manage_api: ManageApi, provider: str, settings: dict[str, Any], kind: str = "live", **more: Any) -> Answer:
    return manage_api.call(PATCH, {"settings": {**SETTINGS[provider], **settings}, **more}, id=provider, kind=kind)


def refused(answer: Answer, name: str) -> bool:
    """Whether a change was refused for what it would change, or because such a key may change nothing."""
    return answer.status == 403 or (answer.status == 422 and answer.fields == ["secret"] and f"`{name}`" in answer.text)


def test_the_walk_leaves_out_no_setting_of_any_provider() -> None:
    secretive = {name for name in PROVIDERS if secret_model(name) is not NoSecret}
    assert set(SETTINGS) == set(BINDING) == set(FREE) == secretive
    for provider in secretive:
        model = settings_model(provider)
        assert {"provider", *BINDING[provider], *FREE[provider]} == set(model.model_fields)
        assert model.keep_secret == set(FREE[provider])


def test_the_page_for_operators_names_the_same_settings() -> None:
    page = (Path(__file__).parents[2] / "docs" / "accounts.md").read_text(encoding="utf-8")
    rows = {
        found[1]: (set(re.findall(r"`(\w+)`", found[2])), set(re.findall(r"`(\w+)`", found[3])))
        for found in re.finditer(r"^\| `(\w+)` \| (`[^|]*) \| (`[^|]*) \|$", page, re.MULTILINE)
    }
    told = {provider: rows[provider] for provider in SETTINGS}
    assert told == {provider: (set(BINDING[provider]), set(FREE[provider])) for provider in SETTINGS}
    assert set(re.findall(r"`(certificate_\w+)`", page)) == WORDS.keys() - {NOT_ALLOWED}


@pytest.mark.parametrize("provider", SETTINGS)
def test_no_change_of_where_it_goes_or_whose_it_is_keeps_the_secret(
    manage_api: ManageApi, provider: str, attempts: Attempts
) -> None:
    before = create(manage_api, provider)
    for kind in KINDS:
        for name, value in BINDING[provider].items():
            alone = change(manage_api, provider, {name: value}, kind)
            attempts.check(f"{kind} {provider}.{name}", held=refused(alone, name))
            hidden = change(manage_api, provider, {**FREE[provider], name: value}, kind, weight=7, name="Other")
            attempts.check(f"{kind} {provider}.{name} among others", held=refused(hidden, name))
            masked = change(manage_api, provider, {name: value}, kind, secret=dict.fromkeys(SECRETS[provider], MASK))
            attempts.check(f"{kind} {provider}.{name} with the mask", held=masked.status in {403, 422})
            attempts.check(f"{kind} {provider}.{name} stays", held=stored(manage_api, provider) == before)


@pytest.mark.parametrize("provider", SETTINGS)
def test_with_the_secret_given_again_all_may_change_and_the_audit_log_tells(
    manage_api: ManageApi, provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Versions of one millisecond are told apart by chance alone.
    monkeypatch.setattr(secrets, "randbits", lambda _: next(NUMBERS))
    before = create(manage_api, provider)
    for name, value in BINDING[provider].items():
        assert change(manage_api, provider, {name: value}, secret=SECRETS[provider]).status == 200
        assert stored(manage_api, provider).secret_version != before.secret_version
        assert change(manage_api, provider, {}, secret=SECRETS[provider]).status == 200
    records = manage_api.call("GET /v1/audit", query={"action": "update_account"}).json["records"]
    assert len(records) == 2 * len(BINDING[provider])
    assert all("secret" in record["changed"] for record in records)


@pytest.mark.parametrize("provider", SETTINGS)
def test_what_has_nothing_to_do_with_the_secret_keeps_it(manage_api: ManageApi, provider: str) -> None:
    before = create(manage_api, provider)
    for name, value in FREE[provider].items():
        assert change(manage_api, provider, {name: value}).status == 200
    assert stored(manage_api, provider).secret_version == before.secret_version
    # The same in other words is no change either.
    defaults = {k: v for k, v in before.settings.items() if k != "provider"}
    assert change(manage_api, provider, defaults).status == 200


def test_a_setting_that_nobody_thought_about_binds() -> None:
    class Settings(ProviderSettings):
        keep_secret = frozenset({"colour"})
        provider: Literal["new"]
        colour: str = "red"
        proxy: str | None = None

    assert Settings.binding_changes({}, {"proxy": None, "colour": "blue"}) == []
    assert Settings.binding_changes({}, {"proxy": "https://evil.example"}) == ["proxy"]
    assert Settings.binding_changes({"gone": 1}, {}) == ["gone"]


def test_a_declaration_of_no_setting_is_a_mistake() -> None:
    with pytest.raises(TypeError, match="color"):

        class Settings(ProviderSettings):
            keep_secret = frozenset({"color"})
            colour: str = "red"


def test_other_ways_to_a_stored_secret(manage_api: ManageApi, attempts: Attempts) -> None:
    before = create(manage_api, "smtp")
    elsewhere = {**SETTINGS["smtp"], "host": "evil.example.org"}
    tried = manage_api.call(VERIFY, {"settings": elsewhere}, id="smtp")
    attempts.check("verify elsewhere", held="evil" not in tried.text)
    body = {"id": "smtp", "name": "Taken", "settings": elsewhere}
    attempts.check("create over it", held=manage_api.call(CREATE, body).status in {409, 422})
    attempts.check("an empty secret keeps none", held=change(manage_api, "smtp", elsewhere, secret={}).status == 422)
    attempts.check("without one", held=change(manage_api, "smtp", elsewhere, secret=None).status == 422)
    other = {"settings": SETTINGS["robot"]}
    attempts.check("another provider", held=manage_api.call(PATCH, other, id="smtp").status == 422)
    assert stored(manage_api, "smtp") == before
    assert manage_api.call("DELETE /v1/accounts/{id}", id="smtp").status == 204
    attempts.check("restore without it", held=manage_api.call(CREATE, body).status == 422)
    no_login = {name: value for name, value in elsewhere.items() if name != "username"}
    assert manage_api.call(CREATE, {**body, "settings": no_login}).status == 201
    attempts.check("restore without a login", held=manage_api.call(GET, id="smtp").json["secret"] == {})
    attempts.check("and then with one", held=manage_api.call(PATCH, {"settings": elsewhere}, id="smtp").status == 422)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        # Another moves the account, with a secret of its own, while we change what we saw.
        ({"host": "evil.example.org"}, {"secret": {"password": "ours"}}),
        ({"host": "evil.example.org"}, {"settings": {**SETTINGS["smtp"], "from_name": "Shop"}}),
    ],
)
def test_of_two_who_change_at_once_no_secret_reaches_the_others_server(
    manage_api: ManageApi,
    monkeypatch: pytest.MonkeyPatch,
    theirs: dict[str, Any],
    ours: dict[str, Any],
    attempts: Attempts,
) -> None:
    create(manage_api, "smtp")
    other, update = ManageApi(manage_api.aws, manage_api.clock), manage_api.catalog.update_account
    late = [theirs]

    def slow(account: Account, rev: int, record: AuditRecord) -> None:
        while late:
            assert change(other, "smtp", late.pop(), secret={"password": "theirs"}).status == 200
        update(account, rev, record)

    monkeypatch.setattr(manage_api.catalog, "update_account", slow)
    answer = manage_api.call(PATCH, ours, id="smtp")
    now = stored(manage_api, "smtp")
    secret = manage_api.secrets.get("default", "smtp", now.secret_version)
    refused = answer.status in {409, 422}
    attempts.check(str(ours), held=refused and (now.settings["host"], secret["password"]) == (theirs["host"], "theirs"))
