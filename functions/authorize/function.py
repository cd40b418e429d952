"""The function that tells who calls."""

from shared.function import AuthorizerTrigger, FunctionSpec
from shared.rights import table
from shared.settings import CatalogSettings

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
    ),
)
