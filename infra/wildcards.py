"""Resources that cannot be named in full, for cdk-nag to know why."""

from dataclasses import dataclass

from aws_cdk import Stack


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
