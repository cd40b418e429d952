"""What waits by a schedule is listed for its own tenant, with what it is and why it waits."""

import json
from typing import Any

import pytest

from functions.watch.deferred import DeferredReader
from shared.api.kit import Api
from shared.aws.schedules import DueSchedules
from shared.model.envelope import Envelope
from tests.conftest import Aws
from tests.fakes import FakeClock
from tests.integration.functions.watch.harness import GROUP, Inline, WatchHarness
from tests.samples import NOW, envelope


@pytest.fixture
def harness(aws: Aws, clock: FakeClock) -> WatchHarness:
    return WatchHarness(aws, clock)


def ask(harness: WatchHarness, status: int = 200, tenant: str = "default", **query: str) -> dict[str, Any]:
    caller = {"tenant": tenant, "key_id": "k", "kind": "live", "scopes": "read", "problem": ""}
    event = {
        "routeKey": "GET /v1/deferred",
        "headers": {},
        "queryStringParameters": query,
        "requestContext": {"authorizer": {"lambda": caller}},
    }
    reader = DeferredReader(DueSchedules(harness.scheduler, GROUP), Inline())
    answer = Api(reader.operations())(event)
    assert answer["statusCode"] == status, answer["body"]
    found: dict[str, Any] = json.loads(answer["body"])
    return found


def wait(harness: WatchHarness, one: Envelope, seconds: int) -> None:
    assert harness.schedules.create(one.id, NOW + 1000 * seconds, "https://sqs/q", one.to_json(), "g")


def test_what_waits_is_listed_with_why(harness: WatchHarness) -> None:
    one = envelope(3)
    wait(harness, one.child("w1", one.recipients, times_put_off=1), 7200)
    wait(harness, one, 3600)
    wait(harness, one.child("r2", one.recipients[:1], attempt=2), 3700)
    found = ask(harness)
    assert [(v["kind"], v["recipients"], v["due_at"]) for v in found["deferred"]] == [
        ("scheduled", 3, "2025-01-15T11:00:00Z"),
        ("retrying", 1, "2025-01-15T11:01:00Z"),
        ("deferred", 3, "2025-01-15T12:00:00Z"),
    ]
    assert found["deferred"][0]["request_id"] == one.request
    assert found["deferred"][0]["class"] == "notification"


def test_other_tenants_see_nothing_of_it(harness: WatchHarness) -> None:
    wait(harness, envelope(1), 3600)
    assert ask(harness, tenant="other") == {"deferred": [], "cursor": None}


def test_what_fired_meanwhile_or_is_no_envelope_is_left_out(harness: WatchHarness) -> None:
    wait(harness, envelope(1), 3600)
    harness.schedules.create("x", NOW + 3_600_000, "https://sqs/q", "not an envelope", "g")
    assert len(ask(harness)["deferred"]) == 1


def test_a_made_up_cursor_is_refused(harness: WatchHarness) -> None:
    wait(harness, envelope(1), 3600)
    assert [e["field"] for e in ask(harness, 422, cursor="made-up")["errors"]] == ["query.cursor"]


def test_a_page_has_a_cursor(harness: WatchHarness) -> None:
    for i in range(5):
        wait(harness, envelope(1, start=i), 3600 + 60 * i)
    first = ask(harness, limit="2")
    rest = ask(harness, limit="3", cursor=first["cursor"])
    found = {v["envelope_id"] for page in (first, rest) for v in page["deferred"]}
    assert len(found) == 5
