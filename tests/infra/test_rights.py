"""Who may do what: every statement of every role, word for word."""

from typing import Any

import pytest

from infra.specs import FUNCTIONS
from shared.model.words import Channel, MessageClass
from tests.infra.template import Template

Statement = tuple[tuple[str, ...], tuple[str, ...]]

AWS = "arn:${AWS::Partition}"
HERE = "${AWS::Region}:${AWS::AccountId}"
CATALOG, GUARD = "${TablesCatalog.Arn}", "${TablesGuard.Arn}"
TIMELINE, COUNTERS = "${TablesTimeline.Arn}", "${TablesCounters.Arn}"
READ = ("dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Query")
GET = ("dynamodb:GetItem",)
ITEM = ("dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem")
SECRETS = f"{AWS}:secretsmanager:{HERE}:secret:mepush/*"
HOOK_SECRETS = f"{AWS}:secretsmanager:{HERE}:secret:mepush/*/webhook/*"
SMS_SENDERS = tuple(f"{AWS}:sms-voice:*:${{AWS::AccountId}}:{kind}/*" for kind in ("phone-number", "pool", "sender-id"))
PASS_ROLE: Statement = (("iam:PassRole",), ("${SchedulesRole.Arn}",))
SCHEDULE: Statement = (("scheduler:CreateSchedule",), (f"{AWS}:scheduler:{HERE}:schedule/mepush/*",))
PUBLISH: Statement = (("kinesis:PutRecords",), ("${Events.Arn}",))
LOOK = ("kinesis:GetRecords", "kinesis:GetShardIterator", "kinesis:ListShards")
FILES = ("${Assets.Arn}/attachments/*",)
BUCKET = ("${Assets.Arn}",)
TASKS: Statement = (("sqs:SendMessage",), ("${CampaignsQueue.Arn}",))
SEND_SMS: Statement = (("sms-voice:SendTextMessage",), SMS_SENDERS)


def _queues(*channels: Channel, dead: bool = False) -> tuple[str, ...]:
    end = "Dead.Arn" if dead else ".Arn"
    return tuple(sorted(f"${{Queues{c.title()}{m.title()}{end}}}" for c in channels for m in MessageClass))


def _mappings() -> tuple[str, ...]:
    arn = f"{AWS}:lambda:{HERE}:event-source-mapping:"
    return tuple(f"{arn}${{Dispatch{c.title()}{m.title()}Source}}" for c in Channel for m in MessageClass)


def _dispatch(channel: Channel, *own: Statement) -> list[Statement]:
    return [
        (READ, (CATALOG,)),
        ((*READ, "dynamodb:BatchWriteItem", "dynamodb:UpdateItem"), (GUARD,)),
        (("sqs:SendMessage",), _queues(*Channel)),
        (("sqs:SendMessage",), ("${ReceiptsInQueue.Arn}",)),
        (("sqs:SendMessage",), _queues(channel, dead=True)),
        (
            ("sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"),
            _queues(channel),
        ),
        SCHEDULE,
        PASS_ROLE,
        PUBLISH,
        (("secretsmanager:GetSecretValue",), (SECRETS,)),
        (("dynamodb:Query",), (COUNTERS,)),
        (("dynamodb:PutItem",), (CATALOG,)),
        *own,
    ]


RUNS: list[Statement] = [
    (("dynamodb:PutItem",), (CATALOG,)),
    (("dynamodb:DeleteItem",), (CATALOG,)),
    (("dynamodb:Query",), (COUNTERS,)),
    (("s3:GetObject", "s3:GetObjectVersion"), ("${Assets.Arn}/audiences/*",)),
    (("s3:ListBucket", "s3:ListBucketVersions"), BUCKET),
    (("sqs:SendMessage",), _queues(*Channel)),
    TASKS,
    PASS_ROLE,
    PUBLISH,
]
"""What both functions of campaigns may do."""

SES_SENDERS = (f"{AWS}:ses:*:${{AWS::AccountId}}:configuration-set/*", f"{AWS}:ses:*:${{AWS::AccountId}}:identity/*")
SES_TEMPLATES = (f"{AWS}:ses:*:${{AWS::AccountId}}:template/mepush-raw-*",)
TRY_TEMPLATES = (("ses:CreateEmailTemplate", "ses:TestRenderEmailTemplate"), SES_TEMPLATES)

