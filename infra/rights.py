"""The actions that functions are given, and the resources that have no name of their own until the platform runs."""

from collections.abc import Mapping

from aws_cdk import ArnFormat, Stack
from aws_cdk import aws_s3 as s3

from infra.functions import Wildcard
from infra.stages import Stage
from shared.model.words import Channel
from shared.rights import CHANNEL_TAG

# Transactions are allowed by the rights of their single actions, batches by their own.
READ = ("dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query")
CATALOG_READ = (*READ, "dynamodb:ConditionCheckItem")
CONFIGURED = {
    "ForAllValues:StringLike": {
        "dynamodb:LeadingKeys": ["tenant#*", "tenants", "key#*", "suppressed#*", "suppressing#*", "audit#*"]
    }
}
"""The partitions of the catalog that `manage` writes. That it only adds to the audit log, IAM cannot say: no condition
knows whether an item is there already (Service Authorization Reference, DynamoDB)."""
DELETE = ("dynamodb:DeleteItem",)
TENANTS = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["tenant#*", "suppressed#*"]}}
"""The partitions of the catalog that hold what people configure, and whom they stop messages to: not the audit log."""
ITEM_READ = ("dynamodb:GetItem",)
PUT = ("dynamodb:PutItem",)
LETTER_WRITE = ("dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem")
LETTERS = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["dead#*", "letter#*"]}}
"""The partitions of the catalog that hold dead letters: nothing that people configure."""
QUERY = ("dynamodb:Query",)
LOOK_UP = ("dynamodb:GetItem", "dynamodb:Query")
BATCH_READ = ("dynamodb:BatchGetItem", "dynamodb:Query")
HEALTH = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["health#*"]}}
"""The partitions of the counters' table that say what became of the tries through accounts."""
SHIFTS = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["shift#*", "audit#*"]}}
"""The partitions of the catalog that hold accounts' shares, and of the audit log, in which every shift is recorded."""
AUDIT = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["audit#*"]}}
"""The partitions of the catalog that hold the audit log."""
CAMPAIGNS = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["tenant#*", "audit#*"]}}
"""The partitions of the catalog that hold campaigns and runs, and the audit log."""
RUNS = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["tenant#*"]}}
"""The partitions of the catalog that hold runs, and which of them are not over."""
ITEM_WRITE = ("dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem")
CLOSE = ("dynamodb:BatchGetItem", "dynamodb:UpdateItem")
RECALL = (*CLOSE, "dynamodb:GetItem")
MARK = ("dynamodb:PutItem", "dynamodb:DeleteItem")
MARKS = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["watch#*"]}}
"""The partitions of the counters' table that hold marks of the watch: no counts."""
SETTLE = ("dynamodb:GetItem", "dynamodb:UpdateItem", "dynamodb:BatchGetItem", "dynamodb:Query")
DISPATCH = (*SETTLE, "dynamodb:BatchWriteItem")
RUN_STATE = (*ITEM_WRITE, "dynamodb:BatchWriteItem", "dynamodb:Query")
TIMELINE_WRITE = ("dynamodb:BatchGetItem", "dynamodb:BatchWriteItem")
COUNTERS_WRITE = ("dynamodb:GetItem", "dynamodb:UpdateItem")
SET_ASIDE = ("dynamodb:BatchWriteItem", "dynamodb:Query")
ASIDE = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["unkept#*"]}}
"""The partitions of the counters' table that hold events which the timeline did not take."""

SEND = ("sqs:SendMessage",)
CONSUME = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes")
PUBLISH = ("kinesis:PutRecords",)
FOLLOW = (
    "kinesis:DescribeStream",
    "kinesis:DescribeStreamSummary",
    "kinesis:GetRecords",
    "kinesis:GetShardIterator",
    "kinesis:ListShards",
)
LOOK = ("kinesis:GetRecords", "kinesis:GetShardIterator", "kinesis:ListShards")
EMPTY = ("sqs:ReceiveMessage", "sqs:DeleteMessage")
DEPTH = ("sqs:GetQueueAttributes",)
LIMIT = ("lambda:UpdateEventSourceMapping",)
SCHEDULE = ("scheduler:CreateSchedule",)
CAMPAIGN_SCHEDULE = (
    "scheduler:CreateSchedule",
    "scheduler:DeleteSchedule",
    "scheduler:GetSchedule",
    "scheduler:UpdateSchedule",
)
READ_SCHEDULE = ("scheduler:GetSchedule",)
OVERDUE = ("scheduler:GetSchedule", "scheduler:DeleteSchedule")
LIST_SCHEDULES = ("scheduler:ListSchedules",)
PASS_ROLE = ("iam:PassRole",)

