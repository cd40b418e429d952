"""The function that asks providers for receipts that no callback brought."""

from shared.base.channels import CHANNELS
from shared.base.rights import SEND, allow, table
from shared.base.settings import CatalogSettings, DeploymentSettings, NetworkSettings, ReceiptSettings, SecretSettings
from shared.function import Alarm, Every, FunctionSpec
from shared.providers.table import providers_of

MINUTES = 10
FAILED_PERIODS = 6
"""In a row, for somebody to be called."""
TIMEOUT_S = 300
CHANNELS_ASKED = tuple(each for each in CHANNELS if any(p.pull_setting is not None for p in providers_of(each)))
"""Those with providers that can be asked."""


class PullingSettings(CatalogSettings, ReceiptSettings, SecretSettings, NetworkSettings, DeploymentSettings):
    """The environment of the function."""


FUNCTIONS = (
    FunctionSpec(
        "pulling",
        "functions.pulling.handler.lambda_handler",
        "Asks providers for receipts that no callback brought",
        PullingSettings,
        memory_mb=512,
        timeout_s=TIMEOUT_S,  # less than the time between two
        channels=CHANNELS_ASKED,
        rights=(
            table("catalog", "Query"),
            allow(SEND, "receipts.queue"),
            *(right for provider in providers_of(*CHANNELS_ASKED) for right in provider.pulls),
        ),
        triggers=(Every(MINUTES),),
        alarms=(
            Alarm(
                "pulls-failed",
                "For an hour an account could not be asked for receipts, which providers keep for some days only: read "
                "the log of pulling.",
                "PullsFailed",
                runbook="receipts-not-pulled",
                minutes=MINUTES,
                periods=FAILED_PERIODS,
            ),
        ),
    ),
)
