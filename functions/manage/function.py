"""The function that manages accounts, templates and keys."""

from shared.base.channels import CHANNELS
from shared.base.rights import READ, allow, table
from shared.base.settings import (
    CatalogSettings,
    DnsSettings,
    GuardSettings,
    MappingSettings,
    NetworkSettings,
    SecretSettings,
)
from shared.function import (
    ADDRESS_PACKAGES,
    CORE_PACKAGES,
    DNS_PACKAGES,
    RENDERING_PACKAGES,
    SEALING_PACKAGES,
    ZONE_PACKAGES,
    ApiTrigger,
    FunctionSpec,
)
from shared.providers.table import providers_of

CONFIGURED = ("tenant#*", "tenants", "key#*", "suppressed#*", "audit#*")
"""The partitions of the catalog that it writes. That it only adds to the audit log, IAM cannot say: no condition knows
whether an item is there already (Service Authorization Reference, DynamoDB)."""


class ManageSettings(CatalogSettings, GuardSettings, SecretSettings, MappingSettings, NetworkSettings, DnsSettings):
    """The environment of the manage function."""


FUNCTIONS = (
    FunctionSpec(
        "manage",
        "functions.manage.handler.lambda_handler",
        "Manages accounts, templates and keys",
        ManageSettings,
        channels=tuple(CHANNELS),
        packages=(
            *CORE_PACKAGES,
            *ADDRESS_PACKAGES,
            *RENDERING_PACKAGES,
            *ZONE_PACKAGES,
            # Whether mail from a domain will land.
            *DNS_PACKAGES,
            *SEALING_PACKAGES,
        ),
        rights=(
            allow(("lambda:UpdateEventSourceMapping",), "mapping.*"),
            table("catalog", *READ, "ConditionCheckItem"),
            table("catalog", "PutItem", keys=CONFIGURED),
            table("catalog", "UpdateItem", keys=("suppressing#*",)),
            # What the guard against SMS pumping counts, and what people decide of prefixes.
            table("guard", "Query", "PutItem", "DeleteItem", keys=("pumping#*",)),
            # What people configure, and whom they stop messages to: not the audit log.
            table("catalog", "DeleteItem", keys=("tenant#*", "suppressed#*")),
            allow(
                (
                    "secretsmanager:CreateSecret",
                    "secretsmanager:PutSecretValue",
                    "secretsmanager:GetSecretValue",
                    "secretsmanager:DeleteSecret",
                    # A secret that waits for its deletion is taken back; a new one is labelled with its tenant and
                    # account.
                    "secretsmanager:RestoreSecret",
                    "secretsmanager:TagResource",
                ),
                "secrets",
            ),
            *(right for provider in providers_of(*CHANNELS) for right in provider.checks),
        ),
        triggers=(ApiTrigger(),),
    ),
)
