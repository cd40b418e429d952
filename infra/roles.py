"""Roles with their rights in them: a stack holds 500 resources, and policies beside roles would be as many again."""

from aws_cdk import aws_iam as iam
from constructs import Construct

RIGHTS = "rights"
"""The name of a role's policy."""


class Role:
    """A role, and what it may do."""

    def __init__(self, scope: Construct, id: str, *, description: str, assumed_by: iam.IPrincipal) -> None:
        self._rights = iam.PolicyDocument()
        self.role = iam.Role(
            scope, id, description=description, assumed_by=assumed_by, inline_policies={RIGHTS: self._rights}
        )

    @property
    def arn(self) -> str:
        """The role's ARN."""
        return self.role.role_arn

    def allow(self, statement: iam.PolicyStatement) -> None:
        """Add to what it may do."""
        self._rights.add_statements(statement)
