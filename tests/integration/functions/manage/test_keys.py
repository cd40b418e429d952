"""Managing API keys: nobody gives more than they have, and a key is shown once."""

import json
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from functions.authorize.deps import AuthorizeDeps
from functions.authorize.handler import authorize
from shared.model.audit import AuditRecord
from shared.model.keys import MAX_LINEAGE, ApiKey, hash_secret, parse_key
from shared.model.words import KeyKind, Scope
from shared.store.bootstrap import bootstrap
from shared.store.catalog import Catalog
from shared.store.catalog_items import key_of
from tests.conftest import Aws
from tests.fakes import FakeClock, logged
from tests.integration.functions.manage.manage_calls import ManageApi
from tests.samples import change

CREATE, LIST, REVOKE = "POST /v1/keys", "GET /v1/keys", "DELETE /v1/keys/{id}"
DELETE = "POST /v1/keys/{id}/delete"
BODY = {"name": "Shop", "scopes": ["send"]}
TEAM = {"name": "Staging", "kind": "team", "scopes": ["send"]}


@pytest.fixture
def manage_api(aws: Aws, clock: FakeClock) -> ManageApi:
    manage_api = ManageApi(aws, clock)
    # The caller's own key, which is not in the list.
    key = ApiKey(id="k1", tenant="-", name="k", kind=KeyKind.LIVE, scopes=list(Scope), hash="0" * 64, created_at=0)
    manage_api.catalog.create_key(key, change())
    return manage_api


def who(manage_api: ManageApi, text: str) -> dict[str, str]:
    """What a fresh authorizer says of a key."""
    parts = AuthorizeDeps(Catalog(manage_api.aws.dynamodb, manage_api.aws.catalog, manage_api.clock), manage_api.clock)
    return authorize({"headers": {"authorization": f"Bearer {text}"}}, parts)


@pytest.mark.parametrize("kind", ["live", "test"])
def test_a_key_is_made_shown_once_and_works(manage_api: ManageApi, kind: str) -> None:
    answer = manage_api.call(CREATE, {**BODY, "kind": kind, "scopes": ["send", "read", "send"]})
    assert answer.status == 201
    text = answer.json.pop("key")
    assert text.startswith(f"mp_{kind}_{answer.json['id']}_")
    assert (answer.json["scopes"], answer.json["expires_at"], answer.json["revoked_at"]) == (
        ["send", "read"],
        None,
        None,
    )
    assert manage_api.call(LIST).json["keys"] == [answer.json]
    assert who(manage_api, text) == {
        "tenant": "default",
        "key_id": answer.json["id"],
        "kind": kind,
        "scopes": "send read",
        "problem": "",
    }


def test_only_the_hash_is_kept_and_nothing_is_logged(manage_api: ManageApi, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    answer = manage_api.call(CREATE, {**TEAM, "recipients": ["email:qa@example.com"]})
    parsed = parse_key(answer.json["key"])
    assert parsed is not None
    items = str(manage_api.aws.dynamodb.scan(TableName=manage_api.aws.catalog))
    assert hash_secret(parsed.secret) in items
    told = logged(caplog.records)
    assert parsed.secret not in items + told + manage_api.call(LIST).text
    assert hash_secret(parsed.secret) not in answer.text + told + manage_api.call(LIST).text
    assert "qa@example.com" not in told


def test_a_team_keys_recipients_are_normalised(manage_api: ManageApi) -> None:
    recipients = [
        "email:QA@Example.com",
        "sms:138 0013 8000",
        "sms:+86 13800138000",
        "wecom:ZhangSan",
        "WeCom:party:02",
    ]
    answer = manage_api.call(CREATE, {**TEAM, "recipients": recipients})
    assert answer.status == 201
    assert answer.json["recipients"] == [
        "email:qa@example.com",
        "sms:+8613800138000",
        "wecom:zhangsan",
        "wecom:party:2",
    ]


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"name": ""}, ["name"]),
        ({"scopes": []}, ["scopes"]),
        ({"scopes": ["send", "fly"]}, ["scopes.1"]),
        ({"kind": "root"}, ["kind"]),
        ({"extra": 1}, ["extra"]),
        ({"recipients": ["email:a@example.com"]}, ["recipients"]),
        ({"kind": "team"}, ["recipients"]),
        (
            {"kind": "team", "recipients": ["email:a@example.com", "a@example.com", "fax:1"]},
            ["recipients.1", "recipients.2"],
        ),
        ({"kind": "team", "recipients": ["email:a@", "sms:12", "wecom:a b"]}, [f"recipients.{i}" for i in range(3)]),
        ({"kind": "team", "recipients": ["email:a@example.com"] * 101}, ["recipients"]),
        ({"expires_at": "2025-01-15T10:00:00Z"}, ["expires_at"]),
        ({"expires_at": "0001-01-01T00:00:00Z"}, ["expires_at"]),
        ({"expires_at": "9999-12-31T23:59:59-12:00"}, ["expires_at"]),
        ({"expires_at": "2030-01-01T00:00:00"}, ["expires_at"]),
        ({"expires_at": "soon"}, ["expires_at"]),
        ({"texts_per_day": -1}, ["texts_per_day"]),
        ({"texts_per_day": 1.5}, ["texts_per_day"]),
        ({"texts_per_day": True}, ["texts_per_day"]),
        ({"texts_per_day": 10**12}, ["texts_per_day"]),
    ],
)
def test_a_wrong_field_is_named_and_no_key_made(manage_api: ManageApi, changes: Any, fields: list[str]) -> None:
    answer = manage_api.call(CREATE, {**BODY, **changes})
    assert answer.status == 422
    assert answer.fields == fields
    assert "a@example.com" not in answer.text
    assert manage_api.call(LIST).json["keys"] == []


