"""The schedules of campaigns at EventBridge Scheduler, as the local stack plays it."""

import json
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.clock import LocalClock
from local.counting import RequestCounter
from local.memory.engine import Memory
from local.moto_patches import patched
from local.scheduler import LocalScheduler
from shared.aws import clients
from shared.aws.campaign_schedules import CampaignSchedules, schedule_name
from shared.aws.schedules import message_of
from shared.model.campaigns import Schedule
from shared.model.tasks import StartTask, read_task

ROLE = "arn:aws:iam::123456789012:role/schedules"
DLQ = "arn:aws:sqs:us-east-1:123456789012:dead"
GROUP = "mepush-campaigns"
MONDAY = datetime(2099, 6, 1, 12, tzinfo=UTC)
DAY_MS = 86_400_000


class Scheduling:
    """A group, a queue, and time that passes."""

    def __init__(self, clock: LocalClock) -> None:
        self.clock = clock
        self.client: Any = clients.client("scheduler")
        self.sqs: Any = clients.client("sqs")
        self.url = self.sqs.create_queue(QueueName="campaigns")["QueueUrl"]
        self.client.create_schedule_group(Name=GROUP)
        self.scheduler = LocalScheduler(clock, self.sqs, lambda arn, event: None, RequestCounter())
        self.schedules = CampaignSchedules(self.client, GROUP, ROLE, DLQ, self.url, clock)
        self.go(MONDAY)

    def go(self, to: datetime) -> None:
        """Let time pass, and what is due happen."""
        self.clock.advance(max(0.0, to.timestamp() - self.clock.now()))
        for _ in range(200):
            if not self.scheduler.step():
                return
        raise AssertionError("there is no end")

    def put(self, expression: str, campaign: str = "news", **more: Any) -> None:
        self.schedules.put("default", campaign, Schedule(expression=expression, **{"time_zone": "UTC", **more}))

    def found(self, campaign: str = "news") -> dict[str, Any] | None:
        try:
            answer: dict[str, Any] = self.client.get_schedule(GroupName=GROUP, Name=schedule_name("default", campaign))
        except self.client.exceptions.ResourceNotFoundException:
            return None
        return answer

    def fired(self) -> list[str]:
        """The times of the tasks that came meanwhile."""
        found = []
        while messages := self.sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                task = read_task(message["Body"])
                assert isinstance(task, StartTask)
                assert (task.tenant, task.campaign) == ("default", "news")
                found.append(task.scheduled_at)
                self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
        return sorted(found)


@pytest.fixture(params=["moto", "memory"])
def scheduling(request: pytest.FixtureRequest, _moto: Any) -> Iterator[Scheduling]:
    clock = LocalClock()
    with _moto(), patched(clock):
        made = Scheduling(clock)
        memory = Memory(clock)
        memory.adopt(clients.client)
        with made.scheduler.patched(), memory.attached() if request.param == "memory" else nullcontext():
            yield made


def test_a_cron_starts_runs_at_its_times(scheduling: Scheduling) -> None:
    scheduling.put("cron(0 9 * * ? *)", time_zone="Asia/Shanghai")
    scheduling.go(MONDAY + timedelta(days=2))
    assert scheduling.fired() == ["2099-06-02T01:00:00Z", "2099-06-03T01:00:00Z"]


def test_recipients_own_clocks_begin_where_it_is_that_time_first(scheduling: Scheduling) -> None:
    scheduling.put("at(2099-06-03T09:00:00)", time_zone="Asia/Shanghai", local=True)
    scheduling.go(MONDAY + timedelta(days=3))
    assert scheduling.fired() == ["2099-06-02T19:00:00Z"]
    assert scheduling.found() is None  # it has fired, and is gone by itself


def test_a_rate_counts_from_its_beginning_whenever_it_is_written(scheduling: Scheduling) -> None:
    begins = int(MONDAY.timestamp() * 1000) + 3_600_000
    scheduling.put("rate(1 day)", starts_at=begins)
    scheduling.go(MONDAY + timedelta(days=1, hours=2))
    # Changed otherwise: the distance stays.
    scheduling.put("rate(1 day)", starts_at=begins, window_minutes=15)
    scheduling.go(MONDAY + timedelta(days=2, hours=2))
    assert scheduling.fired() == ["2099-06-01T13:00:00Z", "2099-06-02T13:00:00Z", "2099-06-03T13:00:00Z"]


def test_nothing_starts_before_its_beginning_or_after_its_end(scheduling: Scheduling) -> None:
    now = int(MONDAY.timestamp() * 1000)
    bounds: dict[str, Any] = {"starts_at": now + DAY_MS, "ends_at": now + 3 * DAY_MS}
    scheduling.put("cron(0 0 * * ? *)", **bounds)
    scheduling.go(MONDAY + timedelta(hours=37))
    # A beginning that is past is none that could be told again.
    scheduling.put("cron(0 0 * * ? *)", **bounds, window_minutes=5)
    scheduling.go(MONDAY + timedelta(days=4))
    assert scheduling.fired() == ["2099-06-03T00:00:00Z", "2099-06-04T00:00:00Z"]


