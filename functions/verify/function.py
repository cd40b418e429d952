"""The function that checks codes."""

from shared.base.rights import SEND, allow, table
from shared.base.settings import CatalogSettings, GuardSettings, ReceiptSettings
from shared.function import ApiTrigger, FunctionSpec


class VerifySettings(CatalogSettings, GuardSettings, ReceiptSettings):
    """The environment of the function."""


FUNCTIONS = (
    FunctionSpec(
        "verify",
        "functions.verify.handler.lambda_handler",
        "Checks the codes that people enter",
        VerifySettings,
        memory_mb=512,
        timeout_s=10,
        rights=(
            table("catalog", "GetItem"),
            table("guard", "GetItem", "UpdateItem", keys=("verification#*",)),
            # An approval is counted by the guard against SMS pumping.
            table("guard", "UpdateItem", keys=("pumping#*",)),
            allow(SEND, "receipts.queue"),
        ),
        triggers=(ApiTrigger(),),
        snapshot=True,
    ),
)
