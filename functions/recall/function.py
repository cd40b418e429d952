"""The function that recalls messages."""

from shared.base.rights import PUBLISH, read_secrets, table
from shared.base.settings import (
    CatalogSettings,
    GuardSettings,
    NetworkSettings,
    SecretSettings,
    StreamSettings,
    TraceSettings,
)
from shared.function import ApiTrigger, FunctionSpec
from shared.model.words import Channel


class RecallSettings(CatalogSettings, GuardSettings, TraceSettings, StreamSettings, SecretSettings, NetworkSettings):
    """The environment of the function."""


FUNCTIONS = (
    FunctionSpec(
        "recall",
        "functions.recall.handler.lambda_handler",
        "Recalls messages that are not sent yet, or that their provider takes back",
        RecallSettings,
        channels=(Channel.WECOM,),
        rights=(
            table("catalog", "GetItem"),
            table("timeline", "BatchGetItem", "Query"),
            table("guard", "BatchGetItem", "UpdateItem", "GetItem"),
            PUBLISH,
            # For the one provider that takes messages back; an account's token may have to be fetched.
            read_secrets(Channel.WECOM),
        ),
        triggers=(ApiTrigger(),),
    ),
)
