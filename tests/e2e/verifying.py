"""A site whose people sign in with codes: the local stack with templates of codes, and what AWS was asked."""

import re
from collections.abc import Mapping
from typing import Any

import httpx

from local.sandbox.outbox import Delivery
from local.seed import EXAMPLES, account_body, first_key
from local.stack import LocalStack
from mepush.files.accounts import read_accounts

TEXT = {
    "type": "sms",
    "text": "{{ code }}",
    "tencent": {"template_id": "1900001", "params": ["{{ code }}", "{{ minutes }}"]},
}
MAIL = {"type": "email", "subject": "Your code", "text": "{{ code }} is good for {{ minutes }} minutes."}
MAIL_ZH = {"type": "email", "subject": "验证码", "text": "您的验证码是 {{ code }}。"}
TEMPLATES = (
    ("login-code", "sms-tencent", TEXT),
    ("code", "sms-tencent", TEXT),
    ("code-mail", "mail-smtp", MAIL),
    ("code-mail-zh", "mail-smtp", MAIL_ZH),
)


class Site:
    """A site whose people sign in with codes, and all that AWS was asked for it."""

    def __init__(self, stack: LocalStack) -> None:
        self.stack = stack
        self.asked: list[str] = []
        self.requests: list[str] = []
        stack.counting.observe(self._note)
        self.key = first_key(stack)
        self.api = httpx.Client(base_url=stack.url, timeout=30)
        for account in read_accounts(EXAMPLES / "accounts.toml"):
            if account["id"] in ("sms-tencent", "mail-smtp", "wecom-app"):
                self.call("/v1/accounts", account_body(account, stack.sandboxes))
        for id, used, content in reversed(TEMPLATES):
            template: dict[str, Any] = {
                "id": id,
                "name": id,
                "class": "verification",
                "accounts": [used],
                "content": content,
            }
            sample = {"code": "123456", "minutes": 10}
            template["sample"] = {name: value for name, value in sample.items() if name in str(content)}
            if id == "code":
                template["fallback"] = {"template": "code-mail"}
            self.call("/v1/templates", template)
            self.call(f"/v1/templates/{id}/versions/1/publish", {})

    def _note(self, service: str, operation: str, asked: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        self.asked.append(repr(asked))
        if service == "dynamodb":
            self.requests.append(operation)

    def post(self, path: str, body: Any, key: str | None = None, **headers: str) -> httpx.Response:
        return self.api.post(path, json=body, headers={"Authorization": f"Bearer {key or self.key}", **headers})

    def call(self, path: str, body: Any, key: str | None = None, **headers: str) -> Any:
        answer = self.post(path, body, key, **headers)
        assert answer.is_success, answer.text
        return answer.json()

    def get(self, path: str, key: str | None = None) -> Any:
        answer = self.api.get(path, headers={"Authorization": f"Bearer {key or self.key}"})
        assert answer.is_success, answer.text
        return answer.json()

    def start(self, to: str, **more: Any) -> dict[str, Any]:
        headers = more.pop("headers", {})
        started: dict[str, Any] = self.call(
            "/v1/verifications", {"to": to, "template": "code", "purpose": "login", **more}, **headers
        )
        self.stack.drain()
        return started

    def check(self, id: str, code: str, **more: Any) -> tuple[str, int]:
        answer = self.call(f"/v1/verifications/{id}/check", {"code": code, **more})
        self.stack.drain()
        return answer["result"], answer["checks_left"]

    def got(self, to: str) -> list[Delivery]:
        return self.stack.outbox.all(to=to)

    def codes(self, to: str, length: int = 6) -> list[str]:
        """The codes that somebody got, the latest last."""
        found = [re.search(rf"(?<!\d)\d{{{length}}}(?!\d)", str(each.data)) for each in self.got(to)]
        return [each[0] for each in found if each is not None]

    def close(self) -> None:
        self.api.close()
