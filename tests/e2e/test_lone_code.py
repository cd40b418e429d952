"""What a lone code asks of AWS, request by request, once functions remember what they read (docs/scale.md)."""

import re
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

import httpx
import pytest

from local.sandbox.outbox import Delivery, Outbox
from local.seed import EXAMPLES, account_body, first_key
from local.stack import LocalStack
from mepush.files.accounts import read_accounts

CODE = {"type": "sms", "text": "{{ code }}", "tencent": {"template_id": "1900001", "params": ["{{ code }}"]}}
BEFORE = ["sqs.SendMessageBatch", "dynamodb.UpdateItem cap", "dynamodb.UpdateItem envelope"]
"""One after the other."""
CLAIM = "dynamodb.PutItem idempotency"
FINISHED = "dynamodb.UpdateItem idempotency"
CALL = "the provider's"


pytestmark = pytest.mark.xdist_group("local-stack")


class Requests:
    """The requests of the functions and of the queue's poller, and the provider's calls, in their order."""

    def __init__(self, stack: LocalStack) -> None:
        self.stack = stack
        self.seen: list[str] = []
        self._number = 0
        stack.counting.observe(self._note)
        key = first_key(stack)
        self._http = httpx.Client(base_url=stack.url, headers={"Authorization": f"Bearer {key}"}, timeout=30)
        account = next(each for each in read_accounts(EXAMPLES / "accounts.toml") if each["id"] == "sms-tencent")
        self._post("/v1/accounts", account_body(account, stack.sandboxes))
        body = {"id": "code", "name": "Code", "class": "verification", "accounts": ["sms-tencent"], "content": CODE}
        self._post("/v1/templates", {**body, "sample": {"code": "123456"}})
        self._post("/v1/templates/code/versions/1/publish", {})

    def _post(self, path: str, body: Any, **headers: str) -> None:
        self._http.post(path, json=body, headers=headers).raise_for_status()

    def _note(self, service: str, operation: str, asked: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        key = asked.get("Key") or asked.get("Item") or {}
        kind = re.match("[a-z]+", key["pk"]["S"]) if key else None
        self.seen.append(f"{service}.{operation}" + (f" {kind[0]}" if kind else ""))

    def close(self) -> None:
        self._http.close()

    def of_a_code(self, **headers: str) -> list[str]:
        """The requests of a lone code, with the provider's call among them."""
        self.seen.clear()
        self._number += 1
        to = f"+86138{self._number:08d}"
        self._post("/v1/messages", {"template": "code", "to": to, "variables": {"code": "123456"}}, **headers)
        self.stack.drain()
        return list(self.seen)


@pytest.fixture(scope="module")
def requests() -> Iterator[Requests]:
    with (
        LocalStack(threads=False, memory=True) as stack,
        pytest.MonkeyPatch.context() as patches,
        closing(Requests(stack)) as made,
    ):
        plain = Outbox.put

        def put(outbox: Outbox, delivery: Delivery) -> None:
            made.seen.append(CALL)
            plain(outbox, delivery)

        patches.setattr(Outbox, "put", put)
        # Until each shard of the stream has had one.
        for number in range(24):
            made.of_a_code(**{"Idempotency-Key": f"warm-{number}"})
        yield made


def before_the_call(seen: list[str]) -> list[str]:
    """What comes before the provider's call and must: the poll waits for the message, and ingest tells the stream when
    the queue has it."""
    aside = ("sqs.ReceiveMessage", "kinesis.PutRecords", FINISHED)
    return [each for each in seen[: seen.index(CALL)] if each not in aside]


def test_three_requests_come_before_the_provider_is_called(requests: Requests) -> None:
    assert before_the_call(requests.of_a_code()) == BEFORE


def test_with_an_idempotency_key_there_are_four(requests: Requests) -> None:
    assert before_the_call(requests.of_a_code(**{"Idempotency-Key": "one"})) == [CLAIM, *BEFORE]


def test_all_in_all_there_are_ten(requests: Requests) -> None:
    seen = [each for each in requests.of_a_code() if each != CALL]
    # Empty polls of the other shards are no request of this message.
    polls = [each for each in seen if each == "kinesis.GetRecords"]
    assert len(seen) - len(polls) + 1 <= 10, seen