EXPECTED: dict[str, list[Statement]] = {
    "ingest": [
        (GET, (CATALOG,)),
        (("dynamodb:PutItem",), (CATALOG,)),
        (ITEM, (GUARD,)),
        (("dynamodb:BatchGetItem", "dynamodb:BatchWriteItem", "dynamodb:Query"), (GUARD,)),
        (("s3:GetObject", "s3:PutObject"), FILES),
        (("s3:ListBucket",), BUCKET),
        (("sqs:SendMessage",), _queues(*Channel)),
        SCHEDULE,
        PASS_ROLE,
        PUBLISH,
    ],
    "ingest_events": [
        (GET, (CATALOG,)),
        (ITEM, (GUARD,)),
        (("s3:GetObject",), FILES),
        (("s3:ListBucket",), BUCKET),
        (("sqs:SendMessage",), _queues(*Channel)),
        (("sqs:SendMessage",), ("${BusDead.Arn}",)),
        SCHEDULE,
        PASS_ROLE,
        PUBLISH,
    ],
    "dispatch_email": _dispatch(
        Channel.EMAIL,
        (("s3:GetObjectVersion",), FILES),
        (("s3:ListBucket", "s3:ListBucketVersions"), BUCKET),
        (("ses:SendEmail", "ses:SendRawEmail"), SES_SENDERS),
        (("ses:SendBulkEmail",), (*SES_SENDERS, *SES_TEMPLATES)),
        TRY_TEMPLATES,
    ),
    "dispatch_sms": _dispatch(Channel.SMS, SEND_SMS),
    "dispatch_wecom": _dispatch(Channel.WECOM),
    "trace": [
        (("dynamodb:BatchGetItem", "dynamodb:BatchWriteItem", "dynamodb:PutItem", "dynamodb:Query"), (TIMELINE,)),
        (("dynamodb:GetItem", "dynamodb:UpdateItem"), (COUNTERS,)),
        (("dynamodb:BatchWriteItem", "dynamodb:Query"), (COUNTERS,)),
        (GET, (CATALOG,)),
        (("dynamodb:Query",), (GUARD,)),
        (
            (
                "kinesis:DescribeStream",
                "kinesis:DescribeStreamSummary",
                "kinesis:GetRecords",
                "kinesis:GetShardIterator",
                "kinesis:ListShards",
            ),
            ("${Events.Arn}",),
        ),
        (("sqs:SendMessage",), ("${TraceDead.Arn}",)),
    ],
    "mailboxes": [
        (("dynamodb:GetItem", "dynamodb:Query"), (CATALOG,)),
        (("dynamodb:PutItem",), (CATALOG,)),
        (("sqs:SendMessage",), ("${ReceiptsInQueue.Arn}",)),
        (("secretsmanager:GetSecretValue",), (SECRETS,)),
    ],
    "receipts": [
        (("dynamodb:BatchGetItem", "dynamodb:Query"), (TIMELINE,)),
        (("dynamodb:BatchGetItem", "dynamodb:GetItem"), (CATALOG,)),
        (("dynamodb:PutItem", "dynamodb:UpdateItem"), (CATALOG,)),
        (("dynamodb:GetItem", "dynamodb:UpdateItem"), (GUARD,)),
        (("sqs:SendMessage",), _queues(*Channel)),
        (("secretsmanager:GetSecretValue",), (SECRETS,)),
        (("secretsmanager:GetSecretValue",), (SECRETS,)),
        (("sms-voice:PutMessageFeedback",), (f"{AWS}:sms-voice:*:${{AWS::AccountId}}:message/*",)),
        (
            (
                "sqs:ChangeMessageVisibility",
                "sqs:DeleteMessage",
                "sqs:GetQueueAttributes",
                "sqs:ReceiveMessage",
                "sqs:SendMessage",
            ),
            ("${ReceiptsInQueue.Arn}",),
        ),
        PUBLISH,
    ],
    "pulling": [
        (("dynamodb:Query",), (CATALOG,)),
        (("ses:CreateExportJob", "ses:GetExportJob", "ses:ListExportJobs"), ("*",)),
        (("sqs:SendMessage",), ("${ReceiptsInQueue.Arn}",)),
        (("secretsmanager:GetSecretValue",), (SECRETS,)),
    ],
    "callbacks": [
        (GET, (CATALOG,)),
        (("secretsmanager:GetSecretValue",), (SECRETS,)),
        (("sqs:SendMessage",), ("${ReceiptsInQueue.Arn}",)),
    ],
    "engagement": [
        (("dynamodb:BatchGetItem", "dynamodb:GetItem"), (CATALOG,)),
        (("sqs:SendMessage",), ("${ReceiptsInQueue.Arn}",)),
    ],
    "verify": [
        (GET, (CATALOG,)),
        (("dynamodb:GetItem", "dynamodb:UpdateItem"), (GUARD,)),
        (("dynamodb:UpdateItem",), (GUARD,)),
        (("sqs:SendMessage",), ("${ReceiptsInQueue.Arn}",)),
    ],
    "preferences": [
        (("dynamodb:BatchGetItem", "dynamodb:GetItem"), (CATALOG,)),
        (("dynamodb:DeleteItem", "dynamodb:PutItem", "dynamodb:UpdateItem"), (CATALOG,)),
        (("dynamodb:PutItem",), (CATALOG,)),
        (("dynamodb:BatchGetItem",), (TIMELINE,)),
        (("sqs:SendMessage",), ("${ReceiptsInQueue.Arn}",)),
    ],
    "erasures": [
        (("dynamodb:Scan",), (CATALOG, COUNTERS, GUARD, TIMELINE)),
        (("dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Query"), (CATALOG,)),
        (("dynamodb:PutItem",), (CATALOG,)),
        (("dynamodb:UpdateItem",), (CATALOG,)),
        (("dynamodb:DeleteItem",), (CATALOG,)),
        (
            (
                "dynamodb:BatchWriteItem",
                "dynamodb:GetItem",
                "dynamodb:PutItem",
                "dynamodb:Query",
                "dynamodb:UpdateItem",
            ),
            (GUARD,),
        ),
        (("dynamodb:BatchWriteItem", "dynamodb:PutItem", "dynamodb:Query"), (TIMELINE,)),
        (("dynamodb:BatchWriteItem",), (COUNTERS,)),
        (
            (
                "s3:AbortMultipartUpload",
                "s3:DeleteObjectVersion",
                "s3:GetObjectVersion",
                "s3:GetObjectVersionTagging",
                "s3:PutObject",
                "s3:PutObjectTagging",
            ),
            ("${Assets.Arn}/audiences/*", "${Assets.Arn}/runs/*"),
        ),
        (("s3:ListBucket", "s3:ListBucketVersions"), BUCKET),
        (("scheduler:ListSchedules",), ("*",)),
        (
            ("scheduler:GetSchedule", "scheduler:UpdateSchedule"),
            (f"{AWS}:scheduler:{HERE}:schedule/mepush/*",),
        ),
        PASS_ROLE,
        (
            (
                "sqs:ChangeMessageVisibility",
                "sqs:DeleteMessage",
                "sqs:GetQueueAttributes",
                "sqs:ReceiveMessage",
                "sqs:SendMessage",
            ),
            ("${ErasuresToQueue.Arn}",),
        ),
    ],
    "erasures_api": [
        (("dynamodb:GetItem", "dynamodb:Query"), (CATALOG,)),
        (("dynamodb:PutItem",), (CATALOG,)),
        (("dynamodb:UpdateItem",), (GUARD,)),
        (("sqs:SendMessage",), ("${ErasuresToQueue.Arn}",)),
    ],
    "webhooks_feed": [
        (GET, (CATALOG,)),
        (("dynamodb:Query",), (CATALOG,)),
        (("dynamodb:BatchGetItem", "dynamodb:BatchWriteItem"), (GUARD,)),
        (("dynamodb:Query",), (GUARD,)),
        (("dynamodb:BatchGetItem",), (TIMELINE,)),
        (("kinesis:DescribeStream", "kinesis:DescribeStreamSummary", *LOOK), ("${Events.Arn}",)),
        (("sqs:SendMessage",), ("${WebhooksOutDead.Arn}", "${WebhooksOutQueue.Arn}")),
    ],
    "archive": [
        (("kinesis:DescribeStream", "kinesis:DescribeStreamSummary", *LOOK), ("${Events.Arn}",)),
        (("firehose:PutRecordBatch",), (f"{AWS}:firehose:{HERE}:deliverystream/mepush-archive",)),
        (("sqs:SendMessage",), ("${ArchiveStoreDead.Arn}",)),
    ],
    "webhooks_send": [
        (GET, (CATALOG,)),
        (("dynamodb:Query",), (CATALOG,)),
        (("dynamodb:PutItem",), (CATALOG,)),
        (("dynamodb:BatchWriteItem",), (GUARD,)),
        (("dynamodb:UpdateItem",), (GUARD,)),
        (("dynamodb:Query",), (GUARD,)),
        (
            (
                "sqs:ChangeMessageVisibility",
                "sqs:DeleteMessage",
                "sqs:GetQueueAttributes",
                "sqs:ReceiveMessage",
                "sqs:SendMessage",
            ),
            ("${WebhooksOutQueue.Arn}",),
        ),
        (("events:PutEvents",), ("${BusEvents.Arn}",)),
        (("secretsmanager:GetSecretValue",), (HOOK_SECRETS,)),
    ],
    "webhooks_api": [
        (GET, (CATALOG,)),
        (("dynamodb:Query",), (CATALOG,)),
        (("dynamodb:PutItem",), (CATALOG,)),
        (("dynamodb:DeleteItem",), (CATALOG,)),
        (("dynamodb:Query",), (GUARD,)),
        (("dynamodb:GetItem", "dynamodb:UpdateItem"), (GUARD,)),
        (("sqs:SendMessage",), ("${WebhooksOutQueue.Arn}",)),
        (
            (
                "secretsmanager:CreateSecret",
                "secretsmanager:DeleteSecret",
                "secretsmanager:PutSecretValue",
                "secretsmanager:RestoreSecret",
                "secretsmanager:TagResource",
            ),
            (HOOK_SECRETS,),
        ),
    ],
    "dead_letters": [
        (("dynamodb:PutItem",), (CATALOG,)),
        (GET, (CATALOG,)),
        ((*READ, "dynamodb:UpdateItem"), (GUARD,)),
        (("sqs:SendMessage",), _queues(*Channel)),
        (("sqs:SendMessage",), ("${ReceiptsInQueue.Arn}",)),
        (
            ("sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"),
            _queues(*Channel, dead=True),
        ),
        SCHEDULE,
        PASS_ROLE,
        PUBLISH,
    ],
    "dead_letters_api": [
        (READ, (CATALOG,)),
        (("dynamodb:DeleteItem", "dynamodb:PutItem", "dynamodb:UpdateItem"), (CATALOG,)),
        (("dynamodb:PutItem",), (CATALOG,)),
        (("sqs:SendMessage",), _queues(*Channel)),
        PUBLISH,
    ],
    "watch": [
        (READ, (CATALOG,)),
        (("dynamodb:BatchGetItem", "dynamodb:Query"), (TIMELINE,)),
        (("dynamodb:GetItem", "dynamodb:Query"), (COUNTERS,)),
        (("dynamodb:DeleteItem", "dynamodb:PutItem", "dynamodb:UpdateItem"), (CATALOG,)),
        (("dynamodb:BatchGetItem", "dynamodb:UpdateItem"), (GUARD,)),
        (("dynamodb:DeleteItem", "dynamodb:PutItem"), (COUNTERS,)),
        (("sqs:SendMessage",), _queues(*Channel)),
        TASKS,
        (("sqs:DeleteMessage", "sqs:ReceiveMessage"), ("${SchedulesDead.Arn}", "${TraceDead.Arn}")),
        (("kinesis:PutRecords", *LOOK), ("${Events.Arn}",)),
        (("scheduler:DeleteSchedule", "scheduler:GetSchedule"), SCHEDULE[1]),
        (("scheduler:ListSchedules",), ("*",)),
    ],
    "watch_api": [
        (READ, (CATALOG,)),
        (("dynamodb:GetItem", "dynamodb:Query"), (COUNTERS,)),
        (("dynamodb:GetItem",), (GUARD,)),
        (
            ("sqs:GetQueueAttributes",),
            (
                *_queues(*Channel),
                *_queues(*Channel, dead=True),
                "${SchedulesDead.Arn}",
                "${TraceDead.Arn}",
                "${ReceiptsInDead.Arn}",
                "${WebhooksOutDead.Arn}",
            ),
        ),
        (LOOK, ("${Events.Arn}",)),
        (("scheduler:GetSchedule",), SCHEDULE[1]),
        (("scheduler:ListSchedules",), ("*",)),
    ],
    "trace_api": [
        (("dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Query"), (CATALOG,)),
        (("dynamodb:PutItem",), (CATALOG,)),
        (("dynamodb:Query",), (TIMELINE, COUNTERS)),
    ],
    "recall": [
        (GET, (CATALOG,)),
        (("dynamodb:BatchGetItem", "dynamodb:Query"), (TIMELINE,)),
        (("dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:UpdateItem"), (GUARD,)),
        (("secretsmanager:GetSecretValue",), (SECRETS,)),
        PUBLISH,
    ],
    "manage": [
        ((*READ, "dynamodb:ConditionCheckItem"), (CATALOG,)),
        (("dynamodb:PutItem",), (CATALOG,)),
        (("dynamodb:UpdateItem",), (CATALOG,)),
        (("dynamodb:DeleteItem",), (CATALOG,)),
        (("dynamodb:DeleteItem", "dynamodb:PutItem", "dynamodb:Query"), (GUARD,)),
        (
            (
                "secretsmanager:CreateSecret",
                "secretsmanager:DeleteSecret",
                "secretsmanager:GetSecretValue",
                "secretsmanager:PutSecretValue",
                "secretsmanager:RestoreSecret",
                "secretsmanager:TagResource",
            ),
            (SECRETS,),
        ),
        (("lambda:UpdateEventSourceMapping",), _mappings()),
        (("ses:GetAccount",), ("*",)),
        (("ses:DeleteSuppressedDestination", "ses:ListSuppressedDestinations"), ("*",)),
        (("ses:GetEmailIdentity",), (f"{AWS}:ses:*:${{AWS::AccountId}}:identity/*",)),
        TRY_TEMPLATES,
        SEND_SMS,
    ],
    "campaign": [
        *RUNS,
        (READ, (CATALOG,)),
        (("dynamodb:BatchGetItem", "dynamodb:Query"), (TIMELINE,)),
        ((*ITEM, "dynamodb:BatchWriteItem", "dynamodb:Query"), (GUARD,)),
        (("s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"), ("${Assets.Arn}/runs/*",)),
        SCHEDULE,
        (
            ("sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"),
            ("${CampaignsQueue.Arn}",),
        ),
    ],
    "campaign_api": [
        *RUNS,
        (("dynamodb:GetItem", "dynamodb:Query"), (CATALOG,)),
        (("dynamodb:Query",), (GUARD,)),
        (("s3:PutObject", "s3:PutObjectTagging"), ("${Assets.Arn}/audiences/*",)),
        (("s3:GetObject",), ("${Assets.Arn}/runs/*",)),
        (
            (
                "scheduler:CreateSchedule",
                "scheduler:DeleteSchedule",
                "scheduler:GetSchedule",
                "scheduler:UpdateSchedule",
            ),
            (f"{AWS}:scheduler:{HERE}:schedule/mepush-campaigns/*",),
        ),
    ],
    "describe": [],
    "authorize": [(("dynamodb:GetItem",), (CATALOG,))],
}


