"""Every operation by a key of every kind on objects of every kind: what the matrix does not allow is refused."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from local.seed import EXAMPLES, account_body, first_key
from local.stack import LocalStack
from mepush.client.api import Client
from mepush.files.accounts import read_accounts
from mepush.files.attachments import post_form
from shared.api.operations import OPERATIONS
from shared.model.envelope import Envelope, EnvelopeRecipient
from shared.model.ids import Tagger, new_base
from shared.model.letters import letters_of
from shared.model.words import Channel, KeyKind, MessageClass
from shared.policy.access import reaches
from shared.store.catalog import Catalog
from shared.store.dead_letters import DeadLetterStore
from tests.security.attempts import Attempts

SCOPES = ["send", "read", "manage", "operate", "unmask"]
TO, MAIL, SMS = "qa@example.com", "mail-smtp", "sms-tencent"
CONTENT = {"type": "email", "subject": "Hello", "text": "Hello"}
NEXT = "written by the next one"


@dataclass(frozen=True)
class Things:
    """What a key of a kind made."""

    key: str
    message: str
    request: str
    attachment: str
    file: str
    campaign: str
    run: str
    letter: str
    spare: str
    verification: str


@dataclass(frozen=True)
class Platform:
    """A stack with the things of each kind."""

    stack: LocalStack
    things: dict[KeyKind, Things]

    def call(self, operation_id: str, by: KeyKind, path: dict[str, str], body: Any) -> httpx.Response:
        """Call an operation with a key of a kind."""
        operation = next(each for each in OPERATIONS if each.id == operation_id)
        url = self.stack.url + operation.path.format(**path)
        headers = {"Authorization": f"Bearer {self.things[by].key}"}
        return httpx.request(operation.method, url, json=body, headers=headers, timeout=30, trust_env=False)


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    with LocalStack(threads=False, memory=True) as stack:
        first = first_key(stack)
        with Client(stack.url, first) as api:
            for account in (MAIL, SMS):
                [entry] = read_accounts(EXAMPLES / "accounts.toml", account)
                api.post("/v1/accounts", account_body(entry, stack.sandboxes))
            for id in ("hello", "spare"):
                body = {"id": id, "name": id, "class": "marketing", "accounts": [MAIL], "content": CONTENT}
                api.post("/v1/templates", body)
            api.post("/v1/templates/hello/versions/1/publish", {})
            code = {"type": "email", "subject": "Code", "text": "{{ code }}"}
            body = {"id": "code", "name": "code", "class": "verification", "accounts": [MAIL], "content": code}
            api.post("/v1/templates", {**body, "sample": {"code": "123456"}})
            api.post("/v1/templates/code/versions/1/publish", {})
            api.post("/v1/templates/hello/versions/1/submit", {})
        yield Platform(stack, {kind: _things(stack, first, kind) for kind in KeyKind})


def _things(stack: LocalStack, first: str, kind: KeyKind) -> Things:
    listed = {"recipients": [f"email:{TO}"]} if kind is KeyKind.TEAM else {}
    with Client(stack.url, first) as api:
        made = api.post("/v1/keys", {"name": kind, "kind": kind, "scopes": SCOPES, **listed})["key"]
        # Another person's than the one who saved the templates.
        key = first_key(stack) if kind is KeyKind.LIVE else made
        spare = api.post("/v1/keys", {"name": "spare", "kind": kind, "scopes": SCOPES, **listed})["id"]
    with Client(stack.url, key) as api:
        form = api.post("/v1/attachments", {"name": "a.txt", "size": 1, "sha256": SHA})
        post_form(form, "a.txt", b"x", "text/plain")
        upload = api.post("/v1/audiences", {})
        post_form(upload, "a.csv", f"to\n{TO}\n".encode(), "text/csv")
        body = {"id": f"c-{kind}", "name": "c", "variants": [{"name": "a", "template": "hello"}]}
        api.post("/v1/campaigns", {**body, "audience": {"file": upload["file"]}})
        run = api.post(f"/v1/campaigns/c-{kind}/check", {})["id"]
        sent = api.send({"template": "hello", "to": TO})
        stack.drain(until_due=True, horizon_s=10)
        message = sent["messages"][0]["message_id"]
        verification = api.post("/v1/verifications", CODE)["id"]
    letter = _letter(stack, kind)
    ids = (message, sent["request_id"], form["id"], upload["file"], f"c-{kind}", run, letter, spare, verification)
    return Things(key, *ids)


SHA = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
"""The SHA-256 of `x`."""


def _letter(stack: LocalStack, kind: KeyKind) -> str:
    dynamodb, now = stack.client("dynamodb"), stack.clock.now_ms()
    tenant = Catalog(dynamodb, stack.outputs["CatalogTable"], stack.clock).tenant("default")
    assert tenant is not None
    id = new_base(now)
    dead = Envelope(
        id=f"{id}/d0",
        tenant="default",
        channel=Channel.EMAIL,
        message_class=MessageClass.MARKETING,
        template="hello",
        version=1,
        request=id,
        kind=kind,
        accepted_at=now,
        recipients=[EnvelopeRecipient(index=0, address=TO, tag=Tagger(tenant.salt, "email")(TO))],
        reasons={0: ("throttled", "", MAIL)},
    )
    [(letter, body)] = letters_of(dead, now)
    assert DeadLetterStore(dynamodb, stack.outputs["CatalogTable"]).keep(letter, body.to_json())
    return letter.id


Calls = dict[str, tuple[dict[str, str], Any]]


def on(things: Things, kind: KeyKind) -> Calls:
    """For each operation that names an object, the path and body of a call on one of `things`; those that end last."""
    run, campaign = {"id": things.run}, {"id": things.campaign}
    new_key: dict[str, Any] = {"name": "x", "kind": kind, "scopes": ["read"]}
    if kind is KeyKind.TEAM:
        new_key["recipients"] = [f"email:{TO}"]
    return {
        "send_messages": ({}, {"template": "hello", "to": TO, "attachments": [{"id": things.attachment}]}),
        "get_message": ({"id": things.message}, None),
        "get_request": ({"id": things.request}, None),
        "recall_message": ({"id": things.message}, None),
        "get_verification": ({"id": things.verification}, None),
        "check_verification": ({"id": things.verification}, {"code": "no code"}),
        "cancel_verification": ({"id": things.verification}, None),
        "recall_request": ({"id": things.request}, None),
        "get_attachment": ({"id": things.attachment}, None),
        "get_campaign": (campaign, None),
        "list_runs": (campaign, None),
        "check_campaign": (campaign, None),
        "test_campaign": (campaign, {"to": [TO]}),
        "start_run": (campaign, {}),
        "get_run": (run, None),
        "update_run": (run, {"throttle": 60}),
        "list_rejects": (run, None),
        "pause_run": (run, None),
        "resume_run": (run, None),
        "approve_run": (run, None),
        "recall_run": (run, None),
        "cancel_run": (run, None),
        "redrive_dead_letters": ({}, {"ids": [things.letter]}),
        "discard_dead_letters": ({}, {"ids": [things.letter], "note": "x"}),
        "update_campaign": (campaign, {"name": NEXT}),
        "archive_campaign": (campaign, None),
        "create_key": ({}, new_key),
        "revoke_key": ({"id": things.spare}, None),
        "delete_key": ({"id": things.spare}, None),
    }


LISTS = {
    "query_messages": ({"to": TO}, "message"),
    "list_dead_letters": (None, "letter"),
    "list_campaigns": (None, "campaign"),
    "list_keys": (None, "spare"),
}
"""Operation -> its body, and what of `Things` it shows."""

TEMPLATE = {"id": "hello", "version": "1"}
CODE = {"to": TO, "template": "code", "purpose": "login"}
PREFIX = {"prefix": "62812"}
SHARED: Calls = {
    "get_verification_guard": ({}, None),
    "set_guard_prefix": (PREFIX, {"state": "held"}),
    "delete_guard_prefix": (PREFIX, None),
    "start_verification": ({}, CODE),
    "list_deferred": ({}, None),
    "create_attachment": ({}, {"name": "b.txt", "size": 1}),
    "create_audience": ({}, {}),
    "create_campaign": ({}, {}),
    "create_template": ({}, {}),
    "list_templates": ({}, None),
    "get_template": (TEMPLATE, None),
    "update_template": (TEMPLATE, {"name": NEXT}),
    "create_version": (TEMPLATE, {"content": CONTENT}),
    "get_version": (TEMPLATE, None),
    "preview_version": (TEMPLATE, {}),
    "submit_version": (TEMPLATE, None),
    "approve_version": (TEMPLATE, {}),
    "reject_version": (TEMPLATE, {"comment": "no"}),
    "publish_version": (TEMPLATE, None),
    "copy_template": (TEMPLATE, {"id": "copy"}),
    "archive_template": ({"id": "spare"}, None),
    "get_link": (TEMPLATE, None),
    "create_account": ({}, {}),
    "list_accounts": ({}, None),
    "get_account": ({"id": MAIL}, None),
    "update_account": ({"id": MAIL}, {"name": NEXT}),
    "verify_account": ({"id": "none"}, None),
    "get_mailbox": ({"id": MAIL}, None),
    "check_domain": ({"domain": "broken.example"}, None),
    "rotate_callback": ({"id": SMS}, None),
    "mirror_suppressions": ({"id": "none"}, {}),
    "create_erasure": ({}, {"channel": "email", "address": "forgotten@example.com"}),
    "get_erasure": ({"id": "none"}, None),
    "delete_account": ({"id": MAIL}, None),
    "get_settings": ({}, None),
    "list_settings": ({}, None),
    "update_settings": ({}, {"blocked_words": [NEXT]}),
    "restore_settings": ({}, {"version": 1}),
    "get_deployment": ({}, None),
    "update_deployment": ({}, {"concurrency": {"email.marketing": 50}}),
    "add_suppression": ({}, {"channel": "email", "address": TO}),
    "remove_suppression": ({}, {"channel": "email", "address": TO}),
    "query_suppressions": ({}, {}),
    "import_suppressions": ({}, {"channel": "email", "rows": [{"address": TO}]}),
    "create_webhook": ({}, {"id": NEXT, "bus": True}),
    "list_webhooks": ({}, None),
    "get_webhook": ({"id": "none"}, None),
    "update_webhook": ({"id": "none"}, {"description": "x"}),
    "rotate_webhook": ({"id": "none"}, {}),
    "test_webhook": ({"id": "none"}, None),
    "list_deliveries": ({"id": "none"}, None),
    "replay_webhook": ({"id": "none"}, {"after": "2025-01-15T08:00:00Z"}),
    "delete_webhook": ({"id": "none"}, None),
    "list_audit": ({}, None),
    "get_balance": ({}, None),
    "get_template_stats": ({"id": "hello"}, None),
    "get_account_stats": ({"id": "main"}, None),
    "get_health": ({}, None),
}
"""Operations on what everybody shares, and those that make something of the caller's own kind."""
OPEN = {"get_openapi", "get_docs"}
OWN = {"list_deferred", "start_verification", "create_attachment", "create_audience", "create_campaign"}
"""Of the shared ones, those where the object is the caller's own."""


