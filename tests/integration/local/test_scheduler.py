"""EventBridge Scheduler by the stack's clock."""

import json
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.clock import LocalClock
from local.counting import RequestCounter
from local.memory.engine import Memory
from local.scheduler import SEND_MESSAGE, LocalScheduler
from shared.aws import clients

QUEUE_ARN = "arn:aws:sqs:us-east-1:123456789012:due"
FUNCTION_ARN = "arn:aws:lambda:us-east-1:123456789012:function:campaign"
ROLE = "arn:aws:iam::123456789012:role/schedules"


class Schedules:
    """A schedule group, a queue to fire at, and a function to fire at."""

    def __init__(self, clock: LocalClock) -> None:
        self.clock = clock
        self.client: Any = clients.client("scheduler")
        self.sqs: Any = clients.client("sqs")
        self.url = self.sqs.create_queue(QueueName="due")["QueueUrl"]
        self.dead = self.sqs.create_queue(QueueName="dead")["QueueUrl"]
        self.counter = RequestCounter()
        self.invoked: list[Any] = []
        self.failing = 0
        self.scheduler = LocalScheduler(clock, self.sqs, self.invoke, self.counter)

    def invoke(self, arn: str, event: Any) -> Any:
        self.invoked.append((arn, event))
        if self.failing:
            self.failing -= 1
            raise LookupError

    def create(self, expression: str, name: str = "one", **given: Any) -> Any:
        request: dict[str, Any] = {
            "Name": name,
            "GroupName": "group",
            "ScheduleExpression": expression,
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "ActionAfterCompletion": "DELETE",
            "Target": {"Arn": QUEUE_ARN, "RoleArn": ROLE, "Input": name},
        }
        return self.client.create_schedule(**request | given)

    def at(self, seconds: float) -> str:
        """An expression for some seconds from now."""
        return f"at({datetime.fromtimestamp(self.clock.now() + seconds, UTC):%Y-%m-%dT%H:%M:%S})"

    def run(self) -> None:
        steps = 0
        while self.scheduler.step():
            steps += 1
            assert steps < 200

    def received(self, url: str | None = None) -> list[Any]:
        """The messages that came meanwhile."""
        url = url or self.url
        found = self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageSystemAttributeNames=["All"])
        messages = list(found.get("Messages", []))
        for message in messages:
            self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return messages

    def bodies(self) -> list[str]:
        return sorted(message["Body"] for message in self.received())

    def names(self) -> list[str]:
        """The schedules that exist."""
        return [each["Name"] for each in self.client.list_schedules(GroupName="group")["Schedules"]]


@pytest.fixture(params=["moto", "memory"])
def schedules(request: pytest.FixtureRequest, moto: None, local_clock: LocalClock) -> Iterator[Schedules]:
    """An empty group, on moto and in memory."""
    made = Schedules(local_clock)
    made.client.create_schedule_group(Name="group")
    memory = Memory(local_clock)
    memory.adopt(clients.client)
    with made.scheduler.patched(), memory.attached() if request.param == "memory" else nullcontext():
        yield made


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    """The error's code."""
    return error.value.response["Error"]["Code"]


def test_a_one_shot_schedule_fires_once_and_is_deleted(schedules: Schedules) -> None:
    schedules.create(schedules.at(3600))
    schedules.run()
    assert schedules.bodies() == []
    schedules.clock.advance(3598)
    schedules.run()
    assert schedules.bodies() == []
    schedules.clock.advance(3)
    schedules.run()
    assert schedules.bodies() == ["one"]
    assert schedules.names() == []
    schedules.clock.advance(86_400)
    schedules.run()
    assert schedules.bodies() == []


def test_without_the_action_a_finished_schedule_stays(schedules: Schedules) -> None:
    schedules.create(schedules.at(1), ActionAfterCompletion="NONE")
    schedules.clock.advance(2)
    schedules.run()
    assert (schedules.bodies(), schedules.names()) == (["one"], ["one"])


def test_a_time_in_the_past_fires_at_once(schedules: Schedules) -> None:
    schedules.create("at(2020-01-01T00:00:00)")
    schedules.run()
    assert schedules.bodies() == ["one"]


def test_the_time_zone_counts(schedules: Schedules) -> None:
    schedules.create("at(2099-01-01T09:00:00)", ScheduleExpressionTimezone="Asia/Shanghai")
    assert schedules.scheduler.due_ms() == datetime(2099, 1, 1, 1, tzinfo=UTC).timestamp() * 1000


