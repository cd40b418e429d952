"""The bus: what it takes, whom it calls, and where those events go that nothing can be done with."""

import pytest

from infra.events import DETAIL_TYPE, MAX_AGE
from shared.store.idempotency import TTL_S
from tests.infra.template import Template


@pytest.mark.parametrize(("stage", "prefix"), [("dev", "mepush-dev"), ("prod", "mepush")])
def test_events_that_ask_for_messages_go_to_the_function_from_any_source(
    request: pytest.FixtureRequest, stage: str, prefix: str
) -> None:
    template: Template = request.getfixturevalue(stage)
    (bus,) = template.of("Events::EventBus").values()
    rule = template.of("Events::Rule")["BusSend"]
    assert bus.properties == {"Name": prefix}
    assert template.json["Outputs"]["EventBus"]["Value"] == prefix
    assert (rule.properties["Name"], rule.properties["EventBusName"]) == (f"{prefix}-send", f"${{{bus.id}}}")
    assert rule.properties["EventPattern"] == {"detail-type": [DETAIL_TYPE]}
    assert rule.properties["State"] == "ENABLED"
    assert rule.properties["Targets"] == [
        {
            "Id": "Target0",
            "Arn": "${IngestEventsFunction.Arn}",
            "RetryPolicy": {"MaximumEventAgeInSeconds": 21_600, "MaximumRetryAttempts": 185},
            "DeadLetterConfig": {"Arn": "${BusDead.Arn}"},
        }
    ]


def test_what_the_function_fails_at_is_tried_again_and_then_kept(prod: Template) -> None:
    (config,) = prod.of("Lambda::EventInvokeConfig").values()
    assert config.properties == {
        "FunctionName": "${IngestEventsFunction}",
        "Qualifier": "$LATEST",
        "MaximumRetryAttempts": 2,
        "MaximumEventAgeInSeconds": 21_600,
        "DestinationConfig": {"OnFailure": {"Destination": "${BusDead.Arn}"}},
    }


def test_an_event_is_known_for_as_long_as_it_may_come_again() -> None:
    # Once while EventBridge tries, and once while Lambda does.
    assert 2 * MAX_AGE.to_seconds() < TTL_S


def test_the_function_sets_bad_events_aside_in_the_same_queue(prod: Template) -> None:
    variables = prod.functions()["ingest_events"].properties["Environment"]["Variables"]
    assert variables["EVENTS_DLQ_URL"] == "${BusDead}"
    assert prod.of("SQS::Queue")["BusDead"].properties["QueueName"] == "mepush-events-dlq"
    assert [name for name, each in prod.functions().items() if "${BusDead" in str(each.properties)] == ["ingest_events"]


def test_only_the_rule_itself_puts_what_it_cannot_deliver_into_the_queue(prod: Template) -> None:
    statements = prod.of("SQS::QueuePolicy")["BusDeadPolicy"].properties["PolicyDocument"]["Statement"]
    (allowed,) = [each for each in statements if each["Effect"] == "Allow"]
    assert (allowed["Action"], allowed["Principal"]) == ("sqs:SendMessage", {"Service": "events.amazonaws.com"})
    assert allowed["Condition"] == {"ArnEquals": {"aws:SourceArn": "${BusSend.Arn}"}}
