"""The function that tells who calls."""

from shared.base.rights import table
from shared.base.settings import CatalogSettings
from shared.function import AuthorizerTrigger, FunctionSpec

FUNCTIONS = (
    FunctionSpec(
        "authorize",
        "functions.authorize.handler.lambda_handler",
        "Tells who calls, from the API key",
        CatalogSettings,
        memory_mb=512,
        timeout_s=9,  # one second less than the most that an HTTP API waits for an authorizer
        rights=(table("catalog", "GetItem"),),
        triggers=(AuthorizerTrigger(),),
        snapshot=True,
    ),
)