@pytest.mark.parametrize(
    "schedule",
    [
        {"expression": "cron(0 9 * * ? *)", "starts_at": int(MONDAY.timestamp() * 1000) + DAY_MS},
        {"expression": "rate(1 hour)", "starts_at": int(MONDAY.timestamp() * 1000) + 1000},
        {"expression": "at(2099-07-01T00:00:00)", "window_minutes": 30},
    ],
)
def test_what_is_there_already_is_not_written_again(
    scheduling: Scheduling, schedule: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    scheduling.put(**schedule)
    for name in ("create_schedule", "update_schedule", "delete_schedule"):
        monkeypatch.setattr(scheduling.client, name, lambda **_: pytest.fail("written again"))
    for hours in (0, 5, 48):
        scheduling.go(MONDAY + timedelta(hours=hours))
        scheduling.put(**schedule)


def test_a_change_in_the_minute_of_a_firing_does_not_take_it_away(scheduling: Scheduling) -> None:
    """EventBridge fires within the minute: what is written again unchanged meanwhile stays due."""
    scheduling.put("at(2099-06-01T13:00:00)")
    scheduling.clock.advance(3610)
    scheduling.put("at(2099-06-01T13:00:00)")
    assert scheduling.found() is not None
    scheduling.go(MONDAY + timedelta(hours=2))
    assert scheduling.fired() == ["2099-06-01T13:00:00Z"]


def test_a_changed_schedule_fires_as_it_says_now(scheduling: Scheduling) -> None:
    scheduling.put("cron(0 13 * * ? *)")
    scheduling.put("at(2099-06-01T15:00:00)", window_minutes=30)
    found = scheduling.found()
    assert found is not None
    assert found["FlexibleTimeWindow"] == {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 30}
    assert (found["ActionAfterCompletion"], found["State"]) == ("DELETE", "ENABLED")
    assert found["Target"]["RoleArn"] == ROLE
    assert found["Target"]["DeadLetterConfig"] == {"Arn": DLQ}
    scheduling.go(MONDAY + timedelta(days=3))
    assert scheduling.fired() == ["2099-06-01T15:00:00Z"]


def test_one_that_is_past_leaves_nothing_of_an_earlier_one(scheduling: Scheduling) -> None:
    scheduling.put("cron(0 13 * * ? *)")
    # It was saved before that time, and could not be written until now.
    scheduling.put("at(2099-06-01T11:00:00)")
    assert scheduling.found() is None
    scheduling.put("at(2099-06-01T11:00:00)")


def test_a_deleted_one_does_not_fire_and_can_be_deleted_again(scheduling: Scheduling) -> None:
    scheduling.put("cron(0 13 * * ? *)")
    scheduling.schedules.delete("default", "news")
    scheduling.schedules.delete("default", "news")
    scheduling.go(MONDAY + timedelta(days=2))
    assert (scheduling.fired(), scheduling.found()) == ([], None)


def test_what_another_call_made_or_took_away_meanwhile_is_replaced(
    scheduling: Scheduling, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheduling.put("cron(0 13 * * ? *)")
    not_found = scheduling.client.exceptions.ResourceNotFoundException({"Error": {}}, "GetSchedule")

    def missing(**_: Any) -> Any:
        raise not_found

    with monkeypatch.context() as patch:
        patch.setattr(scheduling.client, "get_schedule", missing)
        scheduling.put("cron(0 14 * * ? *)")
    there = scheduling.found()
    assert there is not None and there["ScheduleExpression"] == "cron(0 14 * * ? *)"
    scheduling.schedules.delete("default", "news")
    with monkeypatch.context() as patch:
        patch.setattr(scheduling.client, "get_schedule", lambda **_: there)
        scheduling.put("cron(0 15 * * ? *)")
    there = scheduling.found()
    assert there is not None and there["ScheduleExpression"] == "cron(0 15 * * ? *)"


def test_names_fit_and_differ() -> None:
    tenant = "t" * 40
    names = [schedule_name(tenant, f"{'c' * 50}{n}") for n in range(3)] + [schedule_name("default", "news")]
    assert len(set(names)) == 4
    assert all(len(name) <= 64 for name in names)
    assert names[3] == "default.news"


def test_the_message_is_one_that_the_watch_can_send_again(scheduling: Scheduling) -> None:
    scheduling.put("cron(0 13 * * ? *)")
    found = scheduling.found()
    assert found is not None
    message = message_of(found["Target"]["Input"])
    assert message is not None and message["QueueUrl"] == scheduling.url
    assert json.loads(message["MessageBody"])["task"] == "start"
