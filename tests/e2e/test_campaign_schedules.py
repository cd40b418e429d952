"""A campaign's schedule from the API to the messages, on the local stack."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from local.seed import account_body, first_key
from local.stack import LocalStack
from shared.api.examples import EXAMPLES

pytestmark = pytest.mark.xdist_group("local-stack")

ROWS = b"to,order,zone\n13800138000,A-1,Asia/Shanghai\n13900139000,A-2,Europe/Berlin\n"


class Platform:
    """A stack with a template for texts and an uploaded file."""

    def __init__(self, stack: LocalStack) -> None:
        self.stack = stack
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers["Authorization"] = f"Bearer {first_key(stack)}"
        self.call("POST", "/v1/accounts", account_body(EXAMPLES["create_account"]["tencent"], stack.sandboxes))
        self.call("POST", "/v1/templates", EXAMPLES["create_template"]["sms"])
        self.call("POST", "/v1/templates/order-shipped/versions/1/publish")
        form = self.call("POST", "/v1/audiences", {})
        sent = requests.post(form["url"], form["fields"], files={"file": ROWS}, timeout=30)
        assert sent.status_code == 204, sent.text
        self.file = form["file"]

    def call(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.session.request(method, self.stack.url + path, json=body, timeout=30)
        assert answer.ok, answer.text
        return answer.json()

    def make(self, **schedule: Any) -> Any:
        body = EXAMPLES["create_campaign"]["by-hand"] | {"schedule": schedule}
        body |= {"audience": {"file": self.file, "columns": {"time_zone": "zone"}}}
        return self.call("POST", "/v1/campaigns", body)

    def runs(self) -> list[Any]:
        """The runs so far, the oldest first."""
        found = self.call("GET", "/v1/campaigns/shipping-news/runs")["runs"]
        return [self.call("GET", f"/v1/runs/{run['id']}") for run in reversed(found)]

    def now(self) -> datetime:
        return datetime.fromtimestamp(int(self.stack.clock.now()), UTC)


@pytest.fixture
def platform() -> Iterator[Platform]:
    with LocalStack(threads=False, memory=True) as stack:
        made = Platform(stack)
        with made.session:
            yield made


def written(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"


def test_a_run_starts_by_itself_at_the_time_that_was_meant(platform: Platform) -> None:
    at = platform.now() + timedelta(minutes=10)
    made = platform.make(expression=f"at({at:%Y-%m-%dT%H:%M:%S})", time_zone="UTC")
    assert made["schedule"]["next"] == [written(at)]
    assert platform.runs() == []
    platform.stack.drain(until_due=True, horizon_s=1800)
    [run] = platform.runs()
    assert (run["state"], run["started_by"], run["fired_at"]) == ("finished", "schedule", written(at))
    assert run["progress"]["outcomes"] == {"sent": 2}
    schedules = platform.stack.client("scheduler").list_schedules(GroupName="mepush-campaigns")["Schedules"]
    assert schedules == []


def test_each_firing_is_a_run_until_the_campaign_is_archived(platform: Platform) -> None:
    made = platform.make(expression="rate(1 day)")
    first = datetime.fromisoformat(made["schedule"]["next"][0])
    platform.stack.clock.advance(60)
    for day in range(1, 4):
        # What recurs is nothing that a stack waits for.
        platform.stack.clock.advance(86_400)
        platform.stack.drain(until_due=True, horizon_s=600)
        times = [run["fired_at"] for run in platform.runs()]
        assert times == [written(first + timedelta(days=n)) for n in range(day)]
    platform.call("POST", "/v1/campaigns/shipping-news/archive")
    platform.stack.clock.advance(3 * 86_400)
    platform.stack.drain(until_due=True, horizon_s=600)
    assert len(platform.runs()) == 3
