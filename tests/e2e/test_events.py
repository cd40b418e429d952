"""Events on the whole local stack: from the bus to the outbox, or to the queue of those that are not valid."""

import importlib.util
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from local.seed import EXAMPLES, first_key, seed
from local.stack import LocalStack
from mepush.client.api import Client
from shared.aws.queue import Queues

pytestmark = pytest.mark.xdist_group("local-stack")

HOURS_S = 2 * 3600.0


def _script() -> Any:
    spec = importlib.util.spec_from_file_location("redrive_events", EXAMPLES / "events" / "redrive.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SCRIPT = _script()


@dataclass
class Platform:
    """A stack with the examples' accounts and templates that does nothing by itself."""

    stack: LocalStack
    api: Client
    log: Path

    def put(self, *entries: dict[str, Any]) -> list[str]:
        """Put events and wait until all is quiet; returns their ids."""
        answer = self.stack.client("events").put_events(Entries=list(entries))
        assert answer["FailedEntryCount"] == 0
        self.drain()
        return [each["EventId"] for each in answer["Entries"]]

    def drain(self) -> None:
        self.stack.drain(until_due=True, horizon_s=HOURS_S)

    @property
    def dead(self) -> str:
        return self.stack.outputs["EventsDeadLetterUrl"]

    def set_aside(self) -> list[dict[str, Any]]:
        """Take what is on the queue."""
        found = list(SCRIPT.set_aside(self.stack.client("sqs"), self.dead, hidden_s=300))
        for receipt, _ in found:
            self.stack.client("sqs").delete_message(QueueUrl=self.dead, ReceiptHandle=receipt)
        return [record for _, record in found]

    def invoke(self, FunctionName: str, Payload: bytes) -> dict[str, Any]:
        """Invoke a function as boto3's client does."""
        assert FunctionName == self.stack.outputs["IngestEventsFunction"]
        try:
            answer = self.stack.invoke("ingest_events", json.loads(Payload))
        except Exception:  # a function may raise anything
            return {"FunctionError": "Unhandled", "Payload": io.BytesIO(b"{}")}
        return {"Payload": io.BytesIO(json.dumps(answer).encode())}

    def redrive(self) -> dict[str, int]:
        """As the example does."""
        functions = SimpleNamespace(invoke=self.invoke)
        found: dict[str, int] = SCRIPT.redrive(
            self.stack.client("sqs"), functions, self.dead, self.stack.outputs["IngestEventsFunction"]
        )
        return found


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    log = tmp_path_factory.mktemp("events") / "functions.log"
    with LocalStack(threads=False, memory=True, log_file=log, receipts=False) as stack:
        key = first_key(stack)
        seed(stack.url, key, stack.sandboxes)
        with Client(stack.url, key) as api:
            yield Platform(stack, api, log)


def entry(detail: dict[str, Any]) -> dict[str, Any]:
    return {"Source": "shop", "DetailType": "mePush send", "EventBusName": "mepush", "Detail": json.dumps(detail)}


def code_to(number: str, **changes: Any) -> dict[str, Any]:
    return {"template": "login-code-intl", "to": number, "variables": {"code": "482913"}} | changes


def example(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((EXAMPLES / "events" / f"{name}.json").read_text(encoding="utf-8"))
    return found


def sent_to(platform: Platform, address: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = platform.api.post("/v1/messages/query", {"to": address})["messages"]
    return found


def test_the_examples_are_sent_and_traced(platform: Platform) -> None:
    assert example("order-shipped")[0]["EventBusName"] == platform.stack.outputs["EventBus"]
    platform.put(*example("order-shipped"), *example("login-code"))
    [ada], [code] = sent_to(platform, "ada@example.com"), sent_to(platform, "+12015550123")
    assert [event["stage"] for event in ada["timeline"]] == ["accepted", "sent"]
    assert (ada["template"], ada["kind"], ada["reference"]) == ("order-shipped", "live", "BW-10001")
    assert (code["template"], code["status"]) == ("login-code-intl", "sent")
    assert platform.stack.outbox.accepted(to="ada@example.com") == 1
    assert platform.stack.outbox.accepted(to="+12015550123") == 1
    # Put again, as a service would that had no answer: the reference makes it one request.
    platform.put(*example("order-shipped"))
    assert platform.stack.outbox.accepted(to="ada@example.com") == 1
    assert platform.set_aside() == []


def test_the_example_that_is_not_valid_is_set_aside_with_its_fields(platform: Platform) -> None:
    [id] = platform.put(*example("not-valid"))
    [record] = platform.set_aside()
    assert record["requestPayload"]["id"] == id
    assert record["requestPayload"]["detail"] == json.loads(example("not-valid")[0]["Detail"])
    assert record["requestContext"]["condition"] == "NotValid"
    assert [each["field"] for each in record["responsePayload"]["errors"]] == ["urgent"]
    assert "NotValid: urgent: there is no such field" in SCRIPT.reason_of(record)


def test_no_log_holds_what_is_in_an_event(platform: Platform) -> None:
    begin = len(platform.log.read_text())
    secret = "4711secret"
    platform.put(
        entry(code_to(secret)), entry(code_to("+12015550124", variables={secret: secret})), entry({secret: secret})
    )
    platform.put(entry(code_to("+12015550125", variables={"code": secret})))
    assert [record["requestContext"]["condition"] for record in platform.set_aside()] == ["NotValid"] * 3
    said = platform.log.read_text()[begin:]
    assert said.count("event not valid") == 3
    assert said.count("event accepted") == 1
    assert secret not in said and "2015550" not in said


def _down(*_: Any, **__: Any) -> Any:
    raise EndpointConnectionError(endpoint_url="http://127.0.0.1")


def test_what_cannot_be_queued_now_is_sent_when_lambda_tries_again(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    number, tries = "+12015550126", []
    send = Queues.send

    def once(self: Queues, dispatches: Any) -> set[str]:
        tries.append(platform.stack.clock.now_ms())
        return {each.envelope.id for each in dispatches} if len(tries) == 1 else send(self, dispatches)

    monkeypatch.setattr(Queues, "send", once)
    platform.put(entry(code_to(number)))
    assert len(tries) == 2 and 59_000 < tries[1] - tries[0] < 70_000
    assert platform.stack.outbox.accepted(to=number) == 1
    assert platform.set_aside() == []


def test_what_lambda_gives_up_is_kept_and_can_be_carried_out_again(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = "late@example.com"
    detail = json.loads(example("order-shipped")[0]["Detail"])
    person = detail["recipients"][0] | {"to": address}
    late = {"template": "order-shipped", "recipients": [person], "variables": detail["variables"]}
    with monkeypatch.context() as broken:
        broken.setattr(Queues, "send", lambda self, dispatches: {each.envelope.id for each in dispatches})
        [id] = platform.put(entry(late))
        assert platform.redrive() == {"accepted": 0, "set_aside": 0, "left": 1}
    assert platform.stack.outbox.accepted(to=address) == 0
    platform.stack.clock.advance(301)
    [(_, record)] = list(SCRIPT.set_aside(platform.stack.client("sqs"), platform.dead, hidden_s=0))
    assert record["requestPayload"]["id"] == id
    assert record["requestContext"]["condition"] == "RetriesExhausted"
    assert SCRIPT.reason_of(record) == "RetriesExhausted: 503 not-queued"
    assert platform.redrive() == {"accepted": 1, "set_aside": 0, "left": 0}
    platform.drain()
    assert platform.stack.outbox.accepted(to=address) == 1
    # Once more, by hand: its id is known.
    platform.invoke(platform.stack.outputs["IngestEventsFunction"], json.dumps(record["requestPayload"]).encode())
    platform.drain()
    assert platform.stack.outbox.accepted(to=address) == 1
    assert platform.set_aside() == []


def test_a_code_that_is_too_old_when_it_is_carried_out_again_is_not_sent(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = "+12015550127"
    with monkeypatch.context() as broken:
        broken.setattr(Queues, "send", lambda self, dispatches: {each.envelope.id for each in dispatches})
        platform.put(entry(code_to(number)))
    platform.stack.clock.advance(301)
    assert platform.redrive() == {"accepted": 1, "set_aside": 0, "left": 0}
    platform.drain()
    # Its time to live began when it was first tried.
    assert [each["status"] for each in sent_to(platform, number)] == ["expired"]
    assert platform.stack.outbox.accepted(to=number) == 0


def test_what_is_still_not_valid_is_set_aside_again_once(platform: Platform) -> None:
    platform.put(*example("not-valid"), entry(code_to("+12015550128") | {"template": "nope"}))
    assert platform.redrive() == {"accepted": 0, "set_aside": 2, "left": 0}
    platform.stack.clock.advance(301)
    assert len(platform.set_aside()) == 2
