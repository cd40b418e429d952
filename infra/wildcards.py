"""Resources that cannot be named in full, for cdk-nag to know why."""

from dataclasses import dataclass

from aws_cdk import Stack
from aws_cdk import aws_s3 as s3


@dataclass(frozen=True, slots=True)
class Wildcard:
    """A resource that cannot be named in full. finding: as cdk-nag writes it; reason: why it must be so."""

    arn: str
    finding: str
    reason: str


def wildcard(stack: Stack, arn: str, reason: str) -> Wildcard:
    """A wildcard whose finding is the ARN as cdk-nag writes it: references in angle brackets, the rest as it is."""
    finding = (
        arn.replace(stack.partition, "<AWS::Partition>")
        .replace(stack.region, "<AWS::Region>")
        .replace(stack.account, "<AWS::AccountId>")
    )
    return Wildcard(arn, finding, reason)


def files(stack: Stack, bucket: s3.Bucket, prefix: str, reason: str) -> Wildcard:
    """All files of a bucket under a prefix. Raises: TypeError for a bucket that the stack does not make."""
    resource = bucket.node.default_child
    if not isinstance(resource, s3.CfnBucket):
        raise TypeError("a bucket of the stack's own is needed")
    finding = f"<{stack.get_logical_id(resource)}.Arn>/{prefix}*"
    return Wildcard(bucket.arn_for_objects(f"{prefix}*"), finding, reason)
