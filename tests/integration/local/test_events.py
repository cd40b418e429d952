"""Buses: what PutEvents takes, which events fit which rules, and what becomes of those that a function fails at."""

import json
import subprocess
import sys
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.patterns import check_pattern, matches
from local.stack import LocalStack
from local.template import TemplateError
from tests.integration.local.conftest import MakeStack
from tests.integration.local.template import small_template
from tests.integration.local.test_template import change, deployed

BUS = "small"


def bus_template(**rule: Any) -> dict[str, Any]:
    """The small template with a bus, whose events of the type `work` go to the function `tail`."""
    template = small_template()
    properties = {
        "Name": "work",
        "Description": "Work goes to the tail",
        "EventBusName": {"Ref": "Bus"},
        "EventPattern": {"detail-type": ["work"]},
        "State": "ENABLED",
        "Targets": [
            {
                "Id": "Target0",
                "Arn": {"Fn::GetAtt": ["Tail", "Arn"]},
                "DeadLetterConfig": {"Arn": {"Fn::GetAtt": ["StreamDead", "Arn"]}},
                "RetryPolicy": {"MaximumEventAgeInSeconds": 60, "MaximumRetryAttempts": 1},
            }
        ],
    }
    template["Resources"] |= {
        "Bus": {"Type": "AWS::Events::EventBus", "Properties": {"Name": BUS}},
        "Rule": {"Type": "AWS::Events::Rule", "Properties": properties | rule},
        "Invocations": {
            "Type": "AWS::Lambda::EventInvokeConfig",
            "Properties": {
                "FunctionName": {"Ref": "Tail"},
                "Qualifier": "$LATEST",
                "MaximumRetryAttempts": 1,
                "MaximumEventAgeInSeconds": 3600,
                "DestinationConfig": {"OnFailure": {"Destination": {"Fn::GetAtt": ["StreamDead", "Arn"]}}},
            },
        },
    }
    return template


def entry(detail: Any = None, **changes: Any) -> dict[str, Any]:
    """An entry of PutEvents; a change to None leaves a field out."""
    values = {"Source": "shop", "DetailType": "work", "Detail": json.dumps(detail or {"a": 1}), "EventBusName": BUS}
    return {name: value for name, value in (values | changes).items() if value is not None}


@pytest.fixture
def got(script: Any) -> list[Any]:
    """The events that the function `tail` was given."""
    found: list[Any] = []
    script["tail"] = lambda event, context, env: found.append(event)
    return found


@pytest.fixture
def stack(make_stack: MakeStack, got: list[Any]) -> LocalStack:
    return make_stack(template=bus_template(), threads=False)


def test_an_event_reaches_the_function_of_its_rule_as_eventbridge_hands_it_on(
    stack: LocalStack, got: list[Any]
) -> None:
    time = datetime(2025, 1, 15, 9, tzinfo=timezone(timedelta(hours=1)))
    answer = stack.client("events").put_events(Entries=[entry({"b": [1]}, Time=time, Resources=["arn:x"])])
    assert answer["FailedEntryCount"] == 0
    assert got == []
    stack.drain()
    assert got == [
        {
            "version": "0",
            "id": answer["Entries"][0]["EventId"],
            "detail-type": "work",
            "source": "shop",
            "account": "123456789012",
            "time": "2025-01-15T08:00:00Z",
            "region": "us-east-1",
            "resources": ["arn:x"],
            "detail": {"b": [1]},
        }
    ]
    assert (stack.requests["events.Event"], stack.requests["lambda.Invoke"]) == (1, 1)


