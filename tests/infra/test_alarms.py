"""What wakes people up."""

from typing import Any

from infra.specs import FUNCTIONS
from tests.infra.template import Template


def _alarms(prod: Template, metric: str) -> list[dict[str, Any]]:
    alarms = prod.of("CloudWatch::Alarm").values()
    return [each.properties for each in alarms if each.properties.get("MetricName") == metric]


def _dimension(alarm: dict[str, Any]) -> str:
    (dimension,) = alarm["Dimensions"]
    return str(dimension["Value"])


def test_one_message_in_a_dead_letter_queue_without_a_function_is_an_alarm(prod: Template) -> None:
    alarms = _alarms(prod, "ApproximateNumberOfMessagesVisible")
    dead = {
        "TraceDead",
        "SchedulesDead",
        "CampaignsDead",
        "BusDead",
        "ReceiptsInDead",
        "WebhooksOutDead",
        "ErasuresToDead",
        "ArchiveStoreDead",
    }
    assert {_dimension(each) for each in alarms} == {f"${{{id}.QueueName}}" for id in dead}
    for alarm in alarms:
        assert (alarm["Threshold"], alarm["ComparisonOperator"]) == (0, "GreaterThanThreshold")
        assert (alarm["Statistic"], alarm["EvaluationPeriods"]) == ("Maximum", 1)


def test_one_dead_letter_that_is_kept_is_an_alarm(prod: Template) -> None:
    alarms = _alarms(prod, "DeadLetters")
    assert len(alarms) == 9
    variables = prod.functions()["dead_letters"].properties["Environment"]["Variables"]
    for alarm in alarms:
        dimensions = {each["Name"]: each["Value"] for each in alarm["Dimensions"]}
        assert dimensions.pop("queue").endswith("Dead.QueueName}")
        assert dimensions == {"service": variables["POWERTOOLS_SERVICE_NAME"]}
        assert alarm["Namespace"] == variables["POWERTOOLS_METRICS_NAMESPACE"]
        assert (alarm["Threshold"], alarm["Statistic"], alarm["EvaluationPeriods"]) == (0, "Sum", 1)


def test_a_dead_letter_that_cannot_be_kept_is_an_alarm_though_it_is_hidden(prod: Template) -> None:
    alarms = [each.properties for each in prod.of("CloudWatch::Alarm").values() if "Metrics" in each.properties]
    assert len(alarms) == 9
    for alarm in alarms:
        (sum,) = [each["Expression"] for each in alarm["Metrics"] if "Expression" in each]
        metrics = {each["Id"]: each["MetricStat"]["Metric"] for each in alarm["Metrics"] if "MetricStat" in each}
        assert sum == "shown + hidden"
        assert metrics["shown"]["MetricName"] == "ApproximateNumberOfMessagesVisible"
        assert metrics["hidden"]["MetricName"] == "ApproximateNumberOfMessagesNotVisible"
        assert metrics["shown"]["Dimensions"] == metrics["hidden"]["Dimensions"]
        assert (alarm["Threshold"], alarm["EvaluationPeriods"]) == (0, 15)


def test_every_function_is_watched_for_errors_and_throttles(prod: Template) -> None:
    functions = {f"${{{spec.construct_id}Function}}" for spec in FUNCTIONS.values()}
    for metric in ("Errors", "Throttles"):
        alarms = _alarms(prod, metric)
        assert {_dimension(each) for each in alarms} == functions
        for alarm in alarms:
            assert (alarm["Namespace"], alarm["Threshold"], alarm["Statistic"]) == ("AWS/Lambda", 0, "Sum")


def test_the_trace_must_not_lag(prod: Template) -> None:
    alarms = _alarms(prod, "IteratorAge")
    assert {_dimension(alarm): (alarm["Threshold"], alarm["Statistic"]) for alarm in alarms} == {
        "${TraceFunction}": (300_000, "Maximum"),
        "${WebhooksFeedFunction}": (300_000, "Maximum"),
        "${ArchiveFunction}": (3_600_000, "Maximum"),
    }


