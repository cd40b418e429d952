"""Plays IAM for the functions: what their roles allow goes on, all else is refused as AWS refuses it.

It knows what our policies consist of: statements that allow, wildcards in resources, and the conditions that we use. A
transaction is allowed by the rights of its single actions (DynamoDB developer guide, "Using IAM with transactions").
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from email.utils import parseaddr
from fnmatch import fnmatchcase
from typing import Any
from unittest.mock import patch

from botocore.exceptions import ClientError

from local.deployment import ACCOUNT, REGION, Statement

_running: ContextVar[str] = ContextVar("running")
"""The function whose code runs here; none for the local stack itself."""

_SINGLE = {"Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem", "ConditionCheck": "ConditionCheckItem"}
_WITHOUT_RESOURCE = frozenset({"scheduler:ListSchedules", "ses:GetAccount"})


@dataclass(frozen=True, slots=True)
class Need:
    """What one request needs.

    resource: its ARN; empty where the request does not name it. keys: the partition keys that it names. context: the
    other condition keys.
    """

    action: str
    resource: str
    keys: frozenset[str] = frozenset()
    context: Mapping[str, str] = field(default_factory=dict)


def needs(service: str, operation: str, asked: Mapping[str, Any]) -> Iterator[Need]:
    """What a request needs (Service Authorization Reference). asked: its parameters, as boto3 has them."""
    find = _NEEDS.get(service)
    if find is None:
        raise LookupError(f"what {service}.{operation} needs is not known here")
    yield from find(operation, asked)


class Permissions:
    """Refuses what the running function's role does not allow. statements: by the function's logical name.

    tags: those of a resource, by its ARN.
    """

    def __init__(
        self, statements: Mapping[str, tuple[Statement, ...]], tags: Callable[[str], Mapping[str, str]]
    ) -> None:
        self._statements = statements
        self._tags = tags

    def check(self, service: str, operation: str, asked: Mapping[str, Any]) -> None:
        """Raises: ClientError as AWS does if the role of the function that asks does not allow it."""
        name = _running.get("")
        if name not in self._statements:
            return
        for need in needs(service, operation, asked):
            if not any(self._allows(statement, need) for statement in self._statements[name]):
                message = f"{name} is not authorized to perform: {need.action} on resource: {need.resource}"
                if need.keys:
                    message += f" with keys {', '.join(sorted(need.keys)[:5])}"
                raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": message}}, operation)

    def _allows(self, statement: Statement, need: Need) -> bool:
        return (
            need.action in statement.actions
            and self._holds(statement.conditions, need)
            and any(not need.resource or fnmatchcase(need.resource, each) for each in statement.resources)
        )

    def _holds(self, conditions: Mapping[str, Mapping[str, Any]], need: Need) -> bool:
        return all(
            self._operator(operator, key, [wanted] if isinstance(wanted, str) else wanted, need)
            for operator, keys in conditions.items()
            for key, wanted in keys.items()
        )

    def _operator(self, operator: str, key: str, wanted: list[str], need: Need) -> bool:
        if operator == "StringEqualsIfExists" and key.startswith("secretsmanager:ResourceTag/"):
            with running(""):
                return self._tags(need.resource).get(key.partition("/")[2], wanted[0]) in wanted
        if (operator, key) == ("ForAllValues:StringLike", "dynamodb:LeadingKeys"):
            return all(any(fnmatchcase(value, pattern) for pattern in wanted) for value in need.keys)
        if operator == "StringEquals":
            return need.context.get(key) in wanted
        raise LookupError(f"the local stack does not know the condition {operator} of {key}")


@contextmanager
def running(name: str) -> Iterator[None]:
    """Have what is asked of AWS within the block, in this thread and those of its pools, be asked by a function.

    name: its logical name; empty for the local stack itself.
    """
    token = _running.set(name)
    try:
        yield
    finally:
        _running.reset(token)


@contextmanager
def followed() -> Iterator[None]:
    """Have threads of pools know for whom they work, within the block."""
    original = ThreadPoolExecutor.submit

    def submit(pool: ThreadPoolExecutor, call: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        return original(pool, copy_context().run, call, *args, **kwargs)

    with patch.object(ThreadPoolExecutor, "submit", submit):
        yield


def _arn(service: str, resource: str, region: str = REGION) -> str:
    return f"arn:aws:{service}:{region}:{ACCOUNT}:{resource}"


def _table(name: str) -> str:
    return name if name.startswith("arn:") else _arn("dynamodb", f"table/{name}")


def _dynamodb(operation: str, asked: Mapping[str, Any]) -> Iterator[Need]:
    if operation.startswith("TransactWrite"):
        for each in asked["TransactItems"]:
            for kind, action in each.items():
                yield Need(f"dynamodb:{_SINGLE[kind]}", _table(action["TableName"]), _keys([action]))
    elif operation == "BatchGetItem":
        for name, each in asked["RequestItems"].items():
            yield Need("dynamodb:BatchGetItem", _table(name), _keys({"Key": key} for key in each["Keys"]))
    elif operation == "BatchWriteItem":
        for name, requests in asked["RequestItems"].items():
            writes = [write for request in requests for write in request.values()]
            yield Need("dynamodb:BatchWriteItem", _table(name), _keys(writes))
    else:
        yield Need(f"dynamodb:{operation}", _table(asked["TableName"]), _keys([asked]))


def _keys(writes: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """The partition keys of items, of keys, or of a query, whose condition has it as `:pk`."""
    found = []
    for each in writes:
        place = each.get("Key") or each.get("Item")
        if place:
            found.append(place["pk"])
        elif "KeyConditionExpression" in each:
            found.append(each["ExpressionAttributeValues"][":pk"])
    return frozenset(str(key["S"]) for key in found)


def _sqs(operation: str, asked: Mapping[str, Any]) -> Iterator[Need]:
    yield Need(f"sqs:{operation.removesuffix('Batch')}", _arn("sqs", asked["QueueUrl"].rpartition("/")[2]))


def _kinesis(operation: str, asked: Mapping[str, Any]) -> Iterator[Need]:
    name = asked.get("StreamName")
    yield Need(f"kinesis:{operation}", _arn("kinesis", f"stream/{name}") if name else asked.get("StreamARN", ""))


def _scheduler(operation: str, asked: Mapping[str, Any]) -> Iterator[Need]:
    action = f"scheduler:{operation}"
    name = f"schedule/{asked.get('GroupName', 'default')}/{asked.get('Name', '')}"
    yield Need(action, "*" if action in _WITHOUT_RESOURCE else _arn("scheduler", name))
    if "Target" in asked:
        context = {"iam:PassedToService": "scheduler.amazonaws.com"}
        yield Need("iam:PassRole", asked["Target"]["RoleArn"], context=context)


def _secrets(operation: str, asked: Mapping[str, Any]) -> Iterator[Need]:
    secret = asked.get("SecretId") or asked["Name"]
    resource = secret if secret.startswith("arn:") else _arn("secretsmanager", f"secret:{secret}")
    yield Need(f"secretsmanager:{operation}", resource)
    if asked.get("Tags") and operation == "CreateSecret":
        yield Need("secretsmanager:TagResource", resource)


_PUTS = frozenset({"PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"})
_OF_VERSIONS = {
    "GetObject": "GetObjectVersion",
    "HeadObject": "GetObjectVersion",
    "GetObjectTagging": "GetObjectVersionTagging",
    "DeleteObject": "DeleteObjectVersion",
}
"""Operations that need another right for a version (Service Authorization Reference, Amazon S3)."""


def _s3(operation: str, asked: Mapping[str, Any]) -> Iterator[Need]:
    if "Key" not in asked:
        return  # boto3 makes a form out of this; S3 asks for the rights of who signed it when it is used
    resource = f"arn:aws:s3:::{asked['Bucket']}/{asked['Key']}"
    if operation in _PUTS:
        yield Need("s3:PutObject", resource)
        if asked.get("Tagging"):
            yield Need("s3:PutObjectTagging", resource)
        return
    name = _OF_VERSIONS.get(operation, operation) if "VersionId" in asked else operation.replace("Head", "Get")
    yield Need(f"s3:{name}", resource)


def _ses(operation: str, asked: Mapping[str, Any]) -> Iterator[Need]:
    action = f"ses:{operation}"
    if operation == "SendBulkEmail":
        yield Need(action, _arn("ses", f"identity/{parseaddr(asked['FromEmailAddress'])[1]}"))
        yield Need(action, _arn("ses", f"template/{asked['DefaultContent']['Template']['TemplateName']}"))
        if "ConfigurationSetName" in asked:
            yield Need(action, _arn("ses", f"configuration-set/{asked['ConfigurationSetName']}"))
        return
    if "TemplateName" in asked:
        yield Need(action, _arn("ses", f"template/{asked['TemplateName']}"))
        return
    named = asked.get("EmailIdentity") or asked.get("FromEmailAddress")
    yield Need(action, "*" if action in _WITHOUT_RESOURCE else _arn("ses", f"identity/{named}"))


def _sms(operation: str, asked: Mapping[str, Any]) -> Iterator[Need]:
    if operation == "PutMessageFeedback":
        yield Need(f"sms-voice:{operation}", _arn("sms-voice", f"message/{asked['MessageId']}"))
        return
    yield Need(f"sms-voice:{operation}", _arn("sms-voice", f"sender-id/{asked.get('OriginationIdentity')}"))


def _events(operation: str, asked: Mapping[str, Any]) -> Iterator[Need]:
    for entry in asked["Entries"]:
        yield Need(f"events:{operation}", _arn("events", f"event-bus/{entry.get('EventBusName', 'default')}"))


def _firehose(operation: str, asked: Mapping[str, Any]) -> Iterator[Need]:
    yield Need(f"firehose:{operation}", _arn("firehose", f"deliverystream/{asked['DeliveryStreamName']}"))


_NEEDS: Mapping[str, Callable[[str, Mapping[str, Any]], Iterator[Need]]] = {
    "dynamodb": _dynamodb,
    "events": _events,
    "firehose": _firehose,
    "kinesis": _kinesis,
    "pinpoint-sms-voice-v2": _sms,
    "s3": _s3,
    "scheduler": _scheduler,
    "secretsmanager": _secrets,
    "sesv2": _ses,
    "sqs": _sqs,
}