def _sorted(statements: list[Statement]) -> list[Statement]:
    return sorted((tuple(sorted(actions)), tuple(sorted(resources))) for actions, resources in statements)


def _of(prod: Template, function: str) -> list[dict[str, Any]]:
    return prod.statements(f"{FUNCTIONS[function].construct_id}Role")


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_may_do_what_it_needs_and_nothing_else(prod: Template, function: str) -> None:
    logs: Statement = (
        ("logs:CreateLogStream", "logs:PutLogEvents"),
        (f"${{{FUNCTIONS[function].construct_id}Logs.Arn}}",),
    )
    found: list[Statement] = [(tuple(each["Action"]), tuple(each["Resource"])) for each in _of(prod, function)]
    assert _sorted(found) == _sorted([logs, *EXPECTED[function]])


def test_no_statement_allows_a_wildcard_of_actions(prod: Template) -> None:
    statements = [each for role in prod.of("IAM::Role") for each in prod.statements(role)]
    assert len(statements) > len(FUNCTIONS)
    assert {each["Effect"] for each in statements} == {"Allow"}
    assert [action for each in statements for action in each["Action"] if "*" in action] == []


def test_few_actions_have_no_resource(prod: Template) -> None:
    statements = [each for role in prod.of("IAM::Role") for each in prod.statements(role)]
    found = [each["Action"] for each in statements if "*" in each["Resource"]]
    # AWS lets nobody name a resource for them (Service Authorization Reference).
    assert sorted(found) == [
        *[["scheduler:ListSchedules"]] * 3,
        ["ses:CreateExportJob", "ses:GetExportJob", "ses:ListExportJobs"],
        ["ses:GetAccount"],
        ["ses:ListSuppressedDestinations", "ses:DeleteSuppressedDestination"],
    ]


