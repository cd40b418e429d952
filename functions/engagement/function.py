"""The function that tracked links and pictures lead to."""

from shared.api.open_routes import ACKNOWLEDGING, CLICKS, OPENINGS
from shared.base.rights import SEND, allow, table
from shared.base.settings import CatalogSettings, ReceiptSettings
from shared.function import FunctionSpec, OpenRoutes


class EngagementSettings(CatalogSettings, ReceiptSettings):
    """The environment of the function."""


FUNCTIONS = (
    FunctionSpec(
        "engagement",
        "functions.engagement.handler.lambda_handler",
        "Leads recipients on by tracked links, and tells that messages were opened and clicked",
        EngagementSettings,
        memory_mb=512,
        timeout_s=10,
        rights=(table("catalog", "GetItem", "BatchGetItem"), allow(SEND, "receipts.queue")),
        triggers=(
            OpenRoutes(
                (
                    *(f"GET {CLICKS}", f"HEAD {CLICKS}", f"GET {OPENINGS}", f"HEAD {OPENINGS}"),
                    *(f"GET {ACKNOWLEDGING}", f"HEAD {ACKNOWLEDGING}", f"POST {ACKNOWLEDGING}"),
                ),
                "recipients have no key: a link leads where the message's own link led, and nowhere else",
                many=True,
            ),
        ),
    ),
)
