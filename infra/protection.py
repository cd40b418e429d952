"""What of a deployed stage must not be deleted by mistake."""

from collections.abc import Iterator

import boto3
from botocore.exceptions import ClientError

from infra.stage import Stage


def protections(stage: Stage, session: boto3.Session) -> list[str]:
    """What stands against taking a stage away, a sentence each; nothing for what is not deployed.

    Raises: botocore's ClientError and BotoCoreError.
    """
    return [each for name in (f"{stage.prefix}-data", stage.prefix) for each in _of_stack(name, session)]


def _of_stack(name: str, session: boto3.Session) -> Iterator[str]:
    formation = session.client("cloudformation")
    try:
        (stack,) = formation.describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        said = error.response.get("Error", {})
        # CloudFormation has no code of its own for a stack that there is not.
        if said.get("Code") == "ValidationError" and "does not exist" in said.get("Message", ""):
            return
        raise
    if stack.get("EnableTerminationProtection"):
        yield f"the stack {name} is protected from termination"
    for page in formation.get_paginator("list_stack_resources").paginate(StackName=name):
        for resource in page["StackResourceSummaries"]:
            yield from _of_resource(resource["ResourceType"], resource.get("PhysicalResourceId", ""), session)


def _of_resource(type: str, id: str, session: boto3.Session) -> Iterator[str]:
    if type == "AWS::DynamoDB::Table":
        if session.client("dynamodb").describe_table(TableName=id)["Table"].get("DeletionProtectionEnabled"):
            yield f"the table {id} is protected from deletion"
    elif type == "AWS::S3::Bucket":
        # CloudFormation deletes no bucket with anything in it, an old version of a file among them.
        found = session.client("s3").list_object_versions(Bucket=id, MaxKeys=1)
        if found.get("Versions") or found.get("DeleteMarkers"):
            yield f"the bucket {id} holds files"