def test_every_operation_is_tried() -> None:
    things = Things(*[""] * 10)
    tried = [*on(things, KeyKind.LIVE), *LISTS, *SHARED, *OPEN]
    assert sorted(tried) == sorted(operation.id for operation in OPERATIONS)


def test_the_matrix_holds_by_every_operation_for_every_key_and_object(platform: Platform, attempts: Attempts) -> None:
    written = platform.stack.outbox.count()
    # What is refused comes first: nothing of it was done, and the objects are as they were. What is allowed changes
    # them, and live keys come last, since a campaign that they change is theirs.
    for allowed in (False, True):
        for by in (KeyKind.TEAM, KeyKind.TEST, KeyKind.LIVE):
            for of, things in platform.things.items():
                for id, (path, body) in on(things, of).items():
                    if reaches(id, by, of) is allowed:
                        status = platform.call(id, by, path, body).status_code
                        held = status < 500 and (status != 403) is allowed
                        attempts.check(f"{id} by a {by} key on a {of} key's: {status}", held=held)
            for id, (path, body) in SHARED.items():
                if reaches(id, by, by if id in OWN else KeyKind.LIVE) is allowed:
                    status = platform.call(id, by, path, body).status_code
                    attempts.check(f"{id} by a {by} key: {status}", held=status < 500 and (status != 403) is allowed)
        if not allowed:
            _nothing_happened(platform, attempts, written)
            _lists_show_no_more(platform, attempts)


