"""The function that serves the API's description: with no rights, for anybody may call it."""

from shared.function import ApiTrigger, FunctionSpec

FUNCTIONS = (
    FunctionSpec(
        "describe",
        "functions.describe.handler.lambda_handler",
        "Serves the API's description",
        memory_mb=128,
        timeout_s=5,
        packages=(),
        triggers=(ApiTrigger(),),
        pages=True,
    ),
)