def test_a_key_with_an_end_works_until_then(manage_api: ManageApi, clock: FakeClock) -> None:
    end = datetime.fromtimestamp(clock.now_ms() / 1000, UTC) + timedelta(hours=1)
    answer = manage_api.call(CREATE, {**BODY, "expires_at": end.astimezone().isoformat()})
    assert answer.json["expires_at"] == "2025-01-15T11:00:00Z"
    assert who(manage_api, answer.json["key"])["problem"] == ""
    clock.advance(3600)
    assert "expired" in who(manage_api, answer.json["key"])["problem"]


@pytest.mark.parametrize(
    ("scopes", "wanted", "status"),
    [
        ("manage", ["send"], 403),
        ("manage", ["manage", "read"], 403),
        ("manage read", ["manage", "read"], 201),
        ("send read", ["read"], 403),
    ],
)
def test_nobody_gives_a_scope_they_lack(manage_api: ManageApi, scopes: str, wanted: list[str], status: int) -> None:
    answer = manage_api.call(CREATE, {**BODY, "scopes": wanted}, scopes=scopes)
    assert answer.status == status
    assert len(manage_api.call(LIST).json["keys"]) == (1 if status == 201 else 0)


@pytest.mark.parametrize(
    ("kind", "wanted", "status"),
    [
        ("test", "test", 201),
        ("test", "live", 403),
        ("test", "team", 403),
        ("team", "test", 201),
        ("team", "live", 403),
        ("team", "team", 403),
        ("live", "team", 201),
    ],
)
def test_nobody_reaches_further_by_a_new_key(manage_api: ManageApi, kind: str, wanted: str, status: int) -> None:
    recipients = ["email:a@example.com"] if wanted == "team" else []
    answer = manage_api.call(CREATE, {**BODY, "kind": wanted, "recipients": recipients}, kind=kind)
    assert answer.status == status
    if status == 403:
        assert answer.fields == ["kind"]


def test_keys_are_listed_in_pages(manage_api: ManageApi) -> None:
    made = sorted(manage_api.call(CREATE, BODY).json["id"] for _ in range(5))
    first = manage_api.call(LIST, query={"limit": "3"}).json
    rest = manage_api.call(LIST, query={"cursor": first["cursor"]}).json
    assert ([key["id"] for key in first["keys"] + rest["keys"]], rest["cursor"]) == (made, None)
    assert manage_api.call(LIST, query={"cursor": "eA"}).fields == ["query.cursor"]
    assert manage_api.call(LIST, tenant="other").json["keys"] == []


def test_a_revoked_key_stays_in_the_list_and_works_no_more(manage_api: ManageApi, clock: FakeClock) -> None:
    made = manage_api.call(CREATE, BODY).json
    clock.advance(60)
    answer = manage_api.call(REVOKE, id=made["id"])
    assert (answer.status, answer.text) == (204, "")
    clock.advance(60)
    assert manage_api.call(REVOKE, id=made["id"]).status == 204
    assert [key["revoked_at"] for key in manage_api.call(LIST).json["keys"]] == ["2025-01-15T10:01:00Z"]
    assert "revoked" in who(manage_api, made["key"])["problem"]


