"""Processor time per accepted recipient, against reading and writing the same body with the json module."""

import json
from typing import Any

from bench.figures import Figure, cpu_medians
from bench.sample import TENANT, template, variables
from functions.ingest.attachments import Attachments
from functions.ingest.service import Ingest
from shared.acceptance.addresses import Seals
from shared.acceptance.telling import Acceptance
from shared.api.kit import Api
from shared.aws.queue import Dispatch
from shared.model.clock import SystemClock

RECIPIENTS = 1000
REPEATS = 20


class _Catalog:
    def __init__(self) -> None:
        self._template, self._version = template()

    def tenant(self, tenant_id: str) -> Any:
        return TENANT

    def template(self, tenant: str, template_id: str) -> Any:
        return self._template

    def version(self, tenant: str, template_id: str, number: int) -> Any:
        return self._version

    def team(self, key_id: str, kind: Any) -> None:
        """Live keys reach everybody."""


class _Sinks:
    def send(self, dispatches: list[Dispatch]) -> set[str]:
        return set()

    def put(self, records: list[Any]) -> None:
        for record in records:
            record.to_json()

    def grant(self, caller: Any, seats: Any) -> None:
        """Emails need no places for texts."""


def run() -> list[Figure]:
    """ingest_cpu_vs_json."""
    double: Any = _Sinks()
    stores: Any = _Catalog()
    clock = SystemClock()
    # Without an Idempotency-Key no claim is made, and without files none is looked for.
    ingest = Ingest(
        stores, stores, Acceptance(double, double), clock, Attachments(double, clock), double, Seals(stores)
    )
    api = Api({"send_messages": ingest.send_messages})
    recipients = [{"to": f"user{i}@example.com", "variables": variables(i)} for i in range(RECIPIENTS)]
    body = json.dumps({"template": "shipped", "recipients": recipients}, ensure_ascii=False)
    caller = {"tenant": "default", "key_id": "k", "kind": "live", "scopes": "send", "problem": ""}
    event = {
        "routeKey": "POST /v1/messages",
        "headers": {},
        "body": body,
        "requestContext": {"authorizer": {"lambda": caller}},
    }

    def ours() -> int:
        for _ in range(REPEATS):
            if api(event)["statusCode"] != 202:
                raise RuntimeError("not accepted")
        return REPEATS * RECIPIENTS

    def plain() -> int:
        for _ in range(REPEATS):
            json.dumps(json.loads(body))
        return REPEATS * RECIPIENTS

    mine, baseline = cpu_medians([ours, plain])
    return [
        Figure("ingest_cpu_vs_json", mine, "µs CPU per recipient", "json.loads + json.dumps", baseline, 5.0),
    ]
