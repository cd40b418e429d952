"""The function by which recipients say what they want to get."""

from shared.api.open_routes import PREFERENCES
from shared.base.rights import SEND, allow, table
from shared.base.settings import CatalogSettings, ReceiptSettings, TraceSettings
from shared.function import FunctionSpec, OpenRoutes


class PreferencesSettings(CatalogSettings, ReceiptSettings, TraceSettings):
    """The environment of the function."""


FUNCTIONS = (
    FunctionSpec(
        "preferences",
        "functions.preferences.handler.lambda_handler",
        "Lets recipients unsubscribe and choose topics",
        PreferencesSettings,
        memory_mb=512,
        timeout_s=10,
        rights=(
            table("catalog", "GetItem", "BatchGetItem"),
            table("catalog", "PutItem", "UpdateItem", "DeleteItem", keys=("suppressed#*", "suppressing#*")),
            table("catalog", "PutItem", keys=("audit#*",)),
            table("timeline", "BatchGetItem"),
            allow(SEND, "receipts.queue"),
        ),
        triggers=(
            OpenRoutes(
                (f"GET {PREFERENCES}", f"POST {PREFERENCES}"),
                "recipients have no key: the link in a message opens its recipient's own preferences, and nothing else",
                many=True,
            ),
        ),
    ),
)