def test_what_fits_no_rule_or_is_on_another_bus_reaches_nobody(stack: LocalStack, got: list[Any]) -> None:
    entries = [entry(DetailType="play"), entry(EventBusName=None), entry(EventBusName="default")]
    assert stack.client("events").put_events(Entries=entries)["FailedEntryCount"] == 0
    arn = "arn:aws:events:us-east-1:123456789012:event-bus/small"
    stack.client("events").put_events(Entries=[entry({"by": "arn"}, EventBusName=arn)])
    stack.drain()
    assert [each["detail"] for each in got] == [{"by": "arn"}]


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (entry(Source=None), "InvalidArgument"),
        (entry(DetailType=""), "InvalidArgument"),
        (entry(Detail=None), "InvalidArgument"),
        (entry(Detail="{"), "MalformedDetail"),
        (entry(Detail="[]"), "MalformedDetail"),
        (entry(Detail='{"a": NaN}'), "MalformedDetail"),
        (entry(Source="aws.s3"), "NotAuthorizedForSourceException"),
        (entry(EventBusName="smal"), "InvalidArgument"),
        (entry(Time="yesterday"), "InvalidArgument"),
    ],
)
def test_an_entry_that_is_refused_does_not_hold_up_the_others(
    stack: LocalStack, got: list[Any], bad: dict[str, Any], code: str
) -> None:
    answer = stack.client("events").put_events(Entries=[bad, entry()])
    assert (answer["FailedEntryCount"], answer["Entries"][0]["ErrorCode"]) == (1, code)
    assert answer["Entries"][0]["ErrorMessage"]
    stack.drain()
    assert [each["id"] for each in got] == [answer["Entries"][1]["EventId"]]


@pytest.mark.parametrize("entries", [[], [entry()] * 11, [entry({"a": "x" * 140_000})] * 2])
def test_a_request_that_is_too_large_or_empty_is_refused_as_a_whole(
    stack: LocalStack, got: list[Any], entries: list[Any]
) -> None:
    with pytest.raises(ClientError) as error:
        stack.client("events").put_events(Entries=entries)
    assert error.value.response["Error"]["Code"] == "ValidationException"
    stack.drain()
    assert got == []


def test_what_a_function_fails_at_is_tried_again_and_then_kept(stack: LocalStack, script: Any) -> None:
    times: list[int] = []

    def fail(event: Any, context: Any, env: Any) -> None:
        times.append(stack.clock.now_ms())
        raise LookupError("not now")

    script["tail"] = fail
    stack.client("events").put_events(Entries=[entry({"a": 7})])
    stack.drain()
    assert len(times) == 1
    stack.drain(until_due=True, horizon_s=600)
    assert len(times) == 2 and 59_000 <= times[1] - times[0] <= 62_000
    (message,) = stack.client("sqs").receive_message(QueueUrl=stack.deployment.queues["StreamDead"])["Messages"]
    record = json.loads(message["Body"])
    context = record["requestContext"]
    assert (context["condition"], context["approximateInvokeCount"]) == ("RetriesExhausted", 2)
    assert context["functionArn"] == "arn:aws:lambda:us-east-1:123456789012:function:small-tail:$LATEST"
    assert record["requestPayload"]["detail"] == {"a": 7}
    assert record["responsePayload"] == {"errorMessage": "not now", "errorType": "LookupError"}


def test_an_event_that_grows_too_old_is_kept(stack: LocalStack, script: Any) -> None:
    def fail(event: Any, context: Any, env: Any) -> None:
        stack.clock.advance(3600)
        raise LookupError

    script["tail"] = fail
    stack.client("events").put_events(Entries=[entry()])
    stack.drain()
    (message,) = stack.client("sqs").receive_message(QueueUrl=stack.deployment.queues["StreamDead"])["Messages"]
    assert json.loads(message["Body"])["requestContext"]["condition"] == "EventAgeExceeded"


def test_a_function_that_recovers_leaves_nothing_behind(stack: LocalStack, script: Any) -> None:
    answers = iter([LookupError("not now"), None])

    def once(event: Any, context: Any, env: Any) -> None:
        if error := next(answers):
            raise error

    script["tail"] = once
    stack.client("events").put_events(Entries=[entry()])
    stack.drain(until_due=True, horizon_s=600)
    assert next(answers, "none left") == "none left"
    assert "Messages" not in stack.client("sqs").receive_message(QueueUrl=stack.deployment.queues["StreamDead"])


