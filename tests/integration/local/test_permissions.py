"""The local stack refuses functions what their roles do not allow, as IAM does."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.specs import FUNCTIONS
from local.permissions import running
from local.stack import LocalStack
from shared.aws.clients import client
from shared.aws.secrets import SecretStore
from shared.model.words import Channel

pytestmark = pytest.mark.xdist_group("local-stack")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    with LocalStack(threads=False, memory=True, log_file=Path(tmp_path_factory.mktemp("logs")) / "log") as running:
        yield running


def refused(function: str, service: str, operation: str, asked: Mapping[str, Any]) -> bool:
    with running(function):
        try:
            getattr(client(service), operation)(**asked)
        except ClientError as error:
            return error.response["Error"]["Code"] == "AccessDeniedException"
    return False


def put(stack: LocalStack, pk: str) -> dict[str, Any]:
    return {"TableName": stack.outputs["CatalogTable"], "Item": {"pk": {"S": pk}, "sk": {"S": "x"}}}


def transacted(stack: LocalStack, *pks: str) -> dict[str, Any]:
    return {"TransactItems": [{"Put": put(stack, pk)} for pk in pks]}


@pytest.mark.parametrize(
    ("function", "pks", "allowed"),
    [
        ("manage", ["tenant#t"], True),
        ("manage", ["audit#t#2026-01"], True),
        ("manage", ["dead#t#sms.marketing"], False),
        ("dead_letters", ["dead#t#sms.marketing"], True),
        ("dead_letters", ["tenant#t"], False),
        ("dispatch_sms", ["shift#t", "audit#t#2026-01"], True),
        ("dispatch_sms", ["shift#t", "key#k"], False),
        ("ingest", ["tenant#t"], False),
        ("trace_api", ["tenant#t"], False),
        ("describe", ["tenant#t"], False),
    ],
)
def test_a_transaction_needs_the_right_to_each_of_its_keys(
    stack: LocalStack, function: str, pks: list[str], allowed: bool
) -> None:
    asked = transacted(stack, *pks)
    assert refused(function, "dynamodb", "transact_write_items", asked) is not allowed


def test_the_same_holds_for_single_items_for_threads_and_for_other_services(stack: LocalStack) -> None:
    assert refused("dead_letters", "dynamodb", "put_item", put(stack, "tenant#t"))
    assert not refused("dead_letters", "dynamodb", "put_item", put(stack, "letter#t#1"))
    queue = {"QueueUrl": stack.outputs["CampaignsUrl"], "MessageBody": "{}"}
    assert refused("ingest", "sqs", "send_message", queue)
    assert not refused("watch", "sqs", "send_message", queue)
    denied = pytest.raises(ClientError, match="ingest is not authorized to perform: sqs:SendMessage")
    with running("ingest"), ThreadPoolExecutor(1) as pool, denied:
        pool.submit(client("sqs").send_message, **queue).result()
    client("sqs").send_message(**queue)  # the stack's own, and a test's


@pytest.mark.parametrize(
    ("function", "operation", "template", "allowed"),
    [
        ("dispatch_email", "SendBulkEmail", "mepush-raw-v1-html", True),
        ("dispatch_email", "SendBulkEmail", "theirs", False),
        ("dispatch_email", "TestRenderEmailTemplate", "mepush-raw-v1-html", True),
        ("dispatch_email", "CreateEmailTemplate", "theirs", False),
        ("dispatch_email", "DeleteEmailTemplate", "mepush-raw-v1-html", False),
        ("manage", "CreateEmailTemplate", "mepush-raw-v1-html", True),
        ("manage", "SendBulkEmail", "mepush-raw-v1-html", False),
        ("dispatch_sms", "SendBulkEmail", "mepush-raw-v1-html", False),
    ],
)
def test_functions_use_the_platforms_own_ses_templates_alone(
    stack: LocalStack, function: str, operation: str, template: str, allowed: bool
) -> None:
    sending = {
        "FromEmailAddress": "=?utf-8?b?5b6u5o6o?= <n@example.com>",
        "ConfigurationSetName": "mepush",
        "DefaultContent": {"Template": {"TemplateName": template}},
    }
    asked = sending if operation == "SendBulkEmail" else {"TemplateName": template}
    with running(function), nullcontext() if allowed else pytest.raises(ClientError, match=f"ses:{operation}"):
        stack.permissions.check("sesv2", operation, asked)


@pytest.mark.parametrize("function", ["dispatch_email", "dispatch_sms", "dispatch_wecom", "recall"])
def test_a_channels_secrets_are_not_read_by_another(stack: LocalStack, function: str) -> None:
    secrets, prefix = client("secretsmanager"), stack.outputs["SecretPrefix"]
    store = SecretStore(secrets, prefix)
    own = FUNCTIONS[function].channels[0]
    for channel in Channel:
        version = store.put("acme", f"{function}-{channel}", {"password": "x"}, channel)
        asked = {"SecretId": f"{prefix}/acme/account/{function}-{channel}", "VersionId": f"{version:032d}"}
        assert refused(function, "secretsmanager", "get_secret_value", asked) is (channel is not own)
    secrets.create_secret(Name=f"{prefix}/acme/account/{function}", SecretString="{}")
    assert not refused(
        function, "secretsmanager", "get_secret_value", {"SecretId": f"{prefix}/acme/account/{function}"}
    )
