"""Queues, their dead letters, and what feeds the functions."""

from fnmatch import fnmatch
from itertools import product

import pytest

from infra.stage import stage_named
from shared.base.channels import CHANNELS
from shared.dispatch.waves import LEASE_MARGIN_S
from shared.model.words import Channel, MessageClass
from tests.infra.template import Template

PAIRS = list(product(Channel, MessageClass))
WINDOWS = {MessageClass.VERIFICATION: 0, MessageClass.NOTIFICATION: 1, MessageClass.MARKETING: 1}
OTHERS = {
    "SchedulesDead",
    "TraceDead",
    "CampaignsDead",
    "CampaignsQueue",
    "BusDead",
    "ReceiptsInQueue",
    "ReceiptsInDead",
    "WebhooksOutQueue",
    "WebhooksOutDead",
    "ErasuresToQueue",
    "ErasuresToDead",
    "ArchiveStoreDead",
}


def _id(channel: Channel, message_class: MessageClass) -> str:
    return f"Queues{channel.title()}{message_class.title()}"


def test_there_is_a_queue_and_a_dead_letter_queue_per_channel_and_class(prod: Template) -> None:
    expected = {_id(*pair) for pair in PAIRS} | {f"{_id(*pair)}Dead" for pair in PAIRS} | OTHERS
    assert set(prod.of("SQS::Queue")) == expected
    assert len(PAIRS) == 9


@pytest.mark.parametrize(("channel", "message_class"), PAIRS)
def test_a_queue_hides_messages_long_enough_and_gives_up_after_six(
    prod: Template, channel: Channel, message_class: MessageClass
) -> None:
    queue = prod.of("SQS::Queue")[_id(channel, message_class)].properties
    assert queue["QueueName"] == f"mepush-{channel}-{message_class}"
    assert queue["RedrivePolicy"] == {
        "deadLetterTargetArn": f"${{{_id(channel, message_class)}Dead.Arn}}",
        "maxReceiveCount": 6,
    }
    timeout = prod.functions()[CHANNELS[channel].function].properties["Timeout"]
    if message_class is MessageClass.VERIFICATION:
        # Sooner than a code expires (five minutes), later than the lease of a function that died.
        assert timeout + LEASE_MARGIN_S < queue["VisibilityTimeout"] < 150
    else:
        assert queue["VisibilityTimeout"] >= 6 * timeout + WINDOWS[message_class]
    assert queue["MessageRetentionPeriod"] == 14 * 86_400


def test_every_queue_is_encrypted_and_standard(prod: Template) -> None:
    for queue in prod.of("SQS::Queue").values():
        assert queue.properties["SqsManagedSseEnabled"] is True
        assert "FifoQueue" not in queue.properties


def test_dead_letters_wait_for_two_weeks(prod: Template) -> None:
    dead = [queue for id, queue in prod.of("SQS::Queue").items() if id.endswith("Dead")]
    assert len(dead) == 17
    for queue in dead:
        assert queue.properties["MessageRetentionPeriod"] == 14 * 86_400
        assert "RedrivePolicy" not in queue.properties


@pytest.mark.parametrize(("channel", "message_class"), PAIRS)
def test_each_dead_letter_queue_feeds_the_function_that_keeps_them(
    prod: Template, channel: Channel, message_class: MessageClass
) -> None:
    id = f"{channel.title()}{message_class.title()}"
    assert prod.of("Lambda::EventSourceMapping")[f"DeadLetters{id}Source"].properties == {
        "EventSourceArn": f"${{Queues{id}Dead.Arn}}",
        "FunctionName": "${DeadLettersFunction}",
        "BatchSize": 10,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "ScalingConfig": {"MaximumConcurrency": 5},
    }
    timeout = prod.functions()["dead_letters"].properties["Timeout"]
    # Lambda's guide: at least six times the function's.
    assert prod.of("SQS::Queue")[f"Queues{id}Dead"].properties["VisibilityTimeout"] == 6 * timeout


@pytest.mark.parametrize("stage", ["dev", "prod"])
@pytest.mark.parametrize(("channel", "message_class"), PAIRS)
def test_each_queue_feeds_its_channels_function_under_its_own_cap(
    request: pytest.FixtureRequest, stage: str, channel: Channel, message_class: MessageClass
) -> None:
    template: Template = request.getfixturevalue(stage)
    function = CHANNELS[channel].function.title().replace("_", "")
    source = template.of("Lambda::EventSourceMapping")[f"{function}{message_class.title()}Source"].properties
    assert source == {
        "EventSourceArn": f"${{{_id(channel, message_class)}.Arn}}",
        "FunctionName": f"${{{function}Live}}[:6]:live" if stage == "prod" else f"${{{function}Function}}",
        "BatchSize": 10,
        "MaximumBatchingWindowInSeconds": WINDOWS[message_class],
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "ScalingConfig": {"MaximumConcurrency": stage_named(stage).concurrency[message_class]},
    }