def test_every_role_has_only_its_own_policy_and_its_own_service(prod: Template) -> None:
    roles = prod.of("IAM::Role")
    scheduled = {"SchedulesRole", "WatchScheduleRole", "PullingScheduleRole", "MailboxesScheduleRole"}
    assert len(roles) == len(FUNCTIONS) + len(scheduled) + 1
    for id, role in roles.items():
        assert "ManagedPolicyArns" not in role.properties
        (trust,) = role.properties["AssumeRolePolicyDocument"]["Statement"]
        service = "scheduler" if id in scheduled else "firehose" if id == "ArchiveStoreRole" else "lambda"
        assert trust["Principal"] == {"Service": f"{service}.amazonaws.com"}


def test_each_function_runs_under_its_own_role(prod: Template) -> None:
    roles = {name: function.properties["Role"] for name, function in prod.functions().items()}
    assert roles == {name: f"${{{spec.construct_id}Role.Arn}}" for name, spec in FUNCTIONS.items()}


@pytest.mark.parametrize("function", ["ingest", "ingest_events", "dispatch_email", "dispatch_sms", "dispatch_wecom"])
def test_the_schedules_role_is_passed_to_the_scheduler_only(prod: Template, function: str) -> None:
    (statement,) = [each for each in _of(prod, function) if each["Action"] == ["iam:PassRole"]]
    assert statement["Condition"] == {"StringEquals": {"iam:PassedToService": "scheduler.amazonaws.com"}}


