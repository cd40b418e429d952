"""Faults and counts through a local stack: over its API, from its start, and with its clock."""

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from local import __main__ as program
from local.faults import FaultInput
from local.sandbox.base import Delivery
from local.stack import LocalStack
from shared.aws import clients
from shared.errors import InvalidError

pytestmark = pytest.mark.xdist_group("local-stack")

MakeStack = Callable[..., LocalStack]


def call(stack: LocalStack, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """Make a request; its status and JSON."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(stack.url + path, data, {"Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def text(stack: LocalStack) -> str | None:
    """Send a text; the code of AWS's refusal."""
    sms = clients.client("pinpoint-sms-voice-v2", endpoint_url=stack.sandboxes["aws"].url)  # type: ignore[attr-defined] # an HttpSandbox
    try:
        sms.send_text_message(DestinationPhoneNumber="+14155550100", MessageBody="Hi", MessageType="TRANSACTIONAL")
    except sms.exceptions.ClientError as error:
        return str(error.response["Error"]["Code"])
    return None


def test_a_fault_over_the_api(still: LocalStack) -> None:
    status, fault = call(still, "POST", "/_local/faults", {"provider": "aws", "kind": "throttle"})
    assert (status, fault["left"]) == (201, 1)
    assert [text(still), text(still)] == ["ThrottlingException", None]
    assert [fault["played"] for fault in call(still, "GET", "/_local/faults")[1]["faults"]] == [1]
    assert call(still, "DELETE", "/_local/faults") == (204, None)
    assert call(still, "GET", "/_local/faults") == (200, {"faults": []})
    status, problem = call(still, "POST", "/_local/faults", {"provider": "aws", "kind": "delay"})
    assert (status, problem["errors"]) == (422, [{"field": "seconds", "message": "Say how long, in seconds."}])


def test_what_was_accepted_can_be_asked(still: LocalStack) -> None:
    for provider in ("smtp", "ses"):
        still.outbox.put(Delivery(provider, "a@example.com", "1", message_id="m1"))
    assert call(still, "GET", "/_local/accepted?to=a%40example.com&message_id=m1") == (200, {"accepted": 2})
    assert call(still, "GET", "/_local/accepted")[1]["repeated_messages"] == 1
    assert call(still, "GET", "/_local/accepted?who=a")[0] == 422


def test_an_outage_from_the_start_ends_when_the_stacks_clock_says_so(make_stack: MakeStack) -> None:
    outage = FaultInput(provider="aws", kind="outage", seconds=3600)
    stack = make_stack(threads=False, faults=[outage])
    assert text(stack) == "503"
    stack.clock.advance(3600)
    assert text(stack) is None


def test_a_fault_that_cannot_be_played_stops_the_start(make_stack: MakeStack) -> None:
    with pytest.raises(InvalidError):
        make_stack(threads=False, faults=[FaultInput(provider="aws", kind="outage")])
    assert make_stack(threads=False).outbox.count() == 0


def test_a_wrong_file_is_explained_before_anything_starts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "faults.json"
    path.write_text('[{"provider": "aws", "kind": "status"}]')
    assert program.main(["demo", "--faults", str(path)]) == 1
    said = capsys.readouterr().out
    assert "cannot be played" in said and "0.status: Give the status" in said
    assert "Starting" not in said