def test_the_stream_feeds_the_trace_with_bounded_retries(prod: Template) -> None:
    assert len(prod.of("Lambda::EventSourceMapping")) == 2 * len(PAIRS) + 7
    assert prod.of("Lambda::EventSourceMapping")["TraceSource"].properties == {
        "EventSourceArn": "${Events.Arn}",
        "FunctionName": "${TraceFunction}",
        "BatchSize": 100,
        "MaximumBatchingWindowInSeconds": 1,
        "ParallelizationFactor": 1,
        "StartingPosition": "TRIM_HORIZON",
        "BisectBatchOnFunctionError": True,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "MaximumRetryAttempts": 50,
        "MaximumRecordAgeInSeconds": 86_400,
        "DestinationConfig": {"OnFailure": {"Destination": "${TraceDead.Arn}"}},
    }


def test_the_archive_gathers_for_minutes_and_tries_until_the_stream_is_about_to_forget(prod: Template) -> None:
    found = prod.of("Lambda::EventSourceMapping")["ArchiveSource"].properties
    assert found["EventSourceArn"] == "${Events.Arn}"
    assert (found["BatchSize"], found["MaximumBatchingWindowInSeconds"]) == (2000, 300)
    assert (found["MaximumRetryAttempts"], found["MaximumRecordAgeInSeconds"]) == (-1, 6 * 86_400)
    assert (found["BisectBatchOnFunctionError"], found["FunctionResponseTypes"]) == (True, ["ReportBatchItemFailures"])
    assert found["DestinationConfig"] == {"OnFailure": {"Destination": "${ArchiveStoreDead.Arn}"}}


def test_the_groups_of_schedules_are_those_that_functions_name(prod: Template) -> None:
    groups = {group.properties["Name"] for group in prod.of("Scheduler::ScheduleGroup").values()}
    environments = [function.properties["Environment"]["Variables"] for function in prod.functions().values()]
    for variable, name in (("SCHEDULE_GROUP", "mepush"), ("CAMPAIGNS_GROUP", "mepush-campaigns")):
        assert {each[variable] for each in environments if variable in each} == {name}
    assert groups == {"mepush", "mepush-campaigns"}


def test_a_task_is_hidden_as_long_as_its_function_may_take(prod: Template) -> None:
    queue = prod.of("SQS::Queue")["CampaignsQueue"].properties
    assert queue["VisibilityTimeout"] == prod.functions()["campaign"].properties["Timeout"] == 900
    assert queue["RedrivePolicy"] == {"deadLetterTargetArn": "${CampaignsDead.Arn}", "maxReceiveCount": 6}
    mapping = prod.of("Lambda::EventSourceMapping")["CampaignSource"].properties
    assert (mapping["BatchSize"], mapping["ScalingConfig"]) == (1, {"MaximumConcurrency": 50})


def test_a_stage_may_have_a_topic_that_configuration_sets_publish_to_and_the_queue_of_receipts_listens_to(
    dev: Template, prod: Template
) -> None:
    name = "mepush-dev-receipts-ses"
    (topic,) = (each for each in dev.of("SNS::Topic").values() if each.properties["TopicName"] == name)
    (subscription,) = dev.of("SNS::Subscription").values()
    assert subscription.properties == {
        "Endpoint": "${ReceiptsInQueue.Arn}",
        "Protocol": "sqs",
        "RawMessageDelivery": True,
        "TopicArn": f"${{{topic.id}}}",
    }
    statements = [
        statement
        for policy in dev.of("SNS::TopicPolicy").values()
        if policy.properties["Topics"] == [f"${{{topic.id}}}"]
        for statement in policy.properties["PolicyDocument"]["Statement"]
    ]
    (publish,) = (each for each in statements if each["Effect"] == "Allow")
    assert (publish["Action"], publish["Principal"]) == ("sns:Publish", {"Service": "ses.amazonaws.com"})
    assert publish["Condition"]["StringEquals"] == {"aws:SourceAccount": "${AWS::AccountId}"}
    assert publish["Condition"]["ArnLike"]["aws:SourceArn"].endswith(":configuration-set/*")
    (letting,) = (
        statement
        for policy in dev.of("SQS::QueuePolicy").values()
        for statement in policy.properties["PolicyDocument"]["Statement"]
        if statement.get("Principal") == {"Service": "sns.amazonaws.com"}
    )
    pattern = letting["Condition"]["ArnLike"]["aws:SourceArn"].rpartition(":")[2]
    assert letting["Action"] == "sqs:SendMessage" and fnmatch(name, pattern) and not fnmatch("mepush-alarms", pattern)
    assert not prod.of("SNS::Subscription")
