"""Grants what functions say that they need; what stands for many resources is acknowledged with its reason."""

from collections.abc import Iterator

from aws_cdk import Stack
from aws_cdk import aws_iam as iam

from infra.nag import acknowledge
from infra.parts import Parts
from infra.roles import Role
from infra.wildcards import Wildcard, wildcard
from shared.base.rights import Outside, Right


def grant(role: Role, right: Right, parts: Parts) -> None:
    """Add one statement to a role. Raises: FunctionError for parts that there are not."""
    arns = [arn for on in right.on for arn in _resources(on, right, parts)]
    for each in arns:
        if isinstance(each, Wildcard):
            acknowledge(role.role, f"IAM5[Resource::{each.finding}]", each.reason)
    role.allow(
        iam.PolicyStatement(
            actions=list(right.actions),
            resources=[each.arn if isinstance(each, Wildcard) else each for each in arns],
            conditions=right.conditions,
        )
    )


def _resources(on: str | Outside, right: Right, parts: Parts) -> Iterator[str | Wildcard]:
    if isinstance(on, Outside):
        yield _outside(parts.stack, on)
    elif on == "*":
        yield Wildcard("*", "*", f"{', '.join(right.actions)} knows no resources")
    else:
        yield from parts.named(on).values()


def _outside(stack: Stack, on: Outside) -> Wildcard:
    arn = stack.format_arn(service=on.service, region="*", resource=on.kind, resource_name=on.name)
    return wildcard(stack, arn, on.reason)