@pytest.mark.parametrize("function", ["dispatch_email", "dispatch_sms", "dispatch_wecom"])
def test_dispatchers_read_health_alone_and_write_shifts_alone(prod: Template, function: str) -> None:
    found = [each for each in _of(prod, function) if "dynamodb:LeadingKeys" in str(each.get("Condition"))]
    keys = {each["Action"][0]: (each["Resource"], each["Condition"]["ForAllValues:StringLike"]) for each in found}
    assert keys == {
        "dynamodb:Query": ([COUNTERS], {"dynamodb:LeadingKeys": ["health#*", "conversion#*"]}),
        "dynamodb:PutItem": ([CATALOG], {"dynamodb:LeadingKeys": ["shift#*", "audit#*"]}),
    }


@pytest.mark.parametrize(
    ("function", "channel"),
    [
        *(("dispatch_email", "email"), ("dispatch_sms", "sms"), ("dispatch_wecom", "wecom"), ("recall", "wecom")),
        *(("callbacks", "wecom"), ("mailboxes", "email"), ("pulling", "sms"), ("receipts", "wecom sms")),
    ],
)
def test_secrets_are_read_by_the_channel_that_they_are_labelled_with(
    prod: Template, function: str, channel: str
) -> None:
    found = [each["Condition"] for each in _of(prod, function) if each["Resource"] == [SECRETS]]
    # Those of before there were labels have none: for them the condition holds.
    label = "secretsmanager:ResourceTag/mepush:channel"
    assert found == [{"StringEqualsIfExists": {label: each}} for each in channel.split()]