@pytest.mark.parametrize("key_id", ["000000000000", "x" * 3000, "汉"])
def test_what_is_not_there_cannot_be_revoked(manage_api: ManageApi, key_id: str) -> None:
    assert manage_api.call(REVOKE, id=key_id).status == 404


def test_a_key_of_another_tenant_cannot_be_revoked(manage_api: ManageApi) -> None:
    made = manage_api.call(CREATE, BODY).json
    assert manage_api.call(REVOKE, id=made["id"], tenant="other").status == 404
    assert who(manage_api, made["key"])["problem"] == ""


def test_two_who_revoke_at_once_both_succeed(manage_api: ManageApi, monkeypatch: pytest.MonkeyPatch) -> None:
    made = manage_api.call(CREATE, BODY).json
    update = manage_api.catalog.update_key
    others = [ManageApi(manage_api.aws, manage_api.clock)]

    def late(key: ApiKey, rev: int, record: AuditRecord) -> None:
        assert others.pop().call(REVOKE, id=made["id"]).status == 204
        update(key, rev, record)

    monkeypatch.setattr(manage_api.catalog, "update_key", late)
    assert manage_api.call(REVOKE, id=made["id"]).status == 204
    assert not others


def child(manage_api: ManageApi, of: str, **changes: Any) -> Any:
    return manage_api.call(CREATE, {**BODY, "scopes": ["manage"], **changes}, who=of).json


def test_a_key_knows_all_that_it_descends_from_and_ends_with_them(manage_api: ManageApi) -> None:
    one = child(manage_api, "k1")
    two = child(manage_api, one["id"])
    three = child(manage_api, two["id"], kind="test")
    assert (three["created_by"], three["lineage"]) == (two["id"], ["k1", one["id"], two["id"]])
    beside = child(manage_api, "k1")
    assert manage_api.call(REVOKE, id=one["id"]).status == 204
    for key, works in ((one, False), (two, False), (three, False), (beside, True)):
        assert (who(manage_api, key["key"])["problem"] == "") is works
    ended = {key["id"]: key["ended_by"] for key in manage_api.call(LIST).json["keys"]}
    assert ended == {one["id"]: None, two["id"]: one["id"], three["id"]: one["id"], beside["id"]: None}


def test_a_key_makes_none_that_outlives_it(manage_api: ManageApi, clock: FakeClock) -> None:
    end = "2025-01-15T10:01:00Z"
    maker = child(manage_api, "k1", expires_at=end)
    answer = manage_api.call(
        CREATE, {**BODY, "scopes": ["send"], "expires_at": "2025-01-15T10:01:01Z"}, who=maker["id"]
    )
    assert (answer.status, answer.fields) == (403, ["expires_at"])
    made = child(manage_api, maker["id"])
    assert made["expires_at"] == end
    clock.advance(60)
    assert "expired" in who(manage_api, made["key"])["problem"]


@pytest.mark.parametrize(
    ("makers", "wanted", "got"),
    [
        (None, None, None),
        (None, 50_000, 50_000),
        (100, None, 100),
        (100, 99, 99),
        (100, 100, 100),
        (100, 0, 0),
        (100, 101, 403),
        (0, None, 0),
        (0, 1, 403),
    ],
)
def test_a_key_makes_none_that_sends_more_texts_than_it(
    manage_api: ManageApi, makers: int | None, wanted: int | None, got: int | None
) -> None:
    own = {} if makers is None else {"texts_per_day": makers}
    maker = child(manage_api, "k1", **own)["id"]
    answer = manage_api.call(CREATE, {**BODY, **({} if wanted is None else {"texts_per_day": wanted})}, who=maker)
    if got == 403:
        assert (answer.status, answer.fields) == (403, ["texts_per_day"])
        assert f"may send {makers} texts a day" in answer.text
        assert len(manage_api.call(LIST).json["keys"]) == 1
        return
    assert (answer.status, answer.json["texts_per_day"]) == (201, got)
    listed = {key["id"]: key["texts_per_day"] for key in manage_api.call(LIST).json["keys"]}
    assert listed == {maker: makers, answer.json["id"]: got}
    # Nor does a key get around it by one in between.
    if got is not None:
        more = manage_api.call(CREATE, {**BODY, "texts_per_day": got + 1}, who=answer.json["id"])
        assert (more.status, more.fields) == (403, ["texts_per_day"])


