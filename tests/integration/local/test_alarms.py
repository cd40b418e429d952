"""The deployment's alarms, as the local stack evaluates them."""

import json
from collections.abc import Iterator

import pytest

from local.alarms import Alarm, Alarms, alarm_of
from local.metrics import KEPT_MINUTES, Metric, Metrics
from local.runtime import ThrottledError
from local.stack import LocalStack
from tests.fakes import FakeClock

OURS = frozenset({("service", "watch")})
LINE = {
    "_aws": {
        "Timestamp": 1,
        "CloudWatchMetrics": [
            {"Namespace": "mePush", "Dimensions": [["service"]], "Metrics": [{"Name": "Sweeps"}, {"Name": "Stuck"}]}
        ],
    },
    "service": "watch",
    "Sweeps": [1, 4],
    "Stuck": 2,
}


def alarm(
    name: str, *, below: bool = False, periods: int = 1, threshold: float = 1, namespace: str = "mePush"
) -> Alarm:
    metric = Metric(namespace, name, OURS)
    return Alarm(name, f"{name} is wrong.", ((metric, "Sum"),), 60, periods, threshold, below)


def test_lines_of_metrics_count_and_all_else_does_not(clock: FakeClock) -> None:
    metrics = Metrics(clock)
    for line in ('{"message": "nothing"}', "no JSON", "[]", json.dumps(LINE)):
        metrics.take(line)
    now = clock.now_ms() // 60_000
    sweeps = Metric("mePush", "Sweeps", OURS)
    assert [metrics.over(sweeps, each, now - 1, now) for each in ("Sum", "Maximum")] == [5, 4]
    assert metrics.over(Metric("mePush", "Sweeps", frozenset()), "Sum", now - 1, now) is None
    clock.advance(60 * KEPT_MINUTES)
    metrics.add(sweeps, [1])
    assert metrics.over(sweeps, "Sum", now - 1, now) is None, "it is forgotten"


def test_an_alarm_takes_as_many_periods_in_a_row_as_it_says(clock: FakeClock) -> None:
    metrics = Metrics(clock)
    alarms = Alarms([alarm("Stuck", periods=2), alarm("Sweeps", below=True)], metrics, lambda _: None, clock)
    assert (alarms.state("Stuck"), alarms.state("Sweeps")) == ("OK", "ALARM"), "nothing was measured"
    metrics.add(Metric("mePush", "Stuck", OURS), [2])
    metrics.add(Metric("mePush", "Sweeps", OURS), [1])
    assert (alarms.state("Stuck"), alarms.state("Sweeps")) == ("OK", "OK")
    clock.advance(60)
    metrics.add(Metric("mePush", "Stuck", OURS), [1, 1])
    assert [each.name for each in alarms.raised()] == ["Stuck"]
    clock.advance(121)
    assert alarms.state("Stuck") == "OK"


def test_what_is_not_known_here_is_no_alarm(clock: FakeClock) -> None:
    alarms = Alarms([alarm("Old", namespace="AWS/Firehose")], Metrics(clock), lambda _: None, clock)
    kind, body = alarms.page()
    assert kind == "application/json" and json.loads(body) == {"alarms": 1, "raised": [], "not_known_here": ["Old"]}


def test_the_sum_of_several_metrics_counts(clock: FakeClock) -> None:
    stat = {"Metric": {"Namespace": "AWS/SQS", "MetricName": "Shown"}, "Period": 60, "Stat": "Maximum"}
    given = {
        **{"AlarmName": "stuck", "AlarmDescription": "Some are stuck.", "EvaluationPeriods": 15, "Threshold": 1},
        **{"ComparisonOperator": "GreaterThanThreshold"},
        "Metrics": [
            {"Id": "sum", "Expression": "a + b"},
            {"Id": "a", "MetricStat": stat},
            {"Id": "b", "MetricStat": stat},
        ],
    }
    alarms = Alarms([alarm_of(given)], Metrics(clock), lambda _: 1.0, clock)
    assert alarms.state("stuck") == "ALARM"


@pytest.fixture(scope="module")
def stack() -> Iterator[LocalStack]:
    with LocalStack(threads=False, memory=True) as it:
        yield it


def test_a_stack_that_is_well_raises_none_but_that_nothing_has_swept(stack: LocalStack) -> None:
    assert [each.name for each in stack.alarms.raised()] == ["mepush-no-sweep"]
    stack.drain(until_due=True, horizon_s=400)
    assert list(stack.alarms.raised()) == []
    assert (
        stack.alarms.state("mepush-archive-not-stored") == "UNKNOWN"
        if "mepush-archive-not-stored" in (stack.alarms.names)
        else len(stack.alarms.names) > 80
    )


def test_a_function_that_fails_or_is_held_back_raises_its_own(stack: LocalStack) -> None:
    for error, kind in ((RuntimeError("broken"), "errors"), (ThrottledError("held back"), "throttles")):
        stack.fails["describe"] = error
        with pytest.raises(type(error)):
            stack.invoke("describe", {})
        del stack.fails["describe"]
        raised = [each.name for each in stack.alarms.raised()]
        assert raised == (["mepush-errors-describe"] if kind == "errors" else []), (
            "throttles take five minutes in a row"
        )
        stack.clock.advance(121)


def test_what_queues_hold_is_looked_up(stack: LocalStack) -> None:
    url = next(url for url in stack.deployment.queues.values() if "receipts-dlq" in url)
    stack.client("sqs").send_message(QueueUrl=url, MessageBody="what nobody can read")
    raised = {each.name for each in stack.alarms.raised()}
    assert "mepush-dead-letters-receipts" in raised and "mepush-dead-letters-receipts-old" not in raised
    stack.clock.advance(7 * 86_400 + 60)
    assert "mepush-dead-letters-receipts-old" in {each.name for each in stack.alarms.raised()}
