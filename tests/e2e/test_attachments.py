"""Files on the whole local stack: uploaded by a form, carried by every email, through both providers."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from local.seed import EXAMPLES, account_body, first_key
from local.stack import LocalStack
from mepush.client.api import Client
from mepush.client.errors import ApiError
from mepush.files.accounts import read_accounts
from mepush.main import app
from shared.policy.attachments import PREFIX

pytestmark = pytest.mark.xdist_group("local-stack")

ACCOUNTS = {"ses": "mail-ses", "smtp": "mail-smtp"}
PIXEL = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
PDF = b"%PDF-1.7\r\n.\r\n" + bytes(range(256)) * 40
LOGO = {"name": "logo.png", "data": base64.b64encode(PIXEL).decode(), "cid": "logo"}
CONTENT = {
    "type": "email",
    "subject": "Hello",
    "html": '<p>Hello</p><img src="cid:logo">',
    "text": "Hello",
    "attachments": [LOGO],
}


@dataclass
class Platform:
    """A stack that does nothing by itself, with a template per provider of email."""

    stack: LocalStack
    api: Client
    key: str

    def form(self, name: str, data: bytes, **more: Any) -> dict[str, Any]:
        made: dict[str, Any] = self.api.post("/v1/attachments", {"name": name, "size": len(data), **more})
        return made

    def upload(self, name: str, data: bytes) -> str:
        form = self.form(name, data)
        assert post(form, data).status_code == 204
        return str(form["id"])

    def send(self, template: str, attachments: list[dict[str, str]], to: str, **more: Any) -> dict[str, Any]:
        """Send, wait for the end, and return the message."""
        body = {"template": template, "to": to, "attachments": attachments, **more}
        sent = self.api.send(body)
        self.stack.drain(until_due=True, horizon_s=3600)
        found: dict[str, Any] = self.api.get(f"/v1/messages/{sent['messages'][0]['message_id']}")
        return found

    def delivered(self, to: str) -> dict[str, Any]:
        [delivery] = self.stack.outbox.all(to=to)
        return delivery.data

    def run(self, *args: str, code: int = 0) -> Any:
        ran = CliRunner().invoke(app, [*args, "--url", self.stack.url, "--key", self.key, "--json"])
        assert ran.exit_code == code, ran.output
        return json.loads(ran.stdout)


def post(form: dict[str, Any], data: bytes, **changes: str) -> httpx.Response:
    with httpx.Client(trust_env=False) as http:
        return http.post(form["url"], data={**form["fields"], **changes}, files={"file": ("any", data)})


def shown(name: str, content_type: str, data: bytes, **cid: str) -> dict[str, Any]:
    """How the outbox shows a file."""
    return {"name": name, "type": content_type, "size": len(data), "sha256": sha256(data).hexdigest(), **cid}


@pytest.fixture(scope="module", params=[True, False], ids=["memory", "moto"])
def platform(request: pytest.FixtureRequest) -> Iterator[Platform]:
    with LocalStack(threads=False, memory=request.param, receipts=False) as stack:
        key = first_key(stack)
        with Client(stack.url, key) as api:
            for name, account in ACCOUNTS.items():
                [entry] = read_accounts(EXAMPLES / "accounts.toml", account)
                api.post("/v1/accounts", account_body(entry, stack.sandboxes))
                body = {"id": name, "name": name, "class": "notification", "accounts": [account], "content": CONTENT}
                api.post("/v1/templates", body)
                api.post(f"/v1/templates/{name}/versions/1/publish", {})
            yield Platform(stack, api, key)


@pytest.mark.parametrize("provider", ACCOUNTS)
def test_an_uploaded_file_arrives_with_the_templates_own(platform: Platform, provider: str) -> None:
    id = platform.upload("发票 1001.pdf", PDF)
    assert platform.api.get(f"/v1/attachments/{id}")["size"] == len(PDF)
    assert platform.send(provider, [{"id": id}], f"{provider}@example.com")["status"] == "sent"
    assert platform.delivered(f"{provider}@example.com")["attachments"] == [
        shown("logo.png", "image/png", PIXEL, cid="logo"),
        shown("发票 1001.pdf", "application/pdf", PDF),
    ]


def test_an_image_of_a_request_takes_the_place_of_the_templates(platform: Platform) -> None:
    id = platform.upload("chart.png", PIXEL * 2)
    platform.send("ses", [{"id": id, "cid": "logo"}], "chart@example.com")
    assert platform.delivered("chart@example.com")["attachments"] == [
        shown("chart.png", "image/png", PIXEL * 2, cid="logo")
    ]


def test_the_form_takes_nothing_but_what_was_agreed_on(platform: Platform) -> None:
    form = platform.form("a.pdf", PDF)
    for data, changes, status, code in [
        (PDF + b"x", {}, 400, "EntityTooLarge"),
        (PDF[1:], {}, 400, "EntityTooSmall"),
        (PDF, {"Content-Type": "text/html"}, 403, "AccessDenied"),
        (PDF, {"key": f"{PREFIX}other/{form['id']}"}, 403, "AccessDenied"),
        (PDF, {"x-amz-meta-name": "a.exe"}, 403, "AccessDenied"),
        (PDF, {"x-amz-meta-more": "1"}, 403, "AccessDenied"),
        (PDF, {"policy": base64.b64encode(b'{"conditions": []}').decode()}, 403, "SignatureDoesNotMatch"),
    ]:
        answer = post(form, data, **changes)
        assert (answer.status_code, code in answer.text) == (status, True), answer.text
    with pytest.raises(ApiError) as refused:
        platform.api.get(f"/v1/attachments/{form['id']}")
    assert refused.value.status == 404


def test_what_was_accepted_is_sent_whatever_is_uploaded_afterwards(platform: Platform) -> None:
    form = platform.form("once.txt", b"first")
    assert post(form, b"first").status_code == 204
    body = {"template": "ses", "to": "first@example.com", "attachments": [{"id": form["id"]}]}
    platform.api.send(body)
    assert post(form, b"other").status_code == 204
    platform.api.send(body | {"to": "other@example.com"})
    platform.stack.drain()
    for word in ("first", "other"):
        [_, file] = platform.delivered(f"{word}@example.com")["attachments"]
        assert file == shown("once.txt", "text/plain", word.encode())


def test_a_file_that_is_gone_fails_its_messages_and_says_so(platform: Platform) -> None:
    id = platform.upload("gone.txt", b"gone")
    platform.api.send({"template": "ses", "to": "gone@example.com", "attachments": [{"id": id}]})
    s3, [bucket] = platform.stack.client("s3"), platform.stack.deployment.buckets.values()
    for version in s3.list_object_versions(Bucket=bucket, Prefix=f"{PREFIX}default/{id}")["Versions"]:
        s3.delete_object(Bucket=bucket, Key=version["Key"], VersionId=version["VersionId"])
    platform.stack.drain()
    [message] = platform.api.post("/v1/messages/query", {"to": "gone@example.com"})["messages"]
    assert message["status"] == "failed"
    assert message["timeline"][-1]["reason"] == "attachment_gone"
    assert message["timeline"][-1]["code"] == id
    assert "Upload the file again" in message["action"]
    with pytest.raises(ApiError) as refused:
        platform.send("ses", [{"id": id}], "gone@example.com")
    [(field, text)] = refused.value.details
    assert field == "attachments.0.id"
    assert "POST /v1/attachments" in text


def test_another_tenants_file_is_not_there(platform: Platform) -> None:
    s3, [bucket] = platform.stack.client("s3"), platform.stack.deployment.buckets.values()
    id = platform.form("theirs.txt", b"theirs")["id"]
    s3.put_object(Bucket=bucket, Key=f"{PREFIX}other/{id}", Body=b"theirs", Metadata={"name": "theirs.txt"})
    for wrong in (id, f"../other/{id}"):
        with pytest.raises(ApiError) as refused:
            platform.send("ses", [{"id": wrong}], "nobody@example.com")
        assert refused.value.status == 422
    assert platform.stack.outbox.all(to="nobody@example.com") == []


def test_the_command_uploads_and_sends_and_the_same_again_is_the_same(platform: Platform, tmp_path: Path) -> None:
    (tmp_path / "terms.pdf").write_bytes(PDF)
    (tmp_path / "new.png").write_bytes(PIXEL)
    args = ("send", "-t", "smtp", "--to", "cli@example.com", "--idempotency-key", str(tmp_path))
    files = ("--attach", str(tmp_path / "terms.pdf"), "--inline", f"logo={tmp_path / 'new.png'}")
    first = platform.run(*args, *files)
    assert platform.run(*args, *files) == first
    platform.stack.drain()
    assert platform.delivered("cli@example.com")["attachments"] == [
        shown("new.png", "image/png", PIXEL, cid="logo"),
        shown("terms.pdf", "application/pdf", PDF),
    ]


def test_a_test_key_needs_no_bytes(platform: Platform) -> None:
    made = platform.api.post("/v1/keys", {"name": "CI", "kind": "test", "scopes": ["send", "read"]})
    with Client(platform.stack.url, made["key"]) as api:
        id = Platform(platform.stack, api, made["key"]).upload("test.txt", b"test")
        before = platform.stack.requests["s3.GetObject"]
        sent = api.send({"template": "ses", "to": "delivered@example.com", "attachments": [{"id": id}]})
        platform.stack.drain(until_due=True, horizon_s=3600)
        assert api.get(f"/v1/messages/{sent['messages'][0]['message_id']}")["status"] == "delivered"
    assert platform.stack.requests["s3.GetObject"] == before
