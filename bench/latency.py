"""How soon what a provider says is in the timeline, on the local stack as `make run` serves it.

From the moment at which the sandbox of Amazon SES publishes that an email was delivered to its write. Most
of it is spent in the windows in which the mappings of the queue and of the stream gather what comes, a second each in
AWS: the local stack waits for a part of each (`local.pollers.WINDOW_SHARE`).
"""

import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

from bench.figures import Figure
from local.sandbox.ses_receipts import SIMULATOR
from local.seed import EXAMPLES, account_body, first_key
from local.stack import LocalStack
from mepush.client.api import Client
from mepush.files.accounts import read_accounts

RECEIPTS = 600
TOGETHER = 10
EVERY_S = 0.1
END_S = 60.0


class _Watch:
    """When each message was said to be delivered, and when the timeline had it; in seconds."""

    def __init__(self, stack: LocalStack) -> None:
        self.said: dict[str, float] = {}
        self.there: dict[str, float] = {}
        self._all = threading.Event()
        sandbox = stack.sandboxes["ses"]
        publish = sandbox.publish
        assert publish is not None

        def noted(source: str, events: Sequence[tuple[str, Mapping[str, Any], int]]) -> None:
            for _, detail, delay_s in events:
                self.said[detail["mail"]["tags"]["mepush_message_id"][0]] = time.monotonic() + delay_s
            publish(source, events)

        sandbox.publish = noted
        self._table = stack.outputs["TimelineTable"]
        stack.counting.observe(self._see)

    def wait(self) -> list[float]:
        """How long each took, the shortest first. Raises: RuntimeError."""
        if not self._all.wait(END_S):
            raise RuntimeError(f"{len(self.there)} of {RECEIPTS} receipts are in the timeline")
        return sorted(self.there[id] - said for id, said in self.said.items())

    def _see(self, service: str, operation: str, parameters: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        now = time.monotonic()
        for item in self._written(operation, parameters):
            message_id, _, stage = item["sk"]["S"].partition("#")
            if stage == "delivered#0":
                self.there.setdefault(message_id, now)
        if len(self.there) == RECEIPTS:
            self._all.set()

    def _written(self, operation: str, parameters: Mapping[str, Any]) -> list[Any]:
        if operation == "BatchWriteItem":
            return [each["PutRequest"]["Item"] for each in parameters["RequestItems"].get(self._table, ())]
        if operation == "TransactWriteItems":
            puts = [each["Put"] for each in parameters["TransactItems"] if "Put" in each]
            return [each["Item"] for each in puts if each["TableName"] == self._table]
        return []


def measured() -> list[float]:
    """Seconds of each receipt, the shortest first."""
    with LocalStack(memory=True) as stack, closing(Client(stack.url, first_key(stack))) as api:
        account = next(each for each in read_accounts(EXAMPLES / "accounts.toml") if each["id"] == "mail-ses")
        api.post("/v1/accounts", account_body(account, stack.sandboxes))
        content = {"type": "email", "subject": "Sale", "text": "Everything must go."}
        template = {"id": "letter", "name": "Letter", "class": "notification", "accounts": ["mail-ses"]}
        api.post("/v1/templates", {**template, "content": content})
        api.post("/v1/templates/letter/versions/1/publish", {})
        watch = _Watch(stack)
        for start in range(0, RECEIPTS, TOGETHER):
            to = [{"to": f"success+{start + i}@{SIMULATOR}"} for i in range(TOGETHER)]
            api.post("/v1/messages", {"template": "letter", "recipients": to})
            time.sleep(EVERY_S)
        return watch.wait()


def run() -> list[Figure]:
    """receipt_to_timeline_p50, receipt_to_timeline_p99, receipt_to_timeline_max."""
    found = measured()
    shares = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    return [
        Figure(f"receipt_to_timeline_{name}", found[int(share * (len(found) - 1))], "seconds", most=most)
        for (name, share), most in zip(shares.items(), (None, 2.0, None), strict=True)
    ]
