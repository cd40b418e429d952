"""Calls of the manage function's operations over moto, each answer checked against the API's description."""

import json
from dataclasses import dataclass
from functools import cache
from typing import Any

from functions.manage.accounts import account_operations
from functions.manage.audit import audit_operations
from functions.manage.deployment import deployment_operations
from functions.manage.deps import deps_of
from functions.manage.function import ManageSettings
from functions.manage.guard import guard_operations
from functions.manage.keys import key_operations
from functions.manage.mailboxes import mailbox_operations
from functions.manage.mirroring import mirror_operations
from functions.manage.reviews import review_operations
from functions.manage.settings import settings_operations
from functions.manage.suppressions import suppression_operations
from functions.manage.templates import template_operations
from shared.api.kit import Api
from shared.api.openapi import document
from shared.aws.mappings import QueueMappings
from shared.wiring.parts import Parts
from tests.conftest import Aws
from tests.fakes import FakeClock, out_of_reach


@dataclass(frozen=True)
class Answer:
    """What a caller gets. json: None without a body, and for what is not JSON. text: the body as it is."""

    status: int
    json: Any
    text: str

    @property
    def fields(self) -> list[str]:
        """The fields that a problem names."""
        return [error["field"] for error in self.json["errors"]]


@cache
def _described() -> dict[str, Any]:
    return document()


DOMAIN = "abc.execute-api.eu-central-1.amazonaws.com"
MAPPINGS = json.dumps({"email.marketing": "uuid-1", "sms.verification": "uuid-2"})


class Lambdas:
    """Takes note of changed event source mappings; fails while it is broken."""

    def __init__(self) -> None:
        self.limits: list[tuple[str, int]] = []
        self.broken = False

    def update_event_source_mapping(self, UUID: str, ScalingConfig: dict[str, int]) -> None:
        if self.broken:
            raise out_of_reach("lambda")
        self.limits.append((UUID, ScalingConfig["MaximumConcurrency"]))


class ManageApi:
    """All operations of the function."""

    def __init__(self, aws: Aws, clock: FakeClock, loopback: bool = False) -> None:
        settings = ManageSettings(
            catalog_table=aws.catalog,
            guard_table=aws.guard,
            secret_prefix="mepush",
            queue_mappings=MAPPINGS,
            allow_loopback_endpoints=loopback,
        )
        self.aws = aws
        self.clock = clock
        self.lambdas = Lambdas()
        mappings = QueueMappings(self.lambdas, settings.queue_mappings)
        self.deps = deps_of(Parts(settings, client=aws.client, clock=clock, mappings=mappings), settings)
        self.catalog, self.secrets = self.deps.catalog, self.deps.secrets
        self.audit, self.suppressions = self.deps.audit, self.deps.suppressions
        self.api = Api(
            {
                **account_operations(self.deps),
                **mailbox_operations(self.deps),
                **mirror_operations(self.deps),
                **template_operations(self.deps),
                **review_operations(self.deps),
                **key_operations(self.deps),
                **settings_operations(self.deps),
                **guard_operations(self.deps),
                **deployment_operations(self.deps),
                **suppression_operations(self.deps),
                **audit_operations(self.deps),
            }
        )

    def call(
        self,
        route: str,
        body: Any = None,
        *,
        id: str = "",
        version: int | str = 1,
        prefix: str = "",
        query: dict[str, str] | None = None,
        who: str = "k1",
        tenant: str = "default",
        scopes: str = "send read manage",
        kind: str = "live",
        problem: str = "",
    ) -> Answer:
        """Call an operation by its route; `body` is JSON-able, or a string to be sent as it is."""
        event: dict[str, Any] = {
            "routeKey": route,
            "headers": {"content-type": "application/json"},
            "pathParameters": {"id": id, "version": str(version), "prefix": prefix},
            "queryStringParameters": query,
            "requestContext": {
                "domainName": DOMAIN,
                "authorizer": {
                    "lambda": {"tenant": tenant, "key_id": who, "kind": kind, "scopes": scopes, "problem": problem}
                },
            },
        }
        if body is not None:
            event["body"] = body if isinstance(body, str) else json.dumps(body)
        answer = self.api(event)
        _check_described(route, answer)
        text = answer.get("body", "")
        is_json = "json" in answer.get("headers", {}).get("content-type", "")
        return Answer(answer["statusCode"], json.loads(text) if is_json else None, text)


def _check_described(route: str, answer: dict[str, Any]) -> None:
    method, path = route.split(" ")
    described = _described()["paths"][path][method.lower()]["responses"]
    status = str(answer["statusCode"])
    assert status in described, f"{route} answers {status}, which its description lacks"
    kinds = described[status].get("content", {})
    given = answer.get("headers", {}).get("content-type", "").partition(";")[0]
    assert given in kinds if kinds else "body" not in answer
