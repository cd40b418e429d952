"""Whole addresses: shown to who may see them, once the look is recorded, and nowhere else."""

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from unittest.mock import patch

import httpx
import pytest
from botocore.exceptions import ClientError

from local.seed import EXAMPLES, account_body, first_key
from local.stack import LocalStack
from mepush.files.accounts import read_accounts
from shared.store.audit import AuditLog
from shared.store.bootstrap import bootstrap
from shared.store.catalog import Catalog

pytestmark = pytest.mark.xdist_group("local-stack")

ANN, TEXT, MEMBER = "ann.whole@example.com", "+8613800138123", "zhang.whole"
ACCOUNTS = {"mail": "mail-smtp", "text": "sms-tencent", "chat": "wecom-app"}


def other_key(stack: LocalStack) -> str:
    """A key of another tenant, which may do all."""
    catalog = Catalog(stack.client("dynamodb"), stack.environment("manage")["CATALOG_TABLE"], stack.clock)
    return bootstrap(catalog, stack.clock, "other")


class Desk:
    """A stack that has sent something to a person on each channel, and two people who look at it."""

    def __init__(self, stack: LocalStack) -> None:
        self.stack = stack
        self.key = first_key(stack)
        self.api = httpx.Client(base_url=stack.url, timeout=30)
        for entry in read_accounts(EXAMPLES / "accounts.toml"):
            if entry["id"] in ACCOUNTS.values():
                self.ok("POST", "/v1/accounts", account_body(entry, stack.sandboxes))
        self.template("mail", {"type": "email", "subject": "Your order", "text": "It is on its way."})
        sms = {"type": "sms", "text": "It is on its way.", "tencent": {"template_id": "1001"}}
        self.template("text", sms)
        self.template("chat", {"type": "text", "content": "It is on its way."})
        made = self.ok("POST", "/v1/keys", {"name": "reports", "kind": "live", "scopes": ["read", "manage"]})
        self.reader = made["key"]

    def template(self, id: str, content: dict[str, Any]) -> None:
        body = {"id": id, "name": id, "class": "notification", "accounts": [ACCOUNTS[id]], "content": content}
        self.ok("POST", "/v1/templates", body)
        self.ok("POST", f"/v1/templates/{id}/versions/1/publish", {})

    def call(self, method: str, path: str, body: Any = None, key: str | None = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {key or self.key}"}
        return self.api.request(method, path, json=body, headers=headers)

    def ok(self, method: str, path: str, body: Any = None, key: str | None = None) -> Any:
        answer = self.call(method, path, body, key)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def send(self, template: str, *to: str) -> tuple[str, list[str]]:
        """(request id, message ids)."""
        self.stack.clock.advance(1)
        body = {"template": template, "recipients": [{"to": each} for each in to]}
        answer = self.ok("POST", "/v1/messages", body)
        self.stack.drain(until_due=True)
        return answer["request_id"], [each["message_id"] for each in answer["messages"]]

    def looks(self) -> list[dict[str, Any]]:
        """What the audit log has of looks at addresses, the newest first."""
        found: list[dict[str, Any]] = self.ok("GET", "/v1/audit?action=unmask&limit=100")["records"]
        return found


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    with LocalStack(threads=False, memory=True, receipts=False) as stack:
        it = Desk(stack)
        with closing(it.api):
            yield it


@pytest.mark.parametrize(
    ("template", "to", "masked"),
    [("mail", ANN, "a***@example.com"), ("text", TEXT, "+86138****8123"), ("chat", MEMBER, "zh***")],
)
def test_an_address_is_whole_for_who_may_see_it(desk: Desk, template: str, to: str, masked: str) -> None:
    _, [id] = desk.send(template, to)
    before = len(desk.looks())
    plain = desk.ok("GET", f"/v1/messages/{id}")
    assert (plain["to"], plain["address"], plain["address_note"]) == (masked, None, None)
    assert to not in json.dumps(plain)
    whole = desk.ok("GET", f"/v1/messages/{id}?unmask=true")
    assert (whole["to"], whole["address"]) == (masked, to)
    [look, *_] = looks = desk.looks()
    assert len(looks) == before + 1
    assert (look["target"], look["who_name"]) == (f"message/{id}", "first key")
    assert look["after"] == {"addresses": 1, "messages": [id]}
    assert to not in json.dumps(look)


def test_who_lacks_the_scope_is_told_which(desk: Desk) -> None:
    request, [id] = desk.send("mail", ANN)
    before = desk.looks()
    for method, path, body in (
        ("GET", f"/v1/messages/{id}?unmask=true", None),
        ("GET", f"/v1/requests/{request}?unmask=true", None),
        ("POST", "/v1/messages/query", {"to": ANN, "unmask": True}),
        # Whether there is such a thing is not told either.
        ("GET", f"/v1/messages/{id[:-1]}0?unmask=true", None),
    ):
        answer = desk.call(method, path, body, desk.reader)
        assert answer.status_code == 403 and "`unmask`" in answer.json()["detail"]
        assert ANN not in answer.text
    assert desk.looks() == before
    # And it gives the scope to nobody.
    answer = desk.call("POST", "/v1/keys", {"name": "more", "scopes": ["read", "unmask"]}, desk.reader)
    assert answer.status_code == 403


def test_no_record_no_address(desk: Desk) -> None:
    _, [id] = desk.send("mail", ANN)
    refused = ClientError({"Error": {"Code": "ProvisionedThroughputExceededException", "Message": ""}}, "PutItem")
    with patch.object(AuditLog, "add", side_effect=refused):
        answer = desk.call("GET", f"/v1/messages/{id}?unmask=true")
        listed = desk.call("POST", "/v1/messages/query", {"to": ANN, "unmask": True})
    for each in (answer, listed):
        assert each.status_code == 503 and ANN not in each.text
        assert "recorded" in each.json()["detail"]


def test_a_page_is_one_look(desk: Desk) -> None:
    people = [f"person{i}.whole@example.com" for i in range(3)]
    request, ids = desk.send("mail", *people)
    page = desk.ok("GET", f"/v1/requests/{request}?unmask=true&limit=2")
    assert [each["address"] for each in page["messages"]] == people[:2]
    [look, *_] = desk.looks()
    assert look["target"] == f"request/{request}"
    assert look["after"] == {"addresses": 2, "messages": ids[:2]}


def test_a_person_is_found_on_every_channel_in_time_order(desk: Desk) -> None:
    sent = [desk.send(template, to)[1][0] for template, to in (("mail", "eve@example.com"), ("chat", "eve"))]
    sent += desk.send("mail", "eve@example.com")[1]
    wanted = ["eve@example.com", "eve", "+8613900139000"]
    found = desk.ok("POST", "/v1/messages/query", {"addresses": wanted, "unmask": True})["messages"]
    assert [each["message_id"] for each in found] == sent[::-1]
    assert [(each["channel"], each["address"]) for each in found] == [
        ("email", "eve@example.com"),
        ("wecom", "eve"),
        ("email", "eve@example.com"),
    ]
    paged, cursor = [], None
    for _ in range(3):
        page = desk.ok("POST", "/v1/messages/query", {"addresses": wanted, "limit": 1, "cursor": cursor})
        paged += [each["message_id"] for each in page["messages"]]
        cursor = page["cursor"]
    assert (paged, cursor) == (sent[::-1], None)
    answer = desk.call("POST", "/v1/messages/query", {"addresses": ["eve@example.com", "no address"]})
    assert answer.status_code == 422 and answer.json()["errors"][0]["field"] == "addresses.1"
    answer = desk.call("POST", "/v1/messages/query", {"addresses": ["eve"], "to": "eve"})
    assert answer.status_code == 422


def test_what_was_rejected_is_whole_only_if_it_is_an_address(desk: Desk) -> None:
    listed = ["email:qa@example.com"]
    made = desk.ok("POST", "/v1/keys", {"name": "team", "kind": "team", "scopes": ["send"], "recipients": listed})
    body = {"template": "mail", "recipients": [{"to": "qa@example.com"}, {"to": ANN}, {"to": "secret words"}]}
    answer = desk.ok("POST", "/v1/messages", body, made["key"])
    desk.stack.drain()
    [_, stranger, none] = [
        desk.ok("GET", f"/v1/messages/{each['message_id']}?unmask=true") for each in answer["messages"]
    ]
    assert (stranger["status"], stranger["to"], stranger["address"]) == ("rejected", "a***@example.com", ANN)
    assert (none["status"], none["address"]) == ("rejected", None)
    assert "is none" in none["address_note"]
    items = desk.stack.client("dynamodb").scan(TableName=desk.stack.outputs["TimelineTable"])["Items"]
    assert items and "secret words" not in json.dumps(items)


def test_addresses_are_not_kept_where_the_settings_say_so(desk: Desk) -> None:
    _, [kept] = desk.send("mail", ANN)
    desk.ok("PATCH", "/v1/settings", {"keep_addresses": False})
    try:
        desk.stack.clock.advance(11)
        _, [id] = desk.send("mail", ANN)
        before = desk.looks()
        found = desk.ok("GET", f"/v1/messages/{id}?unmask=true")
        assert found["address"] is None and "keep_addresses" in found["address_note"]
        # Nothing was shown, so there is nothing to record.
        assert desk.looks() == before
        assert desk.ok("GET", f"/v1/messages/{kept}?unmask=true")["address"] == ANN
    finally:
        desk.ok("PATCH", "/v1/settings", {"keep_addresses": True})
        desk.stack.clock.advance(11)


def test_another_tenants_key_gets_nothing(desk: Desk) -> None:
    _, [id] = desk.send("mail", ANN)
    other = other_key(desk.stack)
    assert desk.call("GET", f"/v1/messages/{id}?unmask=true", key=other).status_code == 404
    page = desk.ok("POST", "/v1/messages/query", {"to": ANN, "unmask": True}, other)
    assert page["messages"] == []


def test_whole_addresses_lie_nowhere_in_the_timeline(desk: Desk) -> None:
    desk.send("mail", ANN)
    items = json.dumps(desk.stack.client("dynamodb").scan(TableName=desk.stack.outputs["TimelineTable"])["Items"])
    assert '\\"seal\\":' in items and ANN not in items
