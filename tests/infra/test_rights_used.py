"""No function is granted what its code cannot ask for, and none lacks a setting that its parts are made from."""

import pytest

from infra.specs import FUNCTIONS
from shared.function import FunctionSpec
from shared.providers.table import providers_of
from tests.infra.reach import Right, general, rights_within_reach, settings_within_reach
from tests.infra.template import Template

CONSUME = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes")
STREAM: set[Right] = {
    *((f"kinesis:{action}", "") for action in ("DescribeStream", "DescribeStreamSummary", "ListShards")),
    *((f"kinesis:{action}", "") for action in ("GetRecords", "GetShardIterator")),
    ("sqs:SendMessage", "dead letters"),
}
LAMBDAS_OWN: dict[str, set[Right]] = {
    **{f"dispatch_{channel}": {(action, "queues") for action in CONSUME} for channel in ("email", "sms", "wecom")},
    "campaign": {(action, "queues") for action in CONSUME},
    "receipts": {(action, "queues") for action in CONSUME},
    "dead_letters": {(action, "dead letters") for action in CONSUME},
    "webhooks_send": {(action, "queues") for action in CONSUME},
    "erasures": {(action, "queues") for action in CONSUME},
    "trace": STREAM,
    "webhooks_feed": STREAM,
    "archive": STREAM,
}
"""What the event source mappings of functions do under their roles."""
ANSWERS = {("s3:ListBucket", "bucket"), ("s3:ListBucketVersions", "bucket")}
"""Nobody lists; without these S3 says 403 of an object that is not there and not 404."""


def granted(prod: Template, spec: FunctionSpec) -> set[Right]:
    statements = prod.statements(f"{spec.construct_id}Role")
    found = {general(a, r) for each in statements for a in each["Action"] for r in each["Resource"]}
    return {right for right in found if not right[0].startswith("logs:")}


def within_reach(spec: FunctionSpec) -> frozenset[Right]:
    # Providers are loaded by their names, by the functions that carry them.
    return rights_within_reach(spec.module, tuple(p.module for p in providers_of(*spec.channels)))


@pytest.mark.parametrize(
    ("function", "right"),
    [
        ("authorize", ("dynamodb:PutItem", "Catalog")),
        ("campaign_api", ("dynamodb:BatchGetItem", "Catalog")),
        ("campaign", ("dynamodb:DeleteItem", "Guard")),
        ("describe", ("dynamodb:GetItem", "Catalog")),
        ("dispatch_sms", ("ses:SendEmail", "")),
        ("ingest_events", ("scheduler:DeleteSchedule", "mepush")),
        ("trace_api", ("secretsmanager:GetSecretValue", "")),
    ],
)
def test_what_code_cannot_ask_for_is_told_from_what_it_can(function: str, right: Right) -> None:
    assert right not in within_reach(FUNCTIONS[function])


@pytest.mark.parametrize("function", FUNCTIONS)
def test_what_is_granted_is_asked_for(prod: Template, function: str) -> None:
    spec = FUNCTIONS[function]
    unused = granted(prod, spec) - within_reach(spec) - LAMBDAS_OWN.get(function, set()) - ANSWERS
    assert sorted(unused) == []


IN_THE_END = {"upload_endpoint", "network"}
"""Of forms, which only those sign that have it; and what two settings come to."""
GIVEN = {"trace": {"catalog_table"}}
"""Of the parts that a function's wiring gives, so that they are not made: a clock that asks another table."""


@pytest.mark.parametrize("function", FUNCTIONS)
def test_parts_are_made_from_settings_that_the_function_has(function: str) -> None:
    spec = FUNCTIONS[function]
    has = {*spec.variables, *IN_THE_END, *GIVEN.get(function, ())}
    assert sorted(settings_within_reach(spec.module) - has) == []


def test_settings_are_found_through_parts_that_parts_ask_for() -> None:
    found = settings_within_reach(FUNCTIONS["dispatch_sms"].module)
    assert {"guard_table", "schedule_role_arn", "network"} < found
    assert "timeline_table" not in found
