"""AWS requests from acceptance to trace, counted at botocore, and what the event source mappings poll and delete."""

import json
from typing import Any

import httpx

from bench.figures import Figure
from bench.sample import CONTENT
from local.sandbox.smtp import SmtpSandbox
from local.stack import LocalStack
from shared.model.clock import SystemClock
from shared.store.bootstrap import bootstrap
from shared.store.catalog import Catalog


class Desk:
    """The local stack without threads, one account and one published template of each class needed."""

    def __init__(self, stack: LocalStack) -> None:
        self._stack = stack
        table = stack.environment("manage")["CATALOG_TABLE"]
        key = bootstrap(Catalog(stack.client("dynamodb"), table, SystemClock()), SystemClock(), name="bench")
        self._http = httpx.Client(base_url=stack.url, headers={"Authorization": f"Bearer {key}"}, timeout=30)
        sandbox = stack.sandboxes["smtp"]
        if not isinstance(sandbox, SmtpSandbox):
            raise TypeError("the SMTP sandbox is another")
        settings = {"provider": "smtp", "host": "127.0.0.1", "port": sandbox.port, "security": "none",
                    "from_address": "shop@example.com"}  # fmt: skip
        self._post("/v1/accounts", {"id": "main", "name": "main", "settings": settings})
        for name in ("verification", "marketing"):
            body = {
                "id": name,
                "name": name,
                "class": name,
                "accounts": ["main"],
                "content": CONTENT.model_dump(),
                "sample": {"name": "n", "order": "o", "days": 1},
            }
            self._post("/v1/templates", body)
            self._post(f"/v1/templates/{name}/versions/1/publish", {})

    def _post(self, path: str, body: Any) -> Any:
        answer = self._http.post(path, content=json.dumps(body))
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def send(self, template: str, recipients: int, times: int = 1) -> None:
        """Send `times` requests."""
        everyone = [
            {"to": f"u{i}@example.com", "variables": {"name": "n", "order": "o", "days": 1}} for i in range(recipients)
        ]
        for _ in range(times):
            answer = self._post("/v1/messages", {"template": template, "recipients": everyone})
            if answer["accepted"] != recipients:
                raise RuntimeError("not everything was accepted")

    def count(self, template: str, recipients: int, times: int = 1) -> dict[str, int]:
        """The requests of sending until all is traced."""
        self._stack.drain()
        self._stack.counting.clear()
        self.send(template, recipients, times)
        self._stack.drain()
        return {name: n for name, n in self._stack.counting.snapshot().items() if name != "lambda.Invoke"}


def run() -> list[Figure]:
    """aws_requests_per_1000, aws_requests_per_code and aws_requests_lone_code."""
    with LocalStack(threads=False) as stack:
        desk = Desk(stack)
        for template in ("verification", "marketing"):
            desk.count(template, 1)  # warm: templates, accounts and secrets are in the functions' memory
        bulk = desk.count("marketing", 1000)
        codes = desk.count("verification", 1, 100)
        lone = desk.count("verification", 1)
    for name, counts in (("1,000 recipients", bulk), ("100 codes", codes), ("one code", lone)):
        print(name, dict(sorted(counts.items())))
    return [
        Figure("aws_requests_per_1000", sum(bulk.values()), "AWS requests", most=160),
        Figure("aws_requests_per_code", sum(codes.values()) / 100, "AWS requests", most=4),
        Figure("aws_requests_lone_code", sum(lone.values()), "AWS requests", most=16),
    ]