def _nothing_happened(platform: Platform, attempts: Attempts, written: int) -> None:
    platform.stack.drain(until_due=True, horizon_s=10)
    live = platform.things[KeyKind.LIVE]
    for id, path in (("list_dead_letters", {}), ("get_campaign", {"id": live.campaign}), ("list_keys", {})):
        found = platform.call(id, KeyKind.LIVE, path, None)
        attempts.check(f"{id}: something of a live key's was changed", held=NEXT not in found.text)
    kept = platform.call("list_dead_letters", KeyKind.LIVE, {}, None).json()["dead_letters"]
    attempts.check("dead letters are kept", held=[each["state"] for each in kept] == ["kept"] * 3)
    attempts.check("nobody was written to", held=platform.stack.outbox.count() == written)


def _lists_show_no_more(platform: Platform, attempts: Attempts) -> None:
    for by in KeyKind:
        for id, (body, shown) in LISTS.items():
            found = platform.call(id, by, {}, body)
            for of, things in platform.things.items():
                held = (getattr(things, shown) in found.text) is reaches(id, by, of)
                attempts.check(f"{id} by a {by} key shows a {of} key's", held=held and found.status_code == 200)


def test_no_file_is_read_for_keys_that_do_not_reach_it(platform: Platform, attempts: Attempts) -> None:
    for by in (KeyKind.TEAM, KeyKind.TEST):
        for of, things in platform.things.items():
            audience = {"audience": {"file": things.file, "columns": {"to": "to"}}}
            id = {"id": f"mine-{by}-{of}"}
            body = {"name": "x", "variants": [{"name": "a", "template": "hello"}]}
            platform.call("create_campaign", by, {}, {**id, **body, **audience})
            for operation, given in (("check_campaign", None), ("start_run", {})):
                status = platform.call(operation, by, id, given).status_code
                held = (status == 403) is not reaches(operation, by, of)
                attempts.check(f"{operation} by a {by} key on a {of} key's file: {status}", held=held)


def test_a_live_keys_attachment_has_an_id_of_its_own(platform: Platform, attempts: Attempts) -> None:
    ids = {things.attachment for things in platform.things.values()}
    attempts.check("the same file has one id for keys of all kinds", held=len(ids) == len(KeyKind))