def test_an_endpoint_that_gets_no_more_events_is_an_alarm(prod: Template) -> None:
    variables = prod.functions()["webhooks_send"].properties["Environment"]["Variables"]
    (alarm,) = _alarms(prod, "WebhooksPaused")
    assert {each["Name"]: each["Value"] for each in alarm["Dimensions"]} == {
        "deployment": variables["SECRET_PREFIX"],
        "service": variables["POWERTOOLS_SERVICE_NAME"],
    }
    assert (alarm["Threshold"], alarm["ComparisonOperator"]) == (0, "GreaterThanThreshold")


def test_stuck_messages_are_an_alarm_and_so_is_that_nobody_looks_for_them(prod: Template) -> None:
    variables = prod.functions()["watch"].properties["Environment"]["Variables"]
    (stuck,), (sweeps,) = _alarms(prod, "InFlightTooLong"), _alarms(prod, "Sweeps")
    for alarm in (stuck, sweeps):
        assert {each["Name"]: each["Value"] for each in alarm["Dimensions"]} == {
            "deployment": variables["SCHEDULE_GROUP"],
            "service": variables["POWERTOOLS_SERVICE_NAME"],
        }
        assert alarm["Namespace"] == variables["POWERTOOLS_METRICS_NAMESPACE"]
    assert (stuck["Threshold"], stuck["ComparisonOperator"]) == (0, "GreaterThanThreshold")
    assert (stuck["Statistic"], stuck["Period"], stuck["EvaluationPeriods"]) == ("Maximum", 300, 3)
    assert (sweeps["Threshold"], sweeps["ComparisonOperator"]) == (1, "LessThanThreshold")
    assert (sweeps["Statistic"], sweeps["Period"], sweeps["EvaluationPeriods"]) == ("Sum", 1800, 1)


def test_the_watch_runs_every_five_minutes_and_ends_before_the_next_time(prod: Template) -> None:
    schedule = prod.of("Scheduler::Schedule")["WatchSchedule"]
    assert schedule.properties["ScheduleExpression"] == "rate(5 minutes)"
    assert schedule.properties["Target"] == {"Arn": "${WatchFunction.Arn}", "RoleArn": "${WatchScheduleRole.Arn}"}
    assert prod.functions()["watch"].properties["Timeout"] < 300


def test_mailboxes_are_looked_into_every_ten_minutes_and_one_that_fails_for_hours_is_an_alarm(prod: Template) -> None:
    schedule = prod.of("Scheduler::Schedule")["MailboxesSchedule"]
    assert schedule.properties["ScheduleExpression"] == "rate(10 minutes)"
    assert schedule.properties["Target"] == {
        "Arn": "${MailboxesFunction.Arn}",
        "RoleArn": "${MailboxesScheduleRole.Arn}",
    }
    assert prod.functions()["mailboxes"].properties["Timeout"] < 600
    (alarm,) = _alarms(prod, "MailboxesFailed")
    variables = prod.functions()["mailboxes"].properties["Environment"]["Variables"]
    assert {each["Name"]: each["Value"] for each in alarm["Dimensions"]} == {
        "deployment": variables["SCHEDULE_GROUP"],
        "service": variables["POWERTOOLS_SERVICE_NAME"],
    }
    assert (alarm["Threshold"], alarm["Statistic"], alarm["Period"]) == (0, "Maximum", 600)


def test_providers_are_asked_for_receipts_every_ten_minutes_and_before_the_next_time(prod: Template) -> None:
    schedules = prod.of("Scheduler::Schedule")
    assert set(schedules) == {"WatchSchedule", "PullingSchedule", "MailboxesSchedule"}
    assert schedules["PullingSchedule"].properties["ScheduleExpression"] == "rate(10 minutes)"
    assert prod.functions()["pulling"].properties["Timeout"] < 600


