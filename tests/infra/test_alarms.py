"""What wakes people up."""

from typing import Any

from infra.specs import FUNCTIONS
from tests.infra.template import Template


def _alarms(prod: Template, metric: str) -> list[dict[str, Any]]:
    alarms = prod.of("CloudWatch::Alarm").values()
    return [each.properties for each in alarms if each.properties["MetricName"] == metric]


def _dimension(alarm: dict[str, Any]) -> str:
    (dimension,) = alarm["Dimensions"]
    return str(dimension["Value"])


def test_one_message_in_any_dead_letter_queue_is_an_alarm(prod: Template) -> None:
    alarms = _alarms(prod, "ApproximateNumberOfMessagesVisible")
    dead = {id for id in prod.of("SQS::Queue") if id.endswith("Dead")}
    assert {_dimension(each) for each in alarms} == {f"${{{id}.QueueName}}" for id in dead}
    for alarm in alarms:
        assert (alarm["Threshold"], alarm["ComparisonOperator"]) == (0, "GreaterThanThreshold")
        assert (alarm["Statistic"], alarm["EvaluationPeriods"]) == ("Maximum", 1)


def test_every_function_is_watched_for_errors_and_throttles(prod: Template) -> None:
    functions = {f"${{{spec.construct_id}Function}}" for spec in FUNCTIONS.values()}
    for metric in ("Errors", "Throttles"):
        alarms = _alarms(prod, metric)
        assert {_dimension(each) for each in alarms} == functions
        for alarm in alarms:
            assert (alarm["Namespace"], alarm["Threshold"], alarm["Statistic"]) == ("AWS/Lambda", 0, "Sum")


def test_the_trace_must_not_lag(prod: Template) -> None:
    (alarm,) = _alarms(prod, "IteratorAge")
    assert _dimension(alarm) == "${TraceFunction}"
    assert (alarm["Threshold"], alarm["Statistic"]) == (300_000, "Maximum")


def test_every_alarm_tells_the_topic_says_what_to_do_and_is_quiet_when_nothing_happens(prod: Template) -> None:
    alarms = prod.of("CloudWatch::Alarm").values()
    assert len(alarms) == 11 + 2 * len(FUNCTIONS) + 1
    assert len({each.properties["AlarmName"] for each in alarms}) == len(alarms)
    for alarm in alarms:
        assert alarm.properties["AlarmActions"] == ["${AlarmsTopic}"]
        assert alarm.properties["TreatMissingData"] == "notBreaching"
        assert alarm.properties["AlarmName"].startswith("mepush-")
        assert alarm.properties["AlarmDescription"]
