"""The consumer of the dead-letter queues: what comes back, and what raises the alarm."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
from aws_lambda_powertools import Metrics

from functions.dead_letters import handler
from functions.dead_letters.keeping import Taken
from local.runtime import Context

EVENT = {"Records": [{"messageId": "m1", "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:email-marketing-dlq"}]}
CONTEXT = Context("dead_letters", "arn:aws:lambda:us-east-1:123456789012:function:dead_letters", 512, "r1", 0.0)


def handled(monkeypatch: pytest.MonkeyPatch, taken: Taken) -> dict[str, Any]:
    """The handler's answer if its batch comes to this."""
    keeper = SimpleNamespace(run=lambda event: taken)
    metrics = Metrics(namespace="mePush", service="dead_letters")
    monkeypatch.setattr(handler, "deps", lambda: SimpleNamespace(keeper=keeper, metrics=metrics))
    return handler.lambda_handler(EVENT, CONTEXT)


def test_only_what_failed_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    assert handled(monkeypatch, Taken(1, ["m2", "m3"])) == {
        "batchItemFailures": [{"itemIdentifier": "m2"}, {"itemIdentifier": "m3"}]
    }


def test_letters_are_counted_for_their_queue(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert handled(monkeypatch, Taken(3)) == {"batchItemFailures": []}
    told = json.loads(capsys.readouterr().out)
    assert told["DeadLetters"] == [3.0] and told["queue"] == "email-marketing-dlq"


def test_what_was_kept_already_raises_no_alarm(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    handled(monkeypatch, Taken(0, ["m1"]))
    assert capsys.readouterr().out == ""