def test_a_lineage_is_bounded(manage_api: ManageApi) -> None:
    made = "k1"
    for _ in range(MAX_LINEAGE):
        made = child(manage_api, made)["id"]
    assert manage_api.call(CREATE, BODY, who=made).status == 409


def test_a_key_that_has_ended_can_be_deleted_and_stays_refused(manage_api: ManageApi, clock: FakeClock) -> None:
    made = child(manage_api, "k1", kind="team", recipients=["email:qa@example.com"])
    below = child(manage_api, made["id"], kind="test")
    assert manage_api.call(DELETE, id=made["id"]).status == 409
    manage_api.call(REVOKE, id=made["id"])
    assert manage_api.call(DELETE, id=made["id"]).status == 204
    assert manage_api.call(DELETE, id=made["id"]).status == 404
    assert [key["id"] for key in manage_api.call(LIST).json["keys"]] == [below["id"]]
    for key in (made, below):
        assert "revoked" in who(manage_api, key["key"])["problem"]
    assert manage_api.catalog.person(below["id"]) == "k1"
    kept = str(
        manage_api.aws.dynamodb.get_item(TableName=manage_api.aws.catalog, Key=key_of(f"key#{made['id']}", "key"))
    )
    assert "qa@example.com" not in kept
    expiring = child(manage_api, "k1", expires_at="2025-01-15T10:01:00Z")
    clock.advance(60)
    assert manage_api.call(DELETE, id=expiring["id"]).status == 204


def test_keys_of_before_go_on_working_and_belong_to_themselves(manage_api: ManageApi) -> None:
    text = bootstrap(manage_api.catalog, manage_api.clock)
    id = text.split("_")[2]
    for pk, sk in ((f"key#{id}", "key"), ("tenant#default", f"key#{id}")):
        item = manage_api.aws.dynamodb.get_item(TableName=manage_api.aws.catalog, Key=key_of(pk, sk))["Item"]
        document = json.loads(item["doc"]["S"])
        del document["lineage"]
        manage_api.aws.dynamodb.put_item(
            TableName=manage_api.aws.catalog, Item={**item, "doc": {"S": json.dumps(document)}}
        )
    assert who(manage_api, text)["problem"] == ""
    assert ManageApi(manage_api.aws, manage_api.clock).catalog.person(id) == id
    [listed] = manage_api.call(LIST).json["keys"]
    assert (listed["created_by"], listed["lineage"], listed["ended_by"]) == (None, [], None)


def test_the_audit_log_masks_the_recipients_of_team_keys(manage_api: ManageApi) -> None:
    made = child(manage_api, "k1", kind="team", recipients=["email:someone@example.com", "sms:+8613800138000"])
    manage_api.call(REVOKE, id=made["id"])
    log = manage_api.call("GET /v1/audit").text
    assert "s***@example.com" in log
    assert "someone@example.com" not in log and "+8613800138000" not in log
    assert made["recipients"] == ["email:someone@example.com", "sms:+8613800138000"]


@pytest.mark.parametrize("route", [CREATE, LIST, REVOKE, DELETE])
def test_keys_want_the_scope_manage(manage_api: ManageApi, route: str) -> None:
    assert manage_api.call(route, BODY, id="x", scopes="send read").status == 403
    assert manage_api.call(route, BODY, id="x", problem="Give an API key.").status == 401


def test_the_first_key_may_do_everything(aws: Aws, clock: FakeClock) -> None:
    catalog = Catalog(aws.dynamodb, aws.catalog, clock)
    text = bootstrap(catalog, clock)
    parsed = parse_key(text)
    assert parsed is not None
    key = catalog.key(parsed.id)
    assert key is not None
    assert key.matches(parsed.secret)
    assert (key.tenant, key.kind, set(key.scopes)) == ("default", KeyKind.LIVE, set(Scope))
    tenant = catalog.tenant("default")
    assert tenant is not None
    assert bootstrap(catalog, clock, name="lost the first") != text
    assert catalog.ensure_tenant("default").salt == tenant.salt
    assert [k.name for k in catalog.page_keys("default", 10).items if k.id != key.id] == ["lost the first"]


def test_another_tenant_has_keys_of_its_own(aws: Aws, clock: FakeClock) -> None:
    catalog = Catalog(aws.dynamodb, aws.catalog, clock)
    bootstrap(catalog, clock, "team-b", "b")
    assert [key.name for key in catalog.page_keys("team-b", 10).items] == ["b"]
    assert catalog.page_keys("default", 10).items == []