def test_a_universal_target_sends_with_a_group(schedules: Schedules) -> None:
    message = {"QueueUrl": schedules.url, "MessageBody": "body", "MessageGroupId": "t.run"}
    schedules.create(schedules.at(0), Target={"Arn": SEND_MESSAGE, "RoleArn": ROLE, "Input": json.dumps(message)})
    schedules.run()
    (received,) = schedules.received()
    assert received["Body"] == "body"
    assert received["Attributes"]["MessageGroupId"] == "t.run"


def test_a_queue_target_sends_with_a_group(schedules: Schedules) -> None:
    target = {"Arn": QUEUE_ARN, "RoleArn": ROLE, "Input": "x", "SqsParameters": {"MessageGroupId": "g"}}
    schedules.create(schedules.at(0), Target=target)
    schedules.run()
    (received,) = schedules.received()
    assert received["Attributes"]["MessageGroupId"] == "g"


TIME = "<aws.scheduler.scheduled-time>"


@pytest.mark.parametrize("expression", ["rate(1 hour)", "cron(0 * * * ? *)"])
def test_the_time_of_a_firing_stands_in_the_input(schedules: Schedules, expression: str) -> None:
    start = int(schedules.clock.now()) // 3600 * 3600 + 7200
    target = {"Arn": QUEUE_ARN, "RoleArn": ROLE, "Input": f"{TIME} twice {TIME}"}
    schedules.create(expression, Target=target, StartDate=start)
    # Late by half an hour: it is the time that was meant.
    schedules.clock.advance(start + 5400 - schedules.clock.now())
    schedules.run()
    times = [f"{datetime.fromtimestamp(start + late, UTC):%Y-%m-%dT%H:%M:%SZ}" for late in (0, 3600)]
    assert schedules.bodies() == [f"{time} twice {time}" for time in times]


def test_the_time_stands_within_a_universal_targets_message_and_in_what_was_not_delivered(schedules: Schedules) -> None:
    at = int(schedules.clock.now()) + 60
    expected = f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"
    message = {"QueueUrl": schedules.url, "MessageBody": json.dumps({"scheduled_at": TIME})}
    gone = {"DeadLetterConfig": {"Arn": QUEUE_ARN.replace("due", "dead")}, "Arn": QUEUE_ARN.replace("due", "gone")}
    once = f"at({expected[:-1]})"
    schedules.create(once, "a", Target={"Arn": SEND_MESSAGE, "RoleArn": ROLE, "Input": json.dumps(message)})
    schedules.create(once, "b", Target={**gone, "RoleArn": ROLE, "Input": TIME})
    schedules.clock.advance(61)
    schedules.run()
    assert [json.loads(body) for body in schedules.bodies()] == [{"scheduled_at": expected}]
    assert [message["Body"] for message in schedules.received(schedules.dead)] == [expected]


def test_a_schedule_is_shown_as_it_was_made(schedules: Schedules) -> None:
    start = datetime.fromtimestamp(int(schedules.clock.now()) + 600, UTC)
    schedules.create("rate(1 hour)", StartDate=start, EndDate=start.replace(year=start.year + 1))
    found = schedules.client.get_schedule(Name="one", GroupName="group")
    assert (found["StartDate"], found["EndDate"]) == (start, start.replace(year=start.year + 1))


def test_a_function_is_invoked_and_tried_twice_more(schedules: Schedules) -> None:
    schedules.failing = 5
    schedules.create(schedules.at(0), Target={"Arn": FUNCTION_ARN, "RoleArn": ROLE, "Input": '{"run": 1}'})
    schedules.run()
    assert schedules.invoked == [(FUNCTION_ARN, {"run": 1})]
    for pause, times in ((59, 1), (2, 2), (119, 2), (2, 3), (86_400, 3)):
        schedules.clock.advance(pause)
        schedules.run()
        assert len(schedules.invoked) == times


def test_what_cannot_be_delivered_goes_to_the_dead_letter_queue(schedules: Schedules) -> None:
    dead = {"DeadLetterConfig": {"Arn": QUEUE_ARN.replace("due", "dead")}}
    target = {"Arn": QUEUE_ARN.replace("due", "gone"), "RoleArn": ROLE, "Input": "lost", **dead}
    schedules.create(schedules.at(0), Target=target)
    schedules.run()
    assert [message["Body"] for message in schedules.received(schedules.dead)] == ["lost"]


def test_a_rate_fires_at_once_and_then_regularly(schedules: Schedules) -> None:
    schedules.create("rate(5 minutes)")
    schedules.run()
    assert schedules.bodies() == ["one"]
    schedules.clock.advance(301)
    schedules.run()
    assert schedules.bodies() == ["one"]
    schedules.clock.advance(900)
    schedules.run()
    assert schedules.bodies() == ["one"] * 3
    assert schedules.names() == ["one"]


