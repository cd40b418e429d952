"""Rights as data: what a function may do, and on which part of the platform; `infra/rights.py` grants them."""

from collections.abc import Mapping

from msgspec import Struct

Conditions = Mapping[str, Mapping[str, str | list[str]]]
"""Of a statement of IAM: operators, keys, and what these must match."""


class Outside(Struct, frozen=True):
    """What people set up beside the platform, in this AWS account and any region: all of a kind."""

    service: str
    """`service` and `kind`: as in an ARN, such as `ses` and `identity`."""
    kind: str
    reason: str
    """Why none can be named in full."""
    name: str = "*"
    """Of those with such names alone, `*` standing for any characters."""


class Right(Struct, frozen=True):
    """One statement.

    | name | what it is |
    |---|---|
    | `table.catalog` `table.guard` `table.timeline` `table.counters` | the tables |
    | `queue.<channel>.<class>`, `dead.<channel>.<class>` | queues of envelopes, and their dead-letter queues |
    | `mapping.<channel>.<class>` | what hands a queue's envelopes to its function |
    | `campaigns.queue` | tasks of campaigns |
    | `receipts.queue` | receipts |
    | `webhooks.queue` | deliveries of webhooks |
    | `erasures.queue` `erasures.dead` | tasks of erasures, and those that were given up |
    | `campaigns.dead` `events.dead` `receipts.dead` `schedules.dead` | dead-letter queues |
    | `trace.dead` `webhooks.dead` `archive.dead` | and more of them |
    | `schedules.messages` `schedules.campaigns` `schedules.role` | schedules, and the role that they fire with |
    | `stream` | events of messages |
    | `archive` | the delivery stream of the archive, in stages that keep one |
    | `bus` | the deployment's own bus |
    | `bucket` | to list what is in it |
    | `bucket.attachments` `bucket.audiences` `bucket.runs` | files, by their prefix |
    | `secrets` | secrets of accounts |
    | `secrets.webhooks` | secrets of webhooks |
    | `*` | for actions that know no resources |
    """

    actions: tuple[str, ...]
    on: tuple[str | Outside, ...]
    """Parts of the platform by their names, `*` standing for any characters."""
    conditions: Conditions | None = None


def allow(actions: tuple[str, ...], *on: str | Outside, conditions: Conditions | None = None) -> Right:
    """The right to do `actions` on parts of the platform, see `Right`."""
    return Right(actions, on, conditions)


def table(name: str, *actions: str, keys: tuple[str, ...] = ()) -> Right:
    """The right to do actions such as `GetItem` on a table. keys: the only partitions, such as `dead#*`, or all.

    Transactions are allowed by the rights of their single actions, batches by their own.
    """
    limits: Conditions | None = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": list(keys)}} if keys else None
    return Right(tuple(f"dynamodb:{action}" for action in actions), (f"table.{name}",), limits)


READ = ("GetItem", "BatchGetItem", "Query")
"""Of a table."""
SETTLE = ("GetItem", "UpdateItem", "BatchGetItem", "Query")
"""Of the ledger: to say what becomes of messages."""
LETTERS = ("dead#*", "letter#*")
"""The partitions of the catalog that hold dead letters: nothing that people configure."""
LETTER_WRITE = table("catalog", "PutItem", "UpdateItem", "DeleteItem", keys=LETTERS)

SEND = ("sqs:SendMessage",)
CONSUME = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes")
LOOK = ("kinesis:GetRecords", "kinesis:GetShardIterator", "kinesis:ListShards")
PUBLISH = allow(("kinesis:PutRecords",), "stream")
MAKE_SCHEDULES = allow(
    ("iam:PassRole",),
    "schedules.role",
    conditions={"StringEquals": {"iam:PassedToService": "scheduler.amazonaws.com"}},
)
LIST_SCHEDULES = allow(("scheduler:ListSchedules",), "*")
SENDING = (
    allow(SEND, "queue.*"),
    allow(("scheduler:CreateSchedule",), "schedules.messages"),
    MAKE_SCHEDULES,
    PUBLISH,
)
"""Of who puts envelopes on queues now or, by a schedule, later; and says so in the stream."""

# HeadObject goes by the right to read. Without the right to list, S3 says 403 of an object that is not there and not
# 404 (S3 API reference, HeadObject and GetObject, "Permissions").
FIND = ("s3:GetObject",)
LIST_FILES = allow(("s3:ListBucket",), "bucket")
LIST_VERSIONS = allow(("s3:ListBucket", "s3:ListBucketVersions"), "bucket")

CHANNEL_TAG = "mepush:channel"
"""The label of a secret that says of which channel its account is."""


def read_secrets(channel: str) -> Right:
    """The right to the secrets of a channel's accounts, by their tag; and to those saved before there was one."""
    tagged: dict[str, str | list[str]] = {f"secretsmanager:ResourceTag/{CHANNEL_TAG}": channel}
    return allow(("secretsmanager:GetSecretValue",), "secrets", conditions={"StringEqualsIfExists": tagged})