def test_only_those_functions_and_the_one_that_writes_them_read_secrets(prod: Template) -> None:
    readers = {f for f in FUNCTIONS for each in _of(prod, f) if "secretsmanager:GetSecretValue" in each["Action"]}
    senders = {"dispatch_email", "dispatch_sms", "dispatch_wecom", "webhooks_send"}
    assert readers == senders | {"recall", "receipts", "manage", "callbacks", "mailboxes", "pulling"}


def test_who_takes_receipts_reaches_of_the_guard_what_may_fall_back_and_tokens_alone(prod: Template) -> None:
    (statement,) = [each for each in _of(prod, "receipts") if each["Resource"] == [GUARD]]
    keys = {"dynamodb:LeadingKeys": ["awaiting#*", "token#*"]}
    assert statement["Condition"] == {"ForAllValues:StringLike": keys}


def test_who_reads_mailboxes_writes_how_far_and_nothing_else(prod: Template) -> None:
    (statement,) = [each for each in _of(prod, "mailboxes") if "dynamodb:PutItem" in each["Action"]]
    assert statement["Condition"] == {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["mailbox#*"]}}


def test_webhooks_write_endpoints_and_what_happened_to_them_alone(prod: Template) -> None:
    for function in ("webhooks_send", "webhooks_api"):
        [statement] = [each for each in _of(prod, function) if "dynamodb:PutItem" in each["Action"]]
        keys = statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]
        assert keys == ["webhooks#*", "audit#*"]


