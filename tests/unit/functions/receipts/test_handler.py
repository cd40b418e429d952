"""The function that takes receipts: what it counts, and what it says in its log."""

import json
from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest
from aws_lambda_powertools.metrics import EphemeralMetrics

from functions.receipts import handler
from functions.receipts.receiving import Received
from local.runtime import Context
from shared.model.receipts import Alert

CONTEXT = Context("receipts", "arn:aws:lambda:us-east-1:123456789012:function:receipts", 512, "r1", 0.0)


def handled(monkeypatch: pytest.MonkeyPatch, received: Received) -> dict[str, Any]:
    """The handler's answer if its batch comes to this."""
    metrics = EphemeralMetrics(namespace="mePush", service="receipts")
    receiver = SimpleNamespace(run=lambda event: received)
    monkeypatch.setattr(handler, "deps", lambda: SimpleNamespace(receiver=receiver, metrics=metrics))
    return handler.lambda_handler({"Records": []}, CONTEXT)


def test_what_a_provider_says_of_an_account_is_logged_and_counted_by_account(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    names = ("inactive_alert", "close_inactive_agent")
    alerts = [Alert(provider="app", tenant="acme", account="app-1", event=name) for name in names]
    assert handled(monkeypatch, Received(alerts=alerts)) == {"batchItemFailures": []}
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    logged = [(record.getMessage(), vars(record)["account"], vars(record)["said"]) for record in caplog.records]
    assert logged == [("account_alert", "acme/app-1", name) for name in names]
    counted = [(line["ProviderAlerts"], line["account"]) for line in lines if "ProviderAlerts" in line]
    assert counted == [([1.0], "acme/app-1")] * 2


def test_receipts_about_nothing_of_ours_are_counted_by_provider(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = handled(monkeypatch, Received(unmatched=Counter({"aws": 2, "ses": 1}), failed=["m1"]))
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m1"}]}
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    counted = {line["provider"]: line["ReceiptsUnmatched"] for line in lines if "ReceiptsUnmatched" in line}
    assert counted == {"aws": [2.0], "ses": [1.0]}


def test_what_is_no_receipt_is_counted_and_does_not_come_back(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert handled(monkeypatch, Received(notices=Counter({"topic": 2}))) == {"batchItemFailures": []}
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["source"], line["TestMessages"]) for line in lines if "TestMessages" in line] == [("topic", [2.0])]
