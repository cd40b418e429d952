"""The function that providers call to say what became of messages."""

from shared.api.open_routes import CALLBACKS
from shared.base.rights import SEND, allow, table
from shared.base.settings import CatalogSettings, ReceiptSettings, SecretSettings
from shared.function import FunctionSpec, OpenRoutes
from shared.providers.table import PROVIDERS

NEEDS_SECRETS = any(provider.callback_needs_secret for provider in PROVIDERS.values())
SECRETS = (allow(("secretsmanager:GetSecretValue",), "secrets"),) if NEEDS_SECRETS else ()
"""Anybody may call it, so it reads secrets only if a vendor's callbacks cannot be read without."""


class CallbacksSettings(CatalogSettings, ReceiptSettings, SecretSettings):
    """The environment of the function."""


FUNCTIONS = (
    FunctionSpec(
        "callbacks",
        "functions.callbacks.handler.lambda_handler",
        "Takes what providers say by callbacks",
        CallbacksSettings,
        memory_mb=512,
        # Vendors wait for few seconds.
        timeout_s=10,
        receipts=True,
        rights=(table("catalog", "GetItem"), allow(SEND, "receipts.queue"), *SECRETS),
        triggers=(
            OpenRoutes(
                (f"GET {CALLBACKS}", f"POST {CALLBACKS}"),
                "providers have no key: the token in an account's callback URL opens it, and nothing can be read by it",
                many=True,
            ),
        ),
    ),
)