def test_a_cron_schedule_fires_at_its_times_until_its_end(schedules: Schedules) -> None:
    schedules.clock.advance(10 * 365 * 86_400)
    today = datetime.fromtimestamp(schedules.clock.now(), UTC)
    schedules.create("cron(0 9 * * ? *)", EndDate=today.timestamp() + 3 * 86_400)
    schedules.clock.advance(86_400)
    schedules.run()
    assert schedules.bodies() == ["one"]
    schedules.clock.advance(30 * 86_400)
    schedules.run()
    assert schedules.bodies() == ["one"] * 2
    assert schedules.names() == []


def test_a_start_date_is_waited_for(schedules: Schedules) -> None:
    schedules.create("rate(1 hour)", StartDate=schedules.clock.now() + 600)
    schedules.run()
    assert schedules.bodies() == []
    schedules.clock.advance(601)
    schedules.run()
    assert schedules.bodies() == ["one"]


def test_a_deleted_schedule_does_not_fire(schedules: Schedules) -> None:
    schedules.create(schedules.at(10))
    schedules.client.delete_schedule(Name="one", GroupName="group")
    assert schedules.scheduler.due_ms() is None
    schedules.clock.advance(20)
    schedules.run()
    assert schedules.bodies() == []


def test_an_updated_schedule_fires_at_its_new_time_only(schedules: Schedules) -> None:
    schedules.create(schedules.at(10))
    schedules.client.update_schedule(
        Name="one",
        GroupName="group",
        ScheduleExpression=schedules.at(100),
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": QUEUE_ARN, "RoleArn": ROLE, "Input": "changed"},
    )
    schedules.clock.advance(50)
    schedules.run()
    assert schedules.bodies() == []
    schedules.clock.advance(60)
    schedules.run()
    assert schedules.bodies() == ["changed"]
    # The update did not name the action, so it no longer deletes itself.
    assert schedules.names() == ["one"]


def test_a_disabled_schedule_does_not_fire(schedules: Schedules) -> None:
    schedules.create(schedules.at(0), State="DISABLED")
    schedules.clock.advance(10)
    schedules.run()
    assert schedules.bodies() == []


def test_creating_it_again_is_a_conflict_unless_it_is_the_same_request(schedules: Schedules) -> None:
    expression = schedules.at(60)
    first = schedules.create(expression, ClientToken="token")
    assert schedules.create(expression, ClientToken="token")["ScheduleArn"] == first["ScheduleArn"]
    with pytest.raises(ClientError) as error:
        schedules.create(expression, ClientToken="another")
    assert code(error) == "ConflictException"
    schedules.clock.advance(61)
    schedules.run()
    assert schedules.bodies() == ["one"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"ScheduleExpression": "banana"},
        {"ScheduleExpression": "cron(* * * * * *)"},
        {"ScheduleExpression": "rate(0 minutes)"},
        {"ScheduleExpressionTimezone": "Mars/Base"},
        {"Name": "a name"},
        {"FlexibleTimeWindow": {"Mode": "FLEXIBLE"}},
        {"FlexibleTimeWindow": {"Mode": "OFF", "MaximumWindowInMinutes": 5}},
        {"Target": {"Arn": "arn:aws:ecs:us-east-1:123456789012:cluster/x", "RoleArn": ROLE}},
        {"Target": {"Arn": SEND_MESSAGE, "RoleArn": ROLE, "Input": '{"QueueUrl": "x"}'}},
        {"Target": {"Arn": SEND_MESSAGE, "RoleArn": ROLE, "Input": "no json"}},
        {"Target": {"Arn": QUEUE_ARN, "RoleArn": ROLE, "Input": "x" * 262_145}},
    ],
)
def test_what_aws_would_refuse_is_refused(schedules: Schedules, wrong: dict[str, Any]) -> None:
    with pytest.raises(ClientError) as error:
        schedules.create(**{"expression": "rate(1 day)", **wrong})
    assert code(error) == "ValidationException"
    assert schedules.names() == []


def test_a_group_that_does_not_exist_is_not_found(schedules: Schedules) -> None:
    with pytest.raises(ClientError) as error:
        schedules.create("rate(1 day)", GroupName="other")
    assert code(error) == "ResourceNotFoundException"


def test_what_a_firing_costs_is_counted(schedules: Schedules) -> None:
    schedules.create(schedules.at(0))
    schedules.run()
    assert schedules.counter.counts == {"scheduler.Invocation": 1, "sqs.SendMessage": 1}