def test_the_watch_writes_its_marks_and_no_counts(prod: Template) -> None:
    writes = [each for each in _of(prod, "watch") if each["Resource"] == [COUNTERS]]
    (statement,) = [each for each in writes if "dynamodb:PutItem" in each["Action"]]
    assert statement["Condition"] == {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["watch#*"]}}


def test_the_trace_writes_batches_among_what_it_set_aside_only(prod: Template) -> None:
    writes = [each for each in _of(prod, "trace") if each["Resource"] == [COUNTERS]]
    (statement,) = [each for each in writes if "dynamodb:BatchWriteItem" in each["Action"]]
    assert statement["Condition"] == {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["unkept#*"]}}


def test_the_schedule_of_the_watch_runs_the_watch_only(prod: Template) -> None:
    (statement,) = prod.statements("WatchScheduleRole")
    assert (statement["Action"], statement["Resource"]) == (["lambda:InvokeFunction"], ["${WatchFunction.Arn}"])
    (trust,) = prod.of("IAM::Role")["WatchScheduleRole"].properties["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Condition"]["ArnEquals"] == {"aws:SourceArn": f"{AWS}:scheduler:{HERE}:schedule-group/default"}


@pytest.mark.parametrize("function", ["dead_letters", "dead_letters_api", "watch"])
def test_dead_letters_are_written_among_their_own_kind_only(prod: Template, function: str) -> None:
    writes = [each for each in _of(prod, function) if "dynamodb:PutItem" in each["Action"]]
    statement, *others = [each for each in writes if each["Resource"] == [CATALOG]]
    assert statement["Condition"] == {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["dead#*", "letter#*"]}}
    audit = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["audit#*"]}}
    assert [each["Condition"] for each in others] == ([audit] if function == "dead_letters_api" else [])


def test_no_function_can_take_a_record_out_of_the_audit_log(prod: Template) -> None:
    for function in FUNCTIONS:
        for statement in _of(prod, function):
            if CATALOG in statement["Resource"] and {"dynamodb:DeleteItem", "dynamodb:UpdateItem"} & set(
                statement["Action"]
            ):
                keys = statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]
                assert set(keys) in (
                    {"tenant#*", "suppressed#*"},
                    {"suppressing#*"},
                    # An erasure takes a person out of records, which stay.
                    *([{"audit#*", "suppressing#*"}] if statement["Action"] == ["dynamodb:UpdateItem"] else []),
                    {"suppressed#*", "suppressing#*"},
                    {"dead#*", "letter#*"},
                    {"tenant#*"},
                    {"webhooks#*"},
                )


def test_schedules_reach_the_queues_and_their_own_dead_letters(prod: Template) -> None:
    (statement,) = prod.statements("SchedulesRole")
    assert statement["Action"] == ["sqs:SendMessage"]
    assert sorted(statement["Resource"]) == sorted(
        [*_queues(*Channel), "${CampaignsQueue.Arn}", "${SchedulesDead.Arn}"]
    )


def test_only_schedules_of_the_groups_take_the_schedules_role(prod: Template) -> None:
    (trust,) = prod.of("IAM::Role")["SchedulesRole"].properties["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Condition"] == {
        "StringEquals": {"aws:SourceAccount": "${AWS::AccountId}"},
        "ArnEquals": {
            "aws:SourceArn": [f"{AWS}:scheduler:{HERE}:schedule-group/mepush{end}" for end in ("", "-campaigns")]
        },
    }


