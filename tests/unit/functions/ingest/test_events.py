"""The entry of the function that takes events: Lambda hears of whatever was not accepted, and tries again."""

from types import SimpleNamespace
from typing import Any

import pytest

from functions.ingest import events
from local.runtime import Context

CONTEXT = Context("ingest_events", "arn:aws:lambda:us-east-1:123456789012:function:ingest_events", 512, "r1", 0.0)


def test_an_event_is_run_with_what_its_failure_will_be_told_by(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[tuple[Any, ...]] = []

    def run(*given: Any) -> dict[str, int]:
        ran.append(given)
        return {"a": 1}

    monkeypatch.setattr(events, "events_deps", lambda: SimpleNamespace(run=run))
    assert events.lambda_handler({"id": "e1"}, CONTEXT) == {"a": 1}
    assert ran == [({"id": "e1"}, "r1", CONTEXT.invoked_function_arn)]


def test_what_is_raised_reaches_lambda(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: Any) -> None:
        raise RuntimeError("not accepted")

    monkeypatch.setattr(events, "events_deps", lambda: SimpleNamespace(run=run))
    with pytest.raises(RuntimeError, match="not accepted"):
        events.lambda_handler({}, CONTEXT)