def test_every_alarm_tells_the_topic_says_what_to_do_and_is_quiet_when_nothing_happens(prod: Template) -> None:
    alarms = prod.of("CloudWatch::Alarm").values()
    assert len(alarms) == 6 + 3 + 2 * 9 + 2 * len(FUNCTIONS) + 1 + 2 + 2 * 2 + 1 + 2 + 2 + 3 + 1 + 1 + 1
    assert len({each.properties["AlarmName"] for each in alarms}) == len(alarms)
    for alarm in alarms:
        assert alarm.properties["AlarmActions"] == ["${AlarmsTopic}"]
        assert alarm.properties["TreatMissingData"] == ("breaching" if alarm.id == "AlarmsNoSweep" else "notBreaching")
        assert alarm.properties["AlarmName"].startswith("mepush-")
        assert alarm.properties["AlarmDescription"]


def test_a_key_that_has_sent_its_texts_of_the_day_or_nearly_is_an_alarm_of_each_function_that_accepts(
    prod: Template,
) -> None:
    for metric, name in (("KeyLimitNear", "near"), ("KeyLimitReached", "reached")):
        found = {}
        for alarm in _alarms(prod, metric):
            dimensions = {each["Name"]: each["Value"] for each in alarm["Dimensions"]}
            found[dimensions.pop("service")] = alarm["AlarmName"]
            variables = prod.functions()["ingest"].properties["Environment"]["Variables"]
            assert dimensions == {"deployment": variables["SCHEDULE_GROUP"]}
            assert alarm["Namespace"] == variables["POWERTOOLS_METRICS_NAMESPACE"]
            assert (alarm["Threshold"], alarm["ComparisonOperator"]) == (0, "GreaterThanThreshold")
            assert (alarm["Statistic"], alarm["EvaluationPeriods"]) == ("Sum", 1)
            assert alarm["AlarmActions"]
        wanted = {
            function: prod.functions()[function].properties["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"]
            for function in ("ingest", "ingest_events")
        }
        assert found == {service: f"mepush-key-limit-{name}-{f.replace('_', '-')}" for f, service in wanted.items()}


def test_a_prefix_that_is_held_is_an_alarm(prod: Template) -> None:
    [alarm] = _alarms(prod, "PrefixesHeld")
    assert alarm["AlarmName"] == "mepush-prefixes-held-ingest" and "mepush verify guard" in alarm["AlarmDescription"]
    dimensions = {each["Name"]: each["Value"] for each in alarm["Dimensions"]}
    assert dimensions["service"] == "ingest" and alarm["AlarmActions"]


def test_callbacks_and_pulls_that_fail_are_alarms_of_the_deployment(prod: Template) -> None:
    for metric, function, period, periods, above in (
        ("CallbacksFailed", "callbacks", 900, 1, 4),
        ("PullsFailed", "pulling", 600, 6, 0),
    ):
        (alarm,) = _alarms(prod, metric)
        variables = prod.functions()[function].properties["Environment"]["Variables"]
        assert {each["Name"]: each["Value"] for each in alarm["Dimensions"]} == {
            "deployment": variables["DEPLOYMENT"],
            "service": variables["POWERTOOLS_SERVICE_NAME"],
        }
        assert (alarm["Period"], alarm["EvaluationPeriods"], alarm["Threshold"]) == (period, periods, above)


def test_receipts_and_dead_letters_that_get_old_are_alarms(prod: Template) -> None:
    found = {alarm["AlarmName"]: alarm for alarm in _alarms(prod, "ApproximateAgeOfOldestMessage")}
    week = 7 * 86_400
    assert {name: alarm["Threshold"] for name, alarm in found.items()} == {
        "mepush-receipts-old": 3600,
        "mepush-dead-letters-receipts-old": week,
        "mepush-dead-letters-webhooks-old": week,
    }
    queues = {name: _dimension(alarm) for name, alarm in found.items()}
    assert len(set(queues.values())) == 3 and "Dead" not in queues["mepush-receipts-old"]
    for queue in ("receipts", "webhooks"):
        (kept,) = {
            each.properties["MessageRetentionPeriod"]
            for each in prod.of("SQS::Queue").values()
            if each.properties.get("QueueName") == f"mepush-{queue}-dlq"
        }
        assert week < kept
