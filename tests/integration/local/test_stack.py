"""The whole local stack, with fake functions."""

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from local.counting import StackClosedError
from local.sandbox.base import Delivery
from local.stack import LocalStack, NotQuietError
from shared.aws import clients
from shared.model.clock import SystemClock

Script = dict[str, Any]
MakeStack = Callable[..., LocalStack]


def call(stack: LocalStack, path: str, body: Any = None) -> tuple[int, Any]:
    """Make a request; its status and JSON."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(stack.url + path, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def relay(script: Script) -> list[str]:
    """Let the door queue what is posted, the worker publish it, and the tail collect it."""
    collected: list[str] = []

    def door(event: Any, context: Any, env: dict[str, str]) -> Any:
        url = json.loads(env["QUEUE_URLS"])["work"]
        assert event["requestContext"]["authorizer"]["lambda"] == {"tenant": "t"}
        clients.client("sqs").send_message(QueueUrl=url, MessageBody=event["body"])
        return {"statusCode": 202, "body": "{}"}

    def worker(event: Any, context: Any, env: dict[str, str]) -> Any:
        records = [{"Data": r["body"].encode(), "PartitionKey": r["body"]} for r in event["Records"]]
        clients.client("kinesis").put_records(StreamName=env["STREAM"], Records=records)

    def tail(event: Any, context: Any, env: dict[str, str]) -> Any:
        collected.extend(record["kinesis"]["partitionKey"] for record in event["Records"])

    script.update(door=door, worker=worker, tail=tail)
    return collected


def test_a_request_goes_all_the_way_by_itself(make_stack: MakeStack, script: Script) -> None:
    collected = relay(script)
    stack = make_stack()
    for n in range(5):
        assert call(stack, "/items", n)[0] == 202
    assert stack.wait_quiet(20)
    assert sorted(collected) == ["0", "1", "2", "3", "4"]
    assert call(stack, "/nothing") == (404, {"message": "Not Found"})


def test_a_request_goes_all_the_way_step_by_step(still: LocalStack, script: Script) -> None:
    collected = relay(script)
    assert call(still, "/items", "x")[0] == 202
    assert collected == []
    assert still.drain() > 0
    assert collected == ['"x"']
    assert still.drain() == 0


def test_requests_are_counted_as_a_bill_would(still: LocalStack, script: Script) -> None:
    relay(script)
    still.counting.clear()
    call(still, "/items", "x")
    still.drain()
    assert still.requests == {
        "lambda.Invoke": 4,
        "sqs.SendMessage": 1,
        "sqs.ReceiveMessage": 1,
        "sqs.DeleteMessageBatch": 1,
        "kinesis.PutRecords": 1,
        "kinesis.GetRecords": 1,
    }
    assert still.counting.mappings == {
        "sqs.ReceiveMessage": 1,
        "sqs.DeleteMessageBatch": 1,
        "kinesis.GetRecords": 1,
    }
    assert still.runner.invocations == {"door": 1, "guard": 1, "worker": 1, "tail": 1}


def test_requests_of_the_stacks_own_clients_are_not_counted(still: LocalStack) -> None:
    still.counting.clear()
    still.client("sqs").list_queues()
    assert still.requests == {}
    clients.client("sqs").list_queues()
    assert still.requests == {"sqs.ListQueues": 1}


def test_requests_can_be_observed_with_parameters_and_answers(still: LocalStack) -> None:
    seen: list[Any] = []
    still.counting.observe(lambda *observed: seen.append(observed))
    url = still.deployment.queues["Queue"]
    clients.client("sqs").send_message(QueueUrl=url, MessageBody="hello")
    ((service, operation, parameters, answer),) = seen
    assert (service, operation, parameters["MessageBody"]) == ("sqs", "SendMessage", "hello")
    assert answer["MessageId"]


def test_what_is_delayed_is_waited_for_only_if_asked(still: LocalStack, script: Script) -> None:
    collected = relay(script)
    url = still.deployment.queues["Queue"]
    still.client("sqs").send_message(QueueUrl=url, MessageBody="later", DelaySeconds=900)
    still.drain()
    assert collected == []
    before = SystemClock().now_ms()
    still.drain(until_due=True)
    assert collected == ["later"]
    # Functions see the moved time, too.
    assert SystemClock().now_ms() - before >= 899_000


def test_a_poisoned_message_ends_in_the_dead_letter_queue(still: LocalStack, script: Script) -> None:
    relay(script)
    tried: list[Any] = []

    def crash(event: Any, context: Any, env: Any) -> Any:
        tried.append(event)
        raise LookupError("poison")

    script["worker"] = crash
    call(still, "/items", "x")
    still.drain(until_due=True)
    assert len(tried) == 3
    dead = still.client("sqs").receive_message(QueueUrl=still.deployment.queues["Dead"])["Messages"]
    assert [message["Body"] for message in dead] == ['"x"']


def test_what_never_comes_to_rest_is_an_error(still: LocalStack, script: Script) -> None:
    url = still.deployment.queues["Queue"]

    def again(event: Any, context: Any, env: Any) -> None:
        still.client("sqs").send_message(QueueUrl=url, MessageBody="again")

    script["worker"] = again
    still.client("sqs").send_message(QueueUrl=url, MessageBody="first")
    with pytest.raises(NotQuietError):
        still.drain(20)


def test_schedules_fire_at_queues_and_functions(still: LocalStack, script: Script) -> None:
    collected = relay(script)
    told: list[Any] = []
    script["door"] = lambda event, context, env: told.append(event)
    scheduler, role = still.client("scheduler"), "arn:aws:iam::123456789012:role/x"
    arn = "arn:aws:sqs:us-east-1:123456789012:small-work"
    for name, target, expression in (
        ("queue", {"Arn": arn, "Input": "due"}, "at(2030-01-01T00:00:00)"),
        ("function", {"Arn": still.deployment.functions["door"].arn, "Input": '{"run": 1}'}, "at(2030-01-02T00:00:00)"),
    ):
        scheduler.create_schedule(
            Name=name,
            GroupName="small",
            ScheduleExpression=expression,
            FlexibleTimeWindow={"Mode": "OFF"},
            Target={**target, "RoleArn": role},
        )
    still.drain()
    assert (collected, told) == ([], [])
    still.drain(until_due=True, horizon_s=20 * 365 * 86_400)
    assert (collected, told) == (["due"], [{"run": 1}])


def test_a_delayed_message_wakes_its_poller_in_time(make_stack: MakeStack, script: Script) -> None:
    done = threading.Event()
    script["worker"] = lambda event, context, env: done.set()
    stack = make_stack()
    url = stack.deployment.queues["Queue"]
    stack.client("sqs").send_message(QueueUrl=url, MessageBody="x", DelaySeconds=600)
    assert stack.wait_quiet(10)
    assert not stack.wait_quiet(0.05, delayed=True)
    assert not done.is_set()
    stack.clock.advance(601)
    assert done.wait(10)
    assert stack.wait_quiet(10, delayed=True)


def test_one_slow_queue_does_not_hold_up_the_api(make_stack: MakeStack, script: Script) -> None:
    relay(script)
    entered, release = threading.Event(), threading.Event()

    def slow(event: Any, context: Any, env: Any) -> None:
        entered.set()
        release.wait(20)

    script["worker"] = slow
    stack = make_stack()
    assert call(stack, "/items", 1)[0] == 202
    assert entered.wait(10)
    assert call(stack, "/items", 2)[0] == 202
    assert not stack.wait_quiet(0.05)
    release.set()
    assert stack.wait_quiet(20)


def test_secrets_are_kept(still: LocalStack) -> None:
    secrets = clients.client("secretsmanager")
    secrets.create_secret(Name="small/t/account/a", SecretString='{"password": "x"}')
    assert json.loads(secrets.get_secret_value(SecretId="small/t/account/a")["SecretString"]) == {"password": "x"}


def test_clients_with_a_loopback_endpoint_reach_the_sandboxes(still: LocalStack) -> None:
    ses = clients.client("sesv2", endpoint_url=still.sandboxes["ses"].url)  # type: ignore[attr-defined] # an HttpSandbox
    ses.send_email(
        FromEmailAddress="a@example.com",
        Destination={"ToAddresses": ["b@example.com"]},
        Content={"Raw": {"Data": b"Subject: Hi\r\n\r\nHello\r\n"}},
    )
    sms = clients.client("pinpoint-sms-voice-v2", endpoint_url=still.sandboxes["aws"].url)  # type: ignore[attr-defined] # the same
    sms.send_text_message(DestinationPhoneNumber="+14155550100", MessageBody="Hello", MessageType="TRANSACTIONAL")
    assert [(each.provider, each.to) for each in still.outbox.all()] == [
        ("ses", "b@example.com"),
        ("aws", "+14155550100"),
    ]


def test_the_outbox_can_be_looked_at(still: LocalStack) -> None:
    still.outbox.put(Delivery("smtp", "<b>@example.com", "1", {"subject": "A & B", "text": "<script>x</script>"}))
    with urllib.request.urlopen(still.url + "/_local/outbox", timeout=10) as answer:
        page = answer.read().decode()
        assert answer.headers.get_content_type() == "text/html"
    assert "A &amp; B" in page
    assert "&lt;script&gt;" in page
    assert "<script>" not in page
    _, found = call(still, "/_local/outbox.json")
    assert [(each["to"], each["data"]["subject"]) for each in found] == [("<b>@example.com", "A & B")]


def test_the_log_says_why_a_function_failed(still: LocalStack, script: Script, tmp_path: Path) -> None:
    def crash(event: Any, context: Any, env: Any) -> Any:
        raise LookupError("broken on purpose")

    script["door"] = crash
    assert call(still, "/open") == (500, {"message": "Internal Server Error"})
    assert "broken on purpose" in (tmp_path / "functions.log").read_text()


def test_one_stack_at_a_time_and_nothing_is_left_of_it(make_stack: MakeStack, script: Script) -> None:
    stack = make_stack(threads=False)
    with pytest.raises(RuntimeError):
        make_stack()
    with pytest.raises(RuntimeError):
        LocalStack(template={"Resources": {}}).start()
    client = clients.client("sqs")
    stack.close()
    # A function that outlives its stack must not reach the real AWS.
    with pytest.raises(StackClosedError):
        client.list_queues()
    script["door"] = lambda event, context, env: {"statusCode": 200, "body": json.dumps(env["TABLE"])}
    first = stack.deployment.tables["Table"]
    second = make_stack(threads=False)
    assert call(second, "/open") == (200, second.deployment.tables["Table"])
    assert first != second.deployment.tables["Table"]
    assert second.outbox.count() == 0


def test_a_start_that_fails_leaves_nothing_behind(make_stack: MakeStack) -> None:
    before = SystemClock.now_ms
    with pytest.raises(Exception, match="AWS::Batch::JobQueue"):
        make_stack(template={"Resources": {"X": {"Type": "AWS::Batch::JobQueue"}}})
    assert SystemClock.now_ms is before
    assert make_stack(threads=False).drain() == 0


def test_a_stack_with_threads_is_not_drained(make_stack: MakeStack) -> None:
    with pytest.raises(RuntimeError):
        make_stack().drain()
