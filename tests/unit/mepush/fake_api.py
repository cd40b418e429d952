"""A small API of our own on loopback: enough of mePush to try the command against, written apart from its functions."""

import json
import re
import threading
from collections.abc import Callable
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from mimetypes import guess_type
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from tests.unit.mepush.fake_campaigns import FakeCampaigns

KEY = "mp_live_abcdefghijkl_" + "s" * 40
NOW = "2026-11-24T09:12:03.120000Z"
CALLBACKS = "https://abc.execute-api.eu-central-1.amazonaws.com/callbacks/default/sms/0123456789"
ULID = "01KAV2M3X8000000000000000"
TAG = "ABCDEFGHJKMNPQRS"


class Refusal(Exception):
    """An error answer."""

    def __init__(self, status: int, kind: str, title: str, detail: str, *errors: tuple[str, str]) -> None:
        super().__init__(title)
        self.status = status
        self.body = {
            "type": f"urn:mepush:problem:{kind}",
            "title": title,
            "status": status,
            "detail": detail,
            "errors": [{"field": field, "message": message} for field, message in errors],
        }


class FakeApi:
    """Use as a context manager.

    requests: those received. deferred: what waits. letters: dead ones. stuck: how many of them cannot be worked off.
    scopes: of the key. good_sends: after so many sends every other one answers 503.
    """

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, Any, dict[str, str]]] = []
        self.good_sends: int | None = None
        self.templates: dict[str, dict[str, Any]] = {}
        self.versions: dict[str, list[dict[str, Any]]] = {}
        self.accounts: dict[str, dict[str, Any]] = {}
        self.mailboxes: dict[str, dict[str, Any]] = {}
        self.keys: dict[str, dict[str, Any]] = {}
        self.messages: dict[str, dict[str, Any]] = {}
        self.recalls: list[dict[str, Any]] = []
        self.letters: list[dict[str, Any]] = []
        self.stuck = 0
        self.deferred: list[dict[str, Any]] = []
        self.suppressed: dict[tuple[str, str], list[dict[str, Any]]] = {}
        self.settings: list[dict[str, Any]] = [settings(0, False)]
        self.deployment: dict[str, Any] = {"concurrency": {}, "changed_by": None, "changed_at": None}
        self.records: list[dict[str, Any]] = []
        self.sends: dict[str, tuple[Any, dict[str, Any]]] = {}
        self.uploads: dict[str, tuple[str, bytes]] = {}
        self.upload_status = 204
        self.upload_url = ""
        self.health = json.loads(json.dumps(HEALTH))
        self.scopes = {"send", "read", "manage", "operate", "unmask"}
        self.campaigns = FakeCampaigns(Refusal, lambda: self.url)
        self._routes: list[tuple[str, str, str, Callable[..., Any]]] = [
            ("POST", r"/v1/messages", "send", self._send),
            ("POST", r"/v1/attachments", "send", self._attachment),
            ("POST", r"/v1/messages/query", "read", self._query),
            ("GET", r"/v1/messages/([^/]+)", "read", self._message),
            ("GET", r"/v1/requests/([^/]+)", "read", self._request),
            ("POST", r"/v1/(messages|requests)/([^/]+)/recall", "send", self._recall),
            ("GET", r"/v1/balance", "read", lambda body: BALANCE),
            ("GET", r"/v1/health", "read", lambda body: self.health),
            ("GET", r"/v1/dead-letters", "read", self._dead_letters),
            ("POST", r"/v1/dead-letters/(redrive|discard)", "manage", self._work_off),
            ("POST", r"/v1/suppressions", "manage", self._suppress),
            ("POST", r"/v1/suppressions/remove", "manage", self._release),
            ("POST", r"/v1/suppressions/query", "manage", self._suppressions),
            ("POST", r"/v1/suppressions/import", "manage", self._suppress_many),
            ("POST", r"/v1/accounts", "manage", self._create_account),
            ("GET", r"/v1/accounts", "read", lambda body: {"accounts": list(self.accounts.values())}),
            ("GET", r"/v1/accounts/([^/]+)", "read", lambda body, name: self._found(self.accounts, name, "account")),
            ("PATCH", r"/v1/accounts/([^/]+)", "manage", self._update_account),
            ("DELETE", r"/v1/accounts/([^/]+)", "manage", lambda body, name: self._drop(self.accounts, name)),
            ("POST", r"/v1/accounts/([^/]+)/verify", "manage", self._verify),
            ("GET", r"/v1/accounts/([^/]+)/mailbox", "read", self._mailbox),
            ("POST", r"/v1/accounts/([^/]+)/callback", "manage", self._rotate),
            ("POST", r"/v1/templates", "manage", self._create_template),
            (
                "GET",
                r"/v1/templates",
                "read",
                lambda body: {"templates": list(self.templates.values()), "cursor": None},
            ),
            ("GET", r"/v1/templates/([^/]+)", "read", self._template),
            ("PATCH", r"/v1/templates/([^/]+)", "manage", self._update_template),
            ("POST", r"/v1/templates/([^/]+)/versions", "manage", self._create_version),
            ("GET", r"/v1/templates/([^/]+)/versions/(\d+)", "read", self._version),
            ("POST", r"/v1/templates/([^/]+)/versions/(\d+)/preview", "read", self._preview),
            ("POST", r"/v1/templates/([^/]+)/versions/(\d+)/publish", "manage", self._publish),
            ("POST", r"/v1/templates/([^/]+)/versions/(\d+)/(submit|approve|reject)", "manage", self._review),
            ("GET", r"/v1/deferred", "read", lambda body: {"deferred": self.deferred, "cursor": None}),
            ("GET", r"/v1/settings", "read", lambda body: self.settings[-1]),
            ("PATCH", r"/v1/settings", "manage", self._set),
            ("GET", r"/v1/deployment", "read", lambda body: self.deployment),
            ("PATCH", r"/v1/deployment", "operate", self._operate),
            ("GET", r"/v1/settings/versions", "read", lambda body: {"settings": self.settings[1:], "cursor": None}),
            ("POST", r"/v1/settings/restore", "manage", self._restore),
            ("GET", r"/v1/audit", "manage", self._audit),
            ("POST", r"/v1/keys", "manage", self._create_key),
            ("GET", r"/v1/keys", "manage", lambda body: {"keys": list(self.keys.values())}),
            ("DELETE", r"/v1/keys/([^/]+)", "manage", lambda body, name: self._drop(self.keys, name)),
            ("POST", r"/v1/keys/([^/]+)/delete", "manage", lambda body, name: self._drop(self.keys, name)),
            *self.campaigns.routes(),
        ]

    # the server

    def __enter__(self) -> Self:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def _serve(self) -> None:
                raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                status, body = fake.answer(self.command, self.path, raw, headers)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PATCH = do_DELETE = _serve

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def answer(self, method: str, path: str, raw: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        """Answer one request."""
        if path == "/bucket":
            return self._upload(raw, headers), b"<Error><Code>AccessDenied</Code></Error>"
        if path.startswith("/part/"):
            assert "authorization" not in headers, "the key must not leave for the storage"
            return 200, self.campaigns.parts[int(path.rpartition("/")[2])].encode()
        body = json.loads(raw) if raw else None
        self.requests.append((method, path, body, headers))
        try:
            return self._dispatch(method, path.partition("?")[0], body, headers)
        except Refusal as refusal:
            return refusal.status, json.dumps(refusal.body).encode()

    def _dispatch(self, method: str, path: str, body: Any, headers: dict[str, str]) -> tuple[int, bytes]:
        if headers.get("authorization") != f"Bearer {KEY}":
            raise Refusal(401, "unauthorized", "No valid API key", "The key is unknown.")
        self.idempotency_key = headers.get("idempotency-key")
        for wanted, pattern, scope, function in self._routes:
            found = re.fullmatch(pattern, path)
            if wanted == method and found:
                if scope not in self.scopes:
                    raise Refusal(403, "forbidden", "The API key may not do this", f"It needs the scope `{scope}`.")
                result = function(body, *found.groups())
                return (204, b"") if result is None else (200, json.dumps(result, ensure_ascii=False).encode())
        raise Refusal(404, "not-found", "Not found", "There is no such route.")

    def paths(self) -> list[str]:
        """The requests as `METHOD path`."""
        return [f"{method} {path}" for method, path, _, _ in self.requests]

    def changes(self) -> list[str]:
        """Those that were no reads."""
        return [path for path in self.paths() if not path.startswith("GET")]

    # messages

    def _attachment(self, body: dict[str, Any]) -> dict[str, Any]:
        id = f"F-{body['size']}-{body['sha256'][:8]}"
        fields = {"key": id, "policy": "p", "Content-Type": guess_type(body["name"])[0]}
        return {"id": id, "url": self.upload_url or f"{self.url}/bucket", "fields": fields}

    def _upload(self, raw: bytes, headers: dict[str, str]) -> int:
        assert "authorization" not in headers, "the key must not leave for the storage"
        form = message_from_bytes(f"Content-Type: {headers['content-type']}\r\n\r\n".encode() + raw)
        parts = [(part.get_param("name", header="content-disposition"), part) for part in form.walk()][1:]
        names = [name for name, _ in parts]
        assert (names[:2], names[-1]) == (["key", "policy"], "file"), "the file comes last"
        if self.upload_status == 204:
            data = parts[-1][1].get_payload(decode=True)
            assert isinstance(data, bytes)
            self.uploads[str(parts[0][1].get_payload())] = parts[-1][1].get_content_type(), data
        return self.upload_status

    def _send(self, body: dict[str, Any]) -> dict[str, Any]:
        key = self.idempotency_key or ""
        if key in self.sends:
            if self.sends[key][0] != body:
                detail = "was used with another body in the last 24 hours; use a new key"
                raise Refusal(422, "invalid-request", "The request is not valid", "x", ("Idempotency-Key", detail))
            return self.sends[key][1]
        if self.good_sends is not None and len(self.sends) >= self.good_sends:
            raise Refusal(503, "not-queued", "Nothing could be queued", "No message was accepted.")
        version = self._published(body["template"])
        recipients = body.get("recipients") or [{"to": body["to"]}]
        errors = self._variable_errors(body, recipients, version)
        results = [self._result(index, r["to"]) for index, r in enumerate(recipients)]
        if not errors and all(r["status"] == "rejected" for r in results):
            errors = [(r["field"] if "recipients" in body else "to", r["detail"]) for r in results]
        if errors:
            raise Refusal(422, "invalid-request", "The request is not valid", "It does not fit.", *errors[:50])
        request_id = f"{ULID}{len(self.sends) % 10}"
        counts = {s: sum(r["status"] == s for r in results) for s in ("accepted", "rejected", "not_queued")}
        answer = {"request_id": request_id, **counts, "messages": results}
        for result in results:
            result["message_id"] = f"{ULID[:-3]}{len(self.sends)}{result['index']:03d}{TAG}"
            self.messages[result["message_id"]] = message(result["message_id"], request_id, body["template"])
        self.sends[key] = body, answer
        return answer

    def _published(self, template: str) -> dict[str, Any]:
        if template not in self.templates or self.templates[template]["published"] is None:
            text = f"there is no template `{template}`"
            raise Refusal(422, "invalid-request", "The request is not valid", text, ("template", text))
        number: int = self.templates[template]["published"]
        return self.versions[template][number - 1]

    def _variable_errors(
        self, body: dict[str, Any], recipients: list[dict[str, Any]], version: dict[str, Any]
    ) -> list[tuple[str, str]]:
        errors = []
        for index, recipient in enumerate(recipients):
            given = {**body.get("variables", {}), **recipient.get("variables", {})}
            for name in version["required"]:
                if name not in given:
                    path = f"recipients.{index}.variables.{name}" if "recipients" in body else f"variables.{name}"
                    errors.append((path, f"the variable `{name}` is missing (recipient {index})"))
            for name in recipient.get("variables", {}):
                if name not in version["required"] + version["optional"]:
                    errors.append((f"recipients.{index}.variables.{name}", f"`{name}` is not used by the template"))
        return errors

    def _result(self, index: int, to: str) -> dict[str, Any]:
        if "@" in to:
            return {"index": index, "message_id": "", "status": "accepted"}
        detail = "the email address has no @"
        facts = {"field": f"recipients.{index}.to", "reason": "address_invalid", "detail": detail}
        return {"index": index, "message_id": "", "status": "rejected", **facts}

    def _message(self, _body: Any, message_id: str) -> dict[str, Any]:
        found = self._found(self.messages, message_id, "message")
        whole = "unmask=true" in self.requests[-1][1]
        return found | {"address": "ada@example.com" if whole else None}

    def _request(self, _body: Any, request_id: str) -> dict[str, Any]:
        """Two pages: the first message, then the others."""
        found = [m for m in self.messages.values() if m["request_id"] == request_id]
        if not found:
            raise Refusal(404, "not-found", "Not found", "There is no such request.")
        second = "cursor=2" in self.requests[-1][1]
        page = found[1:] if second else found[:1]
        cursor = "2" if len(found) > 1 and not second else None
        return {"request_id": request_id, "messages": page, "counts": {"sent": len(page)}, "cursor": cursor}

    def _query(self, body: dict[str, Any]) -> dict[str, Any]:
        if "addresses" in body:
            return {"messages": list(self.messages.values()), "cursor": None}
        if "reference" in body:
            return {"messages": list(self.messages.values())[:1], "requests": [ULID + "0"], "cursor": None}
        found = list(self.messages.values()) if body["to"] in {"ada@example.com", ULID + "0"} else []
        return {"messages": found[: body.get("limit", 20)], "cursor": None}

    def _recall(self, _body: Any, _kind: str, id: str) -> dict[str, Any]:
        if not self.recalls:
            raise Refusal(404, "not-found", "Not found", "There is no such message.")
        results = [each["result"] for each in self.recalls]
        counts = {result: results.count(result) for result in results}
        return {"request_id": ULID + "0", "counts": counts, "messages": self.recalls}

    # dead letters

    def _dead_letters(self, _body: Any) -> dict[str, Any]:
        """Two letters a page."""
        query = parse_qs(urlsplit(self.requests[-1][1]).query)
        start = int(query.get("cursor", ["0"])[0])
        found = [each for each in self.letters if "account" not in query or each["account"] == query["account"][0]]
        left = start + 2 < len(found)
        return {"dead_letters": found[start : start + 2], "cursor": str(start + 2) if left else None}

    def _work_off(self, body: dict[str, Any], what: str) -> dict[str, Any]:
        """Two letters a call."""
        if what == "discard" and not body["note"].strip():
            raise Refusal(422, "invalid-request", "The request is not valid", "x", ("note", "say why"))
        able = max(len(self.letters) - self.stuck, 0)
        done, self.letters = self.letters[: min(2, able)], self.letters[min(2, able) :]
        counts = {"letters": len(done), "recipients": sum(each["recipients"] for each in done)}
        failed = 0 if done else len(self.letters)
        return {**counts, "carried_on": 0, "failed": failed, "left": bool(self.letters)}

    # the suppression list

    def _suppress(self, body: dict[str, Any]) -> dict[str, Any]:
        if "@" not in body["address"]:
            raise Refusal(422, "invalid-request", "The request is not valid", "x", ("address", "it has no @"))
        entries = self.suppressed.setdefault((body["channel"], body["address"].lower()), [])
        facts = {name: body[name] for name in ("scope", "reason")}
        new = not any(facts.items() <= each.items() for each in entries)
        if new:
            entries.append({**facts, "at": NOW, "by": "abcdefghijkl", "note": body.get("note") or ""})
        return {"changed": int(new), "suppression": self._suppression(body)}

    def _release(self, body: dict[str, Any]) -> dict[str, Any]:
        name = (body["channel"], body["address"].lower())
        before = self.suppressed.pop(name, [])
        left = [e for e in before if any(body[n] not in (None, e[n]) for n in ("scope", "reason"))]
        self.suppressed |= {name: left} if left else {}
        return {"changed": len(before) - len(left), "suppression": self._suppression(body)}

    def _suppression(self, body: dict[str, Any]) -> dict[str, Any]:
        name = (body["channel"], body["address"].lower())
        return {"channel": name[0], "address": name[1], "entries": self.suppressed.get(name, [])}

    def _suppressions(self, body: dict[str, Any]) -> dict[str, Any]:
        """Two recipients a page."""
        found = [
            {"channel": channel, "address": address, "entries": entries}
            for (channel, address), entries in self.suppressed.items()
            if body["channel"] in (None, channel)
            and body["address"] in (None, address)
            and any(body["reason"] in (None, e["reason"]) for e in entries)
        ]
        start = int(body["cursor"] or 0)
        left = start + 2 < len(found)
        return {"suppressions": found[start : start + 2], "cursor": str(start + 2) if left else None}

    def _suppress_many(self, body: dict[str, Any]) -> dict[str, Any]:
        rows: list[dict[str, Any]] = []
        for index, each in enumerate(body["rows"]):
            try:
                added = self._suppress({**body, **each})["changed"]
                rows.append({"index": index, "status": "added" if added else "already_there"})
            except Refusal as refusal:
                errors: Any = refusal.body["errors"]
                facts = {"field": errors[0]["field"], "detail": errors[0]["message"]}
                rows.append({"index": index, "status": "invalid", **facts})
        counts = {s: sum(r["status"] == s for r in rows) for s in ("added", "already_there", "invalid")}
        return {**counts, "rows": rows}

    # accounts, templates, keys

    def _found(self, table: dict[str, dict[str, Any]], name: str, what: str) -> dict[str, Any]:
        if name not in table:
            raise Refusal(404, "not-found", "Not found", f"There is no such {what}.")
        return table[name]

    def _drop(self, table: dict[str, Any], name: str) -> None:
        self._found(table, name, "thing")
        del table[name]

    def _create_account(self, body: dict[str, Any]) -> dict[str, Any]:
        if body["id"] in self.accounts:
            raise Refusal(409, "conflict", "Not possible now", f"There is an account `{body['id']}` already.")
        masked = dict.fromkeys(body.get("secret", {}), "••••••")
        facts = {"channel": "email", "provider": body["settings"]["provider"], "state": "active", "weight": 100}
        facts |= {"rate": None, "rate_from": "account" if body.get("rate") else None}
        facts |= {"fee": None, "fee_from": "account" if body.get("fee") else None}
        facts["callback_url"] = f"{CALLBACKS}/0" if body["settings"]["provider"] == "tencent" else None
        self.accounts[body["id"]] = {**facts, **body, "secret": masked, "created_at": NOW, "updated_at": NOW}
        return self.accounts[body["id"]]

    def _update_account(self, body: dict[str, Any], name: str) -> dict[str, Any]:
        changes = {**body, "secret": dict.fromkeys(body.get("secret", {}), "••••••")}
        if "rate" in body:
            changes["rate_from"] = "account" if body["rate"] else None
        if "fee" in body:
            changes["fee_from"] = "account" if body["fee"] else None
        self._found(self.accounts, name, "account").update(changes)
        return dict(self.accounts[name])

    def _rotate(self, _body: Any, name: str) -> dict[str, Any]:
        account = self._found(self.accounts, name, "account")
        if account["callback_url"] is None:
            raise Refusal(
                409, "conflict", "Not possible now", f"The provider {account['provider']} makes no callbacks."
            )
        account["callback_url"] = f"{CALLBACKS}/1"
        return dict(account)

    def _verify(self, _body: Any, name: str) -> dict[str, Any]:
        self._found(self.accounts, name, "account")
        if name == "broken":
            return {
                "ok": False,
                "summary": "The login was refused.",
                "action": "Enter the code.",
                "raw_code": "535",
                "rate": None,
            }
        rate = {"per_second": 14, "burst": 14, "per_day": 50_000, "code_share": 0.1} if name == "ses" else None
        return {"ok": True, "summary": "The account can send.", "action": "", "raw_code": "", "rate": rate}

    def _mailbox(self, _body: Any, name: str) -> dict[str, Any]:
        self._found(self.accounts, name, "account")
        return self.mailboxes[name]

    def _create_template(self, body: dict[str, Any]) -> dict[str, Any]:
        if body["name"] == "refuse me":
            raise Refusal(422, "invalid-request", "The request is not valid", "1 field", ("content.html", "line 3: oh"))
        facts = {"channel": "email", "ttl_seconds": None, "latest": 0, "published": None, "archived": False}
        head = {name: body[name] for name in ("id", "name", "class", "accounts")}
        times = {"created_at": NOW, "updated_at": NOW}
        own = {name: body.get(name) for name in ("ttl_seconds", "fallback", "topic")}
        own["tracking"] = "recipient" if body.get("tracking") is True else body.get("tracking", False)
        self.templates[body["id"]] = {**facts, **head, **own, **times}
        self.versions[body["id"]] = []
        self._create_version(body, body["id"])
        return self._template(None, body["id"])

    def _create_version(self, body: dict[str, Any], name: str) -> dict[str, Any]:
        versions = self.versions[name]
        text = json.dumps(body["content"])
        required = sorted(set(re.findall(r"{{ (\w+) }}", text)))
        optional = sorted(set(re.findall(r"{{ (\w+) \| default", text)))
        content = {"html": None, "text": None, **body["content"]}
        facts = {"template": name, "version": len(versions) + 1, "content": content, "note": body.get("note", "")}
        found = {"required": required, "optional": optional, "sample": body.get("sample", {})}
        reviewed = {"author": "author000000", "review": dict(DRAFT)}
        versions.append({**facts, **found, **reviewed, "published": False, "created_at": NOW})
        self.templates[name]["latest"] = len(versions)
        return versions[-1]

    def _template(self, _body: Any, name: str) -> dict[str, Any]:
        head = self._found(self.templates, name, "template")
        return {**head, "current": self.versions[name][(head["published"] or head["latest"]) - 1]}

    def _update_template(self, body: dict[str, Any], name: str) -> dict[str, Any]:
        self._found(self.templates, name, "template").update(body)
        return self._template(None, name)

    def _version(self, _body: Any, name: str, version: str) -> dict[str, Any]:
        self._found(self.templates, name, "template")
        return self.versions[name][int(version) - 1]

    def _preview(self, body: dict[str, Any], name: str, version: str) -> dict[str, Any]:
        found = self._version(None, name, version)
        values = body.get("variables") or found["sample"]
        subject = re.sub(r"{{ (\w+) }}", lambda m: str(values[m[1]]), found["content"]["subject"])
        problems = ["subject: has a line break"] if "\n" in subject else []
        return {"rendered": {"subject": subject, "html": None}, "problems": {"mail": problems}}

    def _publish(self, _body: Any, name: str, version: str) -> dict[str, Any]:
        self.templates[name]["published"] = int(version)
        return self._template(None, name)

    def _review(self, body: dict[str, Any], name: str, version: str, what: str) -> dict[str, Any]:
        found = self._version(None, name, version)
        state = {"submit": "submitted", "approve": "approved", "reject": "rejected"}[what]
        if what == "approve" and found["review"]["state"] != "submitted":
            raise Refusal(409, "conflict", "Not possible now", "The review is: draft.")
        who = {"submitted_by": "author000000"} if what == "submit" else {"decided_by": "reviewer0000"}
        found["review"] |= {"state": state, "comment": (body or {}).get("comment", ""), **who}
        return found

    # settings, deployment, audit

    def _operate(self, body: dict[str, Any]) -> dict[str, Any]:
        self.deployment |= body
        return self.deployment

    def _set(self, body: dict[str, Any]) -> dict[str, Any]:
        changed = self.settings[-1] | body
        self.settings.append(changed | settings(len(self.settings), changed["review_required"]))
        return self.settings[-1]

    def _restore(self, body: dict[str, Any]) -> dict[str, Any]:
        if body["version"] >= len(self.settings):
            raise Refusal(404, "not-found", "Not found", "There is no such version of the settings.")
        old = self.settings[body["version"]]
        self.settings.append(settings(len(self.settings), old["review_required"], old["version"]))
        return self.settings[-1]

    def _audit(self, _body: Any) -> dict[str, Any]:
        """Two records a page, after an empty one."""
        query = parse_qs(urlsplit(self.requests[-1][1]).query)
        if "cursor" not in query:
            return {"records": [], "cursor": "0"}
        start = int(query["cursor"][0])
        found = [each for each in self.records if "who" not in query or each["who"] == query["who"][0]]
        more = start + 2 < len(found)
        return {"records": found[start : start + 2], "cursor": str(start + 2) if more else None}

    def _create_key(self, body: dict[str, Any]) -> dict[str, Any]:
        view = {"id": "abc123abc123", "recipients": [], **body}
        view |= {"created_at": NOW, "expires_at": body.get("expires_at"), "revoked_at": None}
        view |= {"created_by": None, "lineage": [], "ended_by": None, "texts_per_day": body.get("texts_per_day")}
        self.keys["abc123abc123"] = view
        return {**view, "key": "mp_live_abc123abc123_newkey"}


DRAFT: dict[str, Any] = {
    "state": "draft",
    "submitted_by": None,
    "submitted_at": None,
    "decided_by": None,
    "decided_at": None,
    "comment": "",
}
BALANCE: dict[str, Any] = {
    "accepted": 12,
    "redriven": 0,
    "rejected": 3,
    "outcomes": {"sent": 10, "failed": 1},
    "in_flight": 1,
    "hours": [
        {
            "hour": "2026-11-24T09:00:00Z",
            "accepted": 12,
            "redriven": 0,
            "outcomes": {"sent": 10, "failed": 1},
            "in_flight": 1,
        }
    ],
}


def dead_letter(number: int, account: str | None = "mail") -> dict[str, Any]:
    """A dead letter of that many messages."""
    return {
        "id": f"{ULID}{number}/d0",
        "state": "kept",
        "channel": "email",
        "class": "notification",
        "template": "welcome",
        "version": 1,
        "account": account,
        "reason": "credentials_refused" if account else "no_account",
        "code": "535" if account else None,
        "explanation": "The provider refused the credentials." if account else "There is no account.",
        "action": "Enter the right secret." if account else "Bind one.",
        "recipients": number,
        "age_seconds": 50 * 60**number // 60,
    }


HEALTH: dict[str, Any] = {
    "verdict": "healthy",
    "findings": [],
    "balance": {"accepted": 1200, "redriven": 0, "outcomes": 1190, "in_flight": 10},
    "oldest_in_flight": None,
    "in_flight_too_long": 0,
    "sweep": {
        "at": NOW,
        "age_seconds": 42,
        "duration_ms": 310,
        "unfinished": False,
        "found": {},
        "mended": {},
        "failed": [],
    },
    "queues": [
        {"name": f"{channel}.{each}", "waiting": 0, "hidden": 0, "delayed": 0, "dead": 0}
        for channel in ("email", "sms", "wecom")
        for each in ("verification", "notification", "marketing")
    ],
    "schedules_dead": 0,
    "trace_dead": 0,
    "stream": [{"shard": "shardId-000000000000", "lag_seconds": 0.0}],
    "accounts": [
        {
            "account": account,
            "provider": "smtp",
            "state": "active",
            "verdict": verdict,
            **dict.fromkeys(("retrying", "failed", "unknown", "dead_lettered"), 0),
            "sent": sent,
            "factor": 1.0,
            "shifted_at": None,
            "shift_reason": None,
        }
        for account, verdict, sent in (("mail", "healthy", 1190), ("spare", "idle", 0))
    ],
}


def message(message_id: str, request_id: str, template: str = "welcome") -> dict[str, Any]:
    """A message that was sent at the second try."""
    events = [
        event("accepted", "Accepted."),
        event(
            "retrying",
            "The provider was busy. The provider said: 421. Due again at 2026-11-24T09:12:05.000Z.",
            text_zh="服务商繁忙。服务商的答复：421。将于 2026-11-24T09:12:05.000Z 再次处理。",
            reason="provider_busy",
            code="421",
            until=NOW,
        ),
        event(
            "sent", "The provider took it.", account="mail", provider="smtp", provider_message_id="q1", duration_ms=12
        ),
    ]
    return {
        "message_id": message_id,
        "request_id": request_id,
        "status": "sent",
        "final": True,
        "explanation": "The provider took the message.",
        "explanation_zh": "服务商已收下消息。",
        "action": "Nothing.",
        "action_zh": "无需处理。",
        "address": None,
        "address_note": None,
        "channel": "email",
        "class": "notification",
        "template": template,
        "version": 1,
        "kind": "live",
        "to": "a***@example.com",
        "reference": None,
        "accepted_at": NOW,
        "timeline": events,
    }


def event(stage: str, text: str, **facts: Any) -> dict[str, Any]:
    """One event of a timeline."""
    names = ("account", "provider", "provider_message_id", "reason", "code", "until", "duration_ms")
    return {"stage": stage, "at": NOW, "text": text, **dict.fromkeys(names), **facts}


def settings(version: int, review_required: bool, restored: int | None = None) -> dict[str, Any]:
    """A version of the settings; 0 for those that nobody has changed."""
    who = {"changed_by": "author000000", "changed_at": NOW} if version else {"changed_by": None, "changed_at": None}
    asked = {"review_off_asked_by": None, "review_off_asked_at": None}
    return {"version": version, "review_required": review_required, **who, "restored": restored, **asked}


def record(action: str, target: str, before: Any, after: Any, changed: Any = (), who: str = "k1") -> dict[str, Any]:
    """A record of the audit log."""
    facts = {"id": ULID + "0", "at": NOW, "who": who, "who_name": "Ann's key" if who == "k1" else ""}
    return {**facts, "action": action, "target": target, "changed": list(changed), "before": before, "after": after}
