"""A shop that writes to its customers: a local stack with accounts for emails, and templates that are published."""

from typing import Any

import httpx

from local.seed import EXAMPLES, account_body, first_key
from local.stack import LocalStack
from mepush.files.accounts import read_accounts


class Shop:
    """A stack with both email accounts. person: how a customer asks for pages."""

    def __init__(self, stack: LocalStack, **headers: str) -> None:
        self.stack = stack
        self.api = httpx.Client(base_url=stack.url, headers={"Authorization": f"Bearer {first_key(stack)}"}, timeout=30)
        self.person = httpx.Client(timeout=30, headers=headers)
        for each in read_accounts(EXAMPLES / "accounts.toml"):
            if each["id"].startswith("mail-"):
                self.call("POST", "/v1/accounts", account_body(each, stack.sandboxes))

    def call(self, method: str, path: str, body: Any = None, key: str | None = None) -> Any:
        headers = None if key is None else {"Authorization": f"Bearer {key}"}
        answer = self.api.request(method, path, json=body, headers=headers)
        assert answer.is_success, answer.text
        return answer.json()

    def template(self, id: str, account: str, message_class: str, content: Any, **more: Any) -> None:
        """Save a template and publish it."""
        body = {"id": id, "name": id, "class": message_class, "accounts": [account], "content": content, **more}
        self.call("POST", "/v1/templates", body)
        self.call("POST", f"/v1/templates/{id}/versions/1/publish", {})

    def close(self) -> None:
        self.api.close()
        self.person.close()
