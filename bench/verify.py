"""What a verification by SMS takes: requests to DynamoDB against a plain code, and the processor time of a check."""

import json
import re
from collections.abc import Mapping
from typing import Any

import httpx

from bench.figures import Figure, cpu_medians
from bench.sample import TENANT
from functions.verify.operations import Verifying
from local.seed import EXAMPLES, account_body, first_key
from local.stack import LocalStack
from mepush.files.accounts import read_accounts
from shared.api.kit import Api
from shared.model.clock import SystemClock
from shared.model.ids import TAG_LENGTH, new_base
from shared.model.verifications import Address, Verification
from shared.policy.verifying import Allowed, Wanted, code_of, start

CODE = {"type": "sms", "text": "{{ code }}", "tencent": {"template_id": "1900001", "params": ["{{ code }}"]}}
CHECKS = 200


class _Platform:
    """The local stack with a template for codes, which counts what DynamoDB is asked."""

    def __init__(self, stack: LocalStack) -> None:
        self._stack, self._counted = stack, 0
        self._http = httpx.Client(
            base_url=stack.url, headers={"Authorization": f"Bearer {first_key(stack)}"}, timeout=30
        )
        [account] = [each for each in read_accounts(EXAMPLES / "accounts.toml") if each["id"] == "sms-tencent"]
        self.post("/v1/accounts", account_body(account, stack.sandboxes))
        body = {"id": "code", "name": "Code", "class": "verification", "accounts": ["sms-tencent"], "content": CODE}
        self.post("/v1/templates", {**body, "sample": {"code": "123456"}})
        self.post("/v1/templates/code/versions/1/publish", {})
        stack.counting.observe(self._note)

    def _note(self, service: str, operation: str, asked: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        self._counted += service == "dynamodb"

    def close(self) -> None:
        """Give back the connection."""
        self._http.close()

    def post(self, path: str, body: Any) -> Any:
        """Ask for something that must succeed."""
        answer = self._http.post(path, content=json.dumps(body))
        answer.raise_for_status()
        return answer.json()

    def counted(self, path: str, body: Any) -> tuple[int, Any]:
        """How often DynamoDB is asked until all is traced, and the answer."""
        self._counted = 0
        answer = self.post(path, body)
        self._stack.drain()
        return self._counted, answer

    def started(self, number: int, after_s: float) -> tuple[int, str, str]:
        """The requests of a start, its id, and the code that came."""
        self._stack.clock.advance(after_s)
        to = f"+86138{number:08d}"
        count, answer = self.counted("/v1/verifications", {"to": to, "template": "code", "purpose": "login"})
        found = re.search(r"\d{6}", str(self._stack.outbox.all(to=to)[-1].data))
        if found is None:
            raise RuntimeError("no code came")
        return count, answer["id"], found[0]

    def plain(self, number: int, after_s: float) -> int:
        """The requests of a code in a plain message."""
        self._stack.clock.advance(after_s)
        body = {"to": f"+86138{number:08d}", "template": "code", "variables": {"code": "123456"}}
        return self.counted("/v1/messages", body)[0]


def run() -> list[Figure]:
    """verify_start_requests, verify_check_requests, verify_check_cpu."""
    with LocalStack(threads=False, memory=True) as stack:
        platform = _Platform(stack)
        platform.started(1, 0), platform.plain(2, 0)
        # A process takes places for a key's texts ten at a time, and the trace gets its batches as they come.
        remembered = [platform.started(n, 0.1)[0] - platform.plain(n + 1, 0.1) for n in range(3, 23, 2)]
        count, id, code = platform.started(25, 30)
        nothing = count - platform.plain(26, 30)
        checked = _checked(stack, platform, id, code)
        platform.close()
    [cpu] = cpu_medians([_checks()])
    return [
        Figure("verify_start_requests", sum(remembered) / len(remembered), "DynamoDB requests more", most=3),
        Figure("verify_start_requests_nothing_remembered", nothing, "DynamoDB requests more"),
        Figure("verify_check_requests", checked, "DynamoDB requests", most=2),
        Figure("verify_check_cpu", cpu / 1000, "ms CPU per check", most=1.5),
    ]


def _checked(stack: LocalStack, platform: _Platform, id: str, code: str) -> int:
    """The requests of a right check by a process that has checked before, until the trace hears of it."""
    platform.post(f"/v1/verifications/{id}/check", {"code": "no code"})
    before = stack.counting.snapshot()
    platform.post(f"/v1/verifications/{id}/check", {"code": code})
    after = stack.counting.snapshot()
    return sum(n - before.get(name, 0) for name, n in after.items() if name.startswith("dynamodb."))


class _Sinks:
    """Stores that hold one verification, and take anything."""

    def __init__(self, found: Verification) -> None:
        self._address = Address(revision=1, verifications=(found,))

    def load(self, tenant: str, tag: str) -> Address:
        return self._address

    def tenant(self, id: str) -> Any:
        return TENANT

    def approve(self, *given: Any) -> None:
        """It is."""

    def wait(self, *given: Any) -> None:
        """It waits."""


def _checks() -> Any:
    now = SystemClock().now_ms()
    id = new_base(now) + "0" * TAG_LENGTH
    wanted = Wanted(
        id=id, message_id=id, purpose="login", template="code", version=1, channel="sms", kind="live", length=6,
        minutes=60, bind=None, prefix="8613800",
    )  # fmt: skip
    found = start(Address(), wanted, now, Allowed(0, 0, None)).verifications[-1]
    sinks: Any = _Sinks(found)
    api = Api(dict(Verifying(sinks, sinks, sinks, SystemClock(), sinks).operations()))
    caller = {"tenant": "default", "key_id": "k", "kind": "live", "scopes": "send", "problem": ""}
    event = {
        "routeKey": "POST /v1/verifications/{id}/check",
        "pathParameters": {"id": id},
        "headers": {},
        "body": json.dumps({"code": code_of(TENANT.salt, found.proof)}),
        "requestContext": {"authorizer": {"lambda": caller}},
    }

    def ours() -> int:
        for _ in range(CHECKS):
            if '"approved"' not in api(event)["body"]:
                raise RuntimeError("not approved")
        return CHECKS

    return ours