# HeadObject goes by the right to read. Without the right to list, S3 says 403 of an object that is not there and not
# 404 (S3 API reference, HeadObject and GetObject, "Permissions").
FILE_UPLOAD = ("s3:GetObject", "s3:PutObject")
AUDIENCE_READ = ("s3:GetObject", "s3:GetObjectVersion")
RUN_FILES = ("s3:GetObject", "s3:GetObjectVersion", "s3:PutObject")
FILE_FORM = ("s3:PutObject", "s3:PutObjectTagging")
FILE_READ = ("s3:GetObjectVersion",)
FILE_FIND = ("s3:GetObject",)
FILE_LIST = ("s3:ListBucket",)
FILE_LIST_VERSIONS = ("s3:ListBucket", "s3:ListBucketVersions")

SECRET_READ = ("secretsmanager:GetSecretValue",)
SECRET_WRITE = (
    "secretsmanager:CreateSecret",
    "secretsmanager:PutSecretValue",
    "secretsmanager:GetSecretValue",
    "secretsmanager:DeleteSecret",
    # A secret that waits for its deletion is taken back; a new one is labelled with its tenant and account.
    "secretsmanager:RestoreSecret",
    "secretsmanager:TagResource",
)
EMAIL_SEND = ("ses:SendEmail", "ses:SendRawEmail")
EMAIL_ACCOUNT = ("ses:GetAccount",)
EMAIL_IDENTITY = ("ses:GetEmailIdentity",)
SMS_SEND = ("sms-voice:SendTextMessage",)

_SENDERS = "accounts name identities that people make later, in a region of their choice"


def secrets_of(channel: Channel) -> Mapping[str, Mapping[str, str]]:
    """The secrets of a channel's accounts, by their tag; and those that were saved before there was one."""
    return {"StringEqualsIfExists": {f"secretsmanager:ResourceTag/{CHANNEL_TAG}": channel.value}}


def secrets(stack: Stack, stage: Stage) -> Wildcard:
    """The secrets of the accounts, which people make while the platform runs."""
    arn = stack.format_arn(
        service="secretsmanager",
        resource="secret",
        resource_name=f"{stage.prefix}/*",
        arn_format=ArnFormat.COLON_RESOURCE_NAME,
    )
    return _wildcard(stack, arn, "the accounts' secrets come and go while the platform runs; all are under one prefix")


def email_identities(stack: Stack) -> Wildcard:
    """SES identities of this AWS account, in any region."""
    return _email(stack, "identity")


def email_senders(stack: Stack) -> list[Wildcard]:
    """SES identities and configuration sets of this AWS account, in any region."""
    return [email_identities(stack), _email(stack, "configuration-set")]


def sms_senders(stack: Stack) -> list[Wildcard]:
    """Origination identities of this AWS account, in any region."""
    return [
        _wildcard(
            stack,
            stack.format_arn(service="sms-voice", region="*", resource=resource, resource_name="*"),
            _SENDERS,
        )
        for resource in ("phone-number", "pool", "sender-id")
    ]


def schedules(stack: Stack, arn: str) -> Wildcard:
    """The schedules of a group."""
    return _wildcard(stack, arn, "a schedule is named after the envelope that it holds; all are in one group")


def _email(stack: Stack, resource: str) -> Wildcard:
    return _wildcard(stack, stack.format_arn(service="ses", region="*", resource=resource, resource_name="*"), _SENDERS)


def files(bucket: s3.Bucket, prefix: str) -> Wildcard:
    """The objects under a prefix of a bucket."""
    resource = bucket.node.default_child
    if not isinstance(resource, s3.CfnBucket):
        raise TypeError("a bucket of the stack's own is needed")
    logical_id = Stack.of(bucket).get_logical_id(resource)
    return Wildcard(
        bucket.arn_for_objects(f"{prefix}*"),
        f"<{logical_id}.Arn>/{prefix}*",
        "files come and go while the platform runs; all are under one prefix",
    )


def anything(reason: str) -> Wildcard:
    """For actions that know no resources."""
    return Wildcard("*", "*", reason)


def _wildcard(stack: Stack, arn: str, reason: str) -> Wildcard:
    # As cdk-nag writes it: references in angle brackets, the rest as it is.
    finding = (
        arn.replace(stack.partition, "<AWS::Partition>")
        .replace(stack.region, "<AWS::Region>")
        .replace(stack.account, "<AWS::AccountId>")
    )
    return Wildcard(arn, finding, reason)
