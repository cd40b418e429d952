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
    """All files under a prefix of a bucket, which may be in another stack of the app.

    Raises: TypeError for a bucket that the app does not make.
    """
    resource, owner = bucket.node.default_child, Stack.of(bucket)
    if not isinstance(resource, s3.CfnBucket):
        raise TypeError("a bucket of the app's own is needed")
    if owner is stack:
        named = f"<{stack.get_logical_id(resource)}.Arn>"
    else:
        named = owner.resolve(owner.export_value(bucket.bucket_arn))["Fn::ImportValue"]
    return Wildcard(bucket.arn_for_objects(f"{prefix}*"), f"{named}/{prefix}*", reason)
