"""Whole addresses reach who may see them, by the answer that they asked for, and nobody in any other way."""

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import pytest

from functions.webhooks.events import events_of
from local.stack import LocalStack
from shared.acceptance.telling import accepted_record
from shared.aws.queue import Dispatch
from shared.policy.sealing import Sealer
from tests.e2e.test_unmasking import ANN, Desk, other_key
from tests.samples import TENANT, envelope
from tests.security.attempts import Attempts

pytestmark = pytest.mark.xdist_group("local-stack")


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    with LocalStack(threads=False, memory=True, receipts=False) as stack:
        it = Desk(stack)
        with closing(it.api):
            yield it


def test_keys_that_may_not_see_addresses_see_none(desk: Desk, attempts: Attempts) -> None:
    request, [id] = desk.send("mail", ANN)
    keys = {"reader": desk.reader, "of another tenant": other_key(desk.stack), "none": "mp_live_x"}
    for kind in ("team", "test"):
        listed = {"recipients": ["email:qa@example.com"]} if kind == "team" else {}
        body: dict[str, Any] = {"name": kind, "kind": kind, "scopes": ["read", "unmask"], **listed}
        keys[kind] = desk.ok("POST", "/v1/keys", body)["key"]
    asked: Sequence[tuple[str, str, Any]] = (
        ("GET", f"/v1/messages/{id}", None),
        ("GET", f"/v1/messages/{id}?unmask=true", None),
        ("GET", f"/v1/messages/{id}?unmask=True", None),
        ("GET", f"/v1/messages/{id}?unmask=true&unmask=false", None),
        ("GET", f"/v1/requests/{request}?unmask=true", None),
        ("POST", "/v1/messages/query", {"to": ANN, "unmask": True}),
        ("POST", "/v1/messages/query", {"addresses": [ANN], "unmask": True}),
        ("POST", "/v1/messages/query", {"to": ANN, "unmask": "true"}),
    )
    before = desk.looks()
    for name, key in keys.items():
        for method, path, query in asked:
            attempts.check(f"{name}: {method} {path}", held=ANN not in desk.call(method, path, query, key).text)
    # Whoever saw nothing has left no trace of having seen.
    assert desk.looks() == before


def test_no_log_has_an_address_that_was_looked_at(
    desk: Desk, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    _, [id] = desk.send("mail", ANN)
    assert desk.ok("GET", f"/v1/messages/{id}?unmask=true")["address"] == ANN
    assert desk.ok("POST", "/v1/messages/query", {"to": ANN, "unmask": True})["messages"]
    told = capfd.readouterr()
    ours = [each.getMessage() for each in caplog.records if not each.name.startswith(("httpx", "httpcore"))]
    assert ANN not in told.out + told.err + json.dumps(ours)


def test_webhooks_are_told_of_no_sealed_address() -> None:
    one = envelope(1)
    record = accepted_record(Dispatch(one, one.to_json()), Sealer(TENANT.salt).seal)
    [row] = record.events
    assert row.sealed_address is not None
    [event] = events_of(record)
    told = str(event)
    assert row.sealed_address not in told and one.recipients[0].address not in told