CLIENT = """
import boto3, json, sys
client = boto3.client("events", endpoint_url=sys.argv[1], region_name="us-east-1", aws_access_key_id="x",
                      aws_secret_access_key="y")
print(json.dumps(client.put_events(Entries=json.loads(sys.argv[2]))["Entries"]))
"""


def test_another_process_puts_events_with_its_own_client(stack: LocalStack, got: list[Any]) -> None:
    at = datetime(2025, 1, 15, 8, tzinfo=UTC).timestamp()
    command = [
        sys.executable,
        "-c",
        CLIENT,
        f"{stack.url}/_local/events",
        json.dumps([entry(Time=at), entry({}, Detail="[]")]),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    put, refused = json.loads(done.stdout)
    stack.drain()
    assert [(each["id"], each["time"]) for each in got] == [(put["EventId"], "2025-01-15T08:00:00Z")]
    assert refused["ErrorCode"] == "MalformedDetail"


def _post(stack: LocalStack, body: bytes, **headers: str) -> tuple[int, Any]:
    request = urllib.request.Request(f"{stack.url}/_local/events", body, {"Content-Type": "application/json"} | headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())["__type"]


def test_the_page_refuses_what_is_no_put_events(stack: LocalStack) -> None:
    assert _post(stack, b"{") == (400, "SerializationException")
    assert _post(stack, b"[]") == (400, "SerializationException")
    assert _post(stack, b"{}") == (400, "ValidationException")
    assert _post(stack, b'{"Entries": [1]}') == (400, "ValidationException")
    other = {"X-Amz-Target": "AWSEvents.ListRules"}
    assert _post(stack, b"{}", **other) == (400, "UnknownOperationException")
    assert _post(stack, json.dumps({"Entries": [entry()]}).encode())[1]["FailedEntryCount"] == 0


def test_the_page_shows_what_was_set_aside_and_leaves_it_there(stack: LocalStack) -> None:
    url = stack.deployment.queues["StreamDead"]
    stack.client("sqs").send_message(QueueUrl=url, MessageBody='{"requestPayload": {"id": "1"}}')
    for _ in range(2):
        with urllib.request.urlopen(f"{stack.url}/_local/events", timeout=10) as answer:
            assert json.loads(answer.read()) == [{"requestPayload": {"id": "1"}}]


EVENT = {
    "source": "shop.orders",
    "detail-type": "work",
    "detail": {
        "state": "paid",
        "amount": 300,
        "gift": True,
        "note": None,
        "tags": ["new", "eu"],
        "buyer": {"country": "DE"},
        "lines": [{"sku": "a", "n": 1}, {"sku": "b", "n": 2}],
    },
}


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [
        ({}, True),
        ({"source": ["shop.orders"]}, True),
        ({"source": ["x", "shop.orders"], "detail-type": ["work"]}, True),
        ({"source": ["shop.orders"], "detail-type": ["play"]}, False),
        ({"source": ["shop"]}, False),
        ({"source": [{"prefix": "shop."}]}, True),
        ({"source": [{"prefix": "x"}, "shop.orders"]}, True),
        ({"detail": {"state": ["paid", "sent"]}}, True),
        ({"detail": {"amount": [300]}}, True),
        ({"detail": {"amount": [300.0]}}, False),
        ({"detail": {"amount": ["300"]}}, False),
        ({"detail": {"amount": [{"prefix": "3"}]}}, False),
        ({"detail": {"gift": [True]}}, True),
        ({"detail": {"gift": [1]}}, False),
        ({"detail": {"note": [None]}}, True),
        ({"detail": {"other": [None]}}, False),
        ({"detail": {"tags": ["eu", "us"]}}, True),
        ({"detail": {"tags": ["us"]}}, False),
        ({"detail": {"buyer": {"country": ["DE"]}}}, True),
        ({"detail": {"buyer": {"city": ["Berlin"]}}}, False),
        ({"detail": {"seller": {"city": ["Berlin"]}}}, False),
        ({"detail": {"state": {"deeper": ["x"]}}}, False),
        ({"detail": {"lines": {"sku": ["b"]}}}, True),
        ({"detail": {"lines": {"sku": ["b"], "n": [2]}}}, True),
        ({"detail": {"lines": {"sku": ["a"], "n": [2]}}}, False),
        ({"detail": {"state": [{"exists": True}]}}, True),
        ({"detail": {"note": [{"exists": True}]}}, True),
        ({"detail": {"other": [{"exists": True}]}}, False),
        ({"detail": {"other": [{"exists": False}]}}, True),
        ({"detail": {"seller": {"city": [{"exists": False}]}}}, True),
        ({"detail": {"buyer": [{"exists": True}]}}, False),
        ({"detail": {"state": [{"anything-but": "paid"}]}}, False),
        ({"detail": {"state": [{"anything-but": ["sent", "lost"]}]}}, True),
        ({"detail": {"state": [{"anything-but": {"prefix": "pa"}}]}}, False),
        ({"detail": {"amount": [{"anything-but": 300}]}}, False),
        ({"detail": {"other": [{"anything-but": "paid"}]}}, False),
    ],
)
def test_an_event_fits_a_pattern(pattern: dict[str, Any], fits: bool) -> None:
    check_pattern("Rule", pattern)
    assert matches(pattern, EVENT) is fits


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ({"source": "shop"}, r"Rule\.source: a pattern has a list"),
        ({"source": []}, r"Rule\.source: a pattern has a list"),
        ({"source": ["shop"], "detail": {"a": {"b": [{"suffix": "x"}]}}}, r"Rule\.detail\.a\.b: .* suffix"),
        ({"source": ["shop", {"wildcard": "*"}]}, "wildcard"),
        ({"source": [{"numeric": [">", 1]}]}, "numeric"),
        ({"source": [{"prefix": {"equals-ignore-case": "x"}}]}, "prefix"),
        ({"source": [{"anything-but": {"suffix": "x"}}]}, "anything-but"),
        ({"source": [{"exists": "yes"}]}, "exists"),
        ({"source": [{"prefix": "a", "exists": True}]}, "stands alone"),
        ({"$or": [{"source": ["a"]}]}, r"\$or"),
    ],
)
def test_a_pattern_that_cannot_be_played_faithfully_is_an_error(moto: None, pattern: dict[str, Any], says: str) -> None:
    with pytest.raises(TemplateError, match=says):
        deployed(bus_template(EventPattern=pattern))


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (("Rule", "Properties", "ScheduleExpression"), "rate(1 day)", "Rule sets ScheduleExpression"),
        (("Rule", "Properties", "Targets"), [{"Id": "x", "Arn": "arn:aws:sns:x"}], "no function of this stack"),
        (
            ("Rule", "Properties", "Targets"),
            [{"Id": "x", "Arn": {"Fn::GetAtt": ["Tail", "Arn"]}, "InputPath": "$.detail"}],
            "a target of Rule sets InputPath",
        ),
        (("Invocations", "Properties", "DestinationConfig"), {"OnSuccess": {}}, "sets OnSuccess"),
    ],
)
def test_what_cannot_be_played_of_a_rule_is_an_error(moto: None, path: tuple[str, ...], value: Any, says: str) -> None:
    template = bus_template()
    change(*path, value=value)(template)
    with pytest.raises(TemplateError, match=says):
        deployed(template)


@pytest.mark.parametrize(("state", "count"), [("DISABLED", 0), ("ENABLED", 1)])
def test_a_rule_that_is_switched_off_is_left_out(moto: None, state: str, count: int) -> None:
    assert len(deployed(bus_template(State=state)).rules) == count