def test_only_this_api_and_the_rule_of_the_bus_call_functions(prod: Template) -> None:
    permissions = list(prod.of("Lambda::Permission").values())
    (rule,) = [each for each in permissions if each.properties["Principal"] == "events.amazonaws.com"]
    assert rule.properties["FunctionName"] == "${IngestEventsFunction.Arn}"
    assert rule.properties["SourceArn"] == "${BusSend.Arn}"
    permissions.remove(rule)
    allowed = {each.properties["FunctionName"]: each.properties["SourceArn"] for each in permissions}
    api = f"{AWS}:execute-api:{HERE}:${{ApiHttp}}"
    assert allowed == {
        "${AuthorizeLive}": f"{api}/authorizers/${{ApiAuthorizer}}",
        "${CallbacksFunction.Arn}": f"{api}/*/*/*",
        "${IngestLive}": f"{api}/*/*/*",
        "${VerifyLive}": f"{api}/*/*/*",
        "${ManageFunction.Arn}": f"{api}/*/*/*",
        "${DeadLettersApiFunction.Arn}": f"{api}/*/*/*",
        "${TraceApiFunction.Arn}": f"{api}/*/*/*",
        "${PreferencesFunction.Arn}": f"{api}/*/*/*",
        "${EngagementFunction.Arn}": f"{api}/*/*/*",
        "${RecallFunction.Arn}": f"{api}/*/*/*",
        "${WatchApiFunction.Arn}": f"{api}/*/*/*",
        "${CampaignApiFunction.Arn}": f"{api}/*/*/*",
        "${DescribeFunction.Arn}": f"{api}/*/*/*",
        "${WebhooksApiFunction.Arn}": f"{api}/*/*/*",
        "${ErasuresApiFunction.Arn}": f"{api}/*/*/*",
    }
    assert {each.properties["Principal"] for each in permissions} == {"apigateway.amazonaws.com"}


@pytest.mark.parametrize(
    ("type", "count"), [("SQS::QueuePolicy", 30), ("S3::BucketPolicy", 3), ("SNS::TopicPolicy", 1)]
)
def test_nothing_is_reached_without_tls(prod: Template, prod_data: Template, type: str, count: int) -> None:
    policies = [*prod.of(type).values(), *prod_data.of(type).values()]
    assert len(policies) == count
    for policy in policies:
        denied = [each for each in policy.properties["PolicyDocument"]["Statement"] if each["Effect"] == "Deny"]
        assert [each["Condition"] for each in denied] == [{"Bool": {"aws:SecureTransport": "false"}}]
        assert denied[0]["Principal"] in ({"AWS": "*"}, "*")


def test_topics_of_this_account_put_receipts_on_their_queue_if_they_are_named_for_it(prod: Template) -> None:
    policies = [each.properties["PolicyDocument"]["Statement"] for each in prod.of("SQS::QueuePolicy").values()]
    found = [each for some in policies for each in some if each["Principal"] == {"Service": "sns.amazonaws.com"}]
    (allowed,) = found
    assert (allowed["Effect"], allowed["Action"], allowed["Resource"]) == (
        *("Allow", "sqs:SendMessage", "${ReceiptsInQueue.Arn}"),
    )
    assert allowed["Condition"] == {
        "StringEquals": {"aws:SourceAccount": "${AWS::AccountId}"},
        "ArnLike": {"aws:SourceArn": f"{AWS}:sns:*:${{AWS::AccountId}}:mepush-receipts*"},
    }


def test_only_alarms_of_this_account_publish_to_their_topic(prod: Template) -> None:
    (policy,) = prod.of("SNS::TopicPolicy").values()
    (allowed,) = [each for each in policy.properties["PolicyDocument"]["Statement"] if each["Effect"] == "Allow"]
    assert allowed["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert allowed["Action"] == "sns:Publish"
    assert allowed["Condition"] == {
        "StringEquals": {"aws:SourceAccount": "${AWS::AccountId}"},
        "ArnLike": {"aws:SourceArn": f"{AWS}:cloudwatch:{HERE}:alarm:mepush-*"},
    }
