"""The function that providers call to say what became of messages."""

from shared.api.open_routes import CALLBACKS
from shared.base.rights import SEND, allow, read_secrets, table
from shared.base.settings import CatalogSettings, DeploymentSettings, ReceiptSettings, SecretSettings
from shared.function import CORE_PACKAGES, Alarm, FunctionSpec, OpenRoutes
from shared.providers.table import PROVIDERS

CHANNELS = dict.fromkeys(provider.channel for provider in PROVIDERS.values() if provider.callback_needs_secret)
SECRETS = tuple(read_secrets(channel) for channel in CHANNELS)
"""Anybody may call it, so it reads no secrets but of channels where a vendor's callbacks cannot be read without."""

PACKAGES = dict.fromkeys(package for provider in PROVIDERS.values() for package in provider.callback_packages)


class CallbacksSettings(CatalogSettings, ReceiptSettings, SecretSettings, DeploymentSettings):
    """The environment of the function."""


FUNCTIONS = (
    FunctionSpec(
        "callbacks",
        "functions.callbacks.handler.lambda_handler",
        "Takes what providers say by callbacks",
        CallbacksSettings,
        # Vendors wait for few seconds, also while it starts: with less memory that takes longer.
        timeout_s=10,
        receipts=True,
        packages=(*CORE_PACKAGES, *PACKAGES),
        rights=(table("catalog", "GetItem"), allow(SEND, "receipts.queue"), *SECRETS),
        triggers=(
            OpenRoutes(
                (f"GET {CALLBACKS}", f"POST {CALLBACKS}"),
                "providers have no key: the token in an account's callback URL opens it, and nothing can be read by it",
                many=True,
            ),
        ),
        alarms=(
            Alarm(
                "callbacks-refused",
                "Callbacks of a provider are refused or not taken: its messages' receipts are lost when it has tried "
                "often enough. Read the log of callbacks; see what its console has as the URL, the token and the key.",
                "CallbacksFailed",
                runbook="callbacks-refused",
                minutes=15,
                above=4,
            ),
        ),
    ),
)
