"""The functions in one table: handler, environment, size, and what goes into its package. No CDK here."""

from dataclasses import dataclass

from shared.channels import CHANNELS, PROVIDERS, ChannelSpec
from shared.model.words import Channel
from shared.settings import (
    AttachmentSettings,
    BusSettings,
    CampaignScheduleSettings,
    CatalogSettings,
    CountersSettings,
    DeadLetterSettings,
    GuardSettings,
    MappingSettings,
    NetworkSettings,
    QueueSettings,
    SecretSettings,
    Settings,
    StreamSettings,
    TaskSettings,
    TraceSettings,
    UploadSettings,
    WatchSettings,
)

PYTHON_VERSION = "3.14"
"""Of the functions' runtime, the newest that AWS offers; every dependency has wheels for it."""

CORE_PACKAGES = ("aws-lambda-powertools", "boto3", "pydantic")
ADDRESS_PACKAGES = ("email-validator", "phonenumbers")
RENDERING_PACKAGES = ("jinja2",)
ZONE_PACKAGES = ("tzdata",)
"""Of functions that look at recipients' clocks, or read settings, which may name a time zone: the runtime has none of
its own."""

AWS_SERVICES = (
    "dynamodb",
    "kinesis",
    "lambda",
    "pinpoint-sms-voice-v2",
    "s3",
    "scheduler",
    "secretsmanager",
    "sesv2",
    "sqs",
)
"""The services that functions call: of boto3's models these are packaged."""

API_TIMEOUT_S = 29
"""One second less than the most that an HTTP API waits for an integration."""
AUTHORIZER_TIMEOUT_S = 9
"""One second less than the most that an HTTP API waits for an authorizer."""
DEAD_LETTERS_TIMEOUT_S = 30
"""Of the function that takes messages from the dead-letter queues, which hide them six times as long."""
WATCH_TIMEOUT_S = 240
"""Less than the time between two sweeps."""
CAMPAIGN_TIMEOUT_S = 900
"""The most that Lambda gives: a file of 5 GB is cut in one go."""
CAMPAIGN_MEMORY_MB = 1769
"""With so much a function has a whole processor (Lambda developer guide, "Configure memory")."""


@dataclass(frozen=True, slots=True)
class FunctionSpec:
    """A function.

    name: its logical name. folder: its folder under `functions/`. settings: the parts of its environment.
    channels: whose providers it carries. packages: the distributions it needs, without what those need.
    channel: of a dispatch function. pages: whether the API's description goes into the package.
    """

    name: str
    handler: str
    description: str
    settings: tuple[type[Settings], ...]
    memory_mb: int = 1024
    timeout_s: int = API_TIMEOUT_S
    channels: tuple[Channel, ...] = ()
    packages: tuple[str, ...] = CORE_PACKAGES
    channel: Channel | None = None
    pages: bool = False

    @property
    def folder(self) -> str:
        """Such as `trace` for the handler `functions.trace.api.lambda_handler`."""
        return self.handler.split(".")[1]

    @property
    def module(self) -> str:
        """The module that holds the handler."""
        return self.handler.rpartition(".")[0]

    @property
    def construct_id(self) -> str:
        """Such as `DispatchEmail`; what the function's logical ids begin with."""
        return self.name.title().replace("_", "")

    @property
    def variables(self) -> tuple[str, ...]:
        """The fields of its environment, in lower case."""
        return tuple(dict.fromkeys(name for part in self.settings for name in part.model_fields))


def _provider_packages(*channels: Channel) -> tuple[str, ...]:
    found = (package for spec in PROVIDERS.values() if spec.channel in channels for package in spec.packages)
    return tuple(dict.fromkeys(found))


def _dispatch(spec: ChannelSpec) -> FunctionSpec:
    return FunctionSpec(
        name=spec.function,
        handler=f"functions.{spec.function}.handler.lambda_handler",
        description=f"Sends envelopes of the channel {spec.channel}",
        settings=(
            CatalogSettings,
            GuardSettings,
            StreamSettings,
            QueueSettings,
            DeadLetterSettings,
            SecretSettings,
            NetworkSettings,
            CountersSettings,
            AttachmentSettings,
        ),
        memory_mb=spec.memory_mb,
        timeout_s=spec.timeout_s,
        channels=(spec.channel,),
        packages=(*CORE_PACKAGES, *RENDERING_PACKAGES, *ZONE_PACKAGES, *_provider_packages(spec.channel)),
        channel=spec.channel,
    )


INGEST = FunctionSpec(
    "ingest",
    "functions.ingest.handler.lambda_handler",
    "Accepts messages",
    (CatalogSettings, GuardSettings, StreamSettings, QueueSettings, UploadSettings),
    packages=(*CORE_PACKAGES, *ADDRESS_PACKAGES, *ZONE_PACKAGES),
)
INGEST_EVENTS = FunctionSpec(
    "ingest_events",
    "functions.ingest.events.lambda_handler",
    "Accepts messages that events ask for",
    (CatalogSettings, GuardSettings, StreamSettings, QueueSettings, AttachmentSettings, BusSettings),
    packages=INGEST.packages,
)
DISPATCHERS: dict[Channel, FunctionSpec] = {spec.channel: _dispatch(spec) for spec in CHANNELS.values()}
TRACE = FunctionSpec(
    "trace",
    "functions.trace.handler.lambda_handler",
    "Turns events into timelines and counters",
    (TraceSettings,),
    timeout_s=60,
)
TRACE_API = FunctionSpec(
    "trace_api",
    "functions.trace.api.lambda_handler",
    "Answers what happened to messages",
    (CatalogSettings, TraceSettings),
    packages=(*CORE_PACKAGES, *ADDRESS_PACKAGES),
)
RECALL = FunctionSpec(
    "recall",
    "functions.recall.handler.lambda_handler",
    "Recalls messages that are not sent yet, or that their provider takes back",
    (CatalogSettings, GuardSettings, TraceSettings, StreamSettings, SecretSettings, NetworkSettings),
    channels=(Channel.WECOM,),
    packages=(*CORE_PACKAGES, *_provider_packages(Channel.WECOM)),
)
MANAGE = FunctionSpec(
    "manage",
    "functions.manage.handler.lambda_handler",
    "Manages accounts, templates and keys",
    (CatalogSettings, SecretSettings, MappingSettings, NetworkSettings),
    channels=tuple(CHANNELS),
    packages=(*CORE_PACKAGES, *ADDRESS_PACKAGES, *RENDERING_PACKAGES, *ZONE_PACKAGES, *_provider_packages(*CHANNELS)),
)
DEAD_LETTERS = FunctionSpec(
    "dead_letters",
    "functions.dead_letters.handler.lambda_handler",
    "Keeps what the dead-letter queues hold",
    (CatalogSettings, GuardSettings, StreamSettings, QueueSettings),
    packages=(*CORE_PACKAGES, *ZONE_PACKAGES),
    memory_mb=512,
    timeout_s=DEAD_LETTERS_TIMEOUT_S,
)
WATCH = FunctionSpec(
    "watch",
    "functions.watch.handler.lambda_handler",
    "Finds what got stuck, and mends it",
    (CatalogSettings, GuardSettings, TraceSettings, StreamSettings, QueueSettings, WatchSettings, TaskSettings),
    timeout_s=WATCH_TIMEOUT_S,
)
WATCH_API = FunctionSpec(
    "watch_api",
    "functions.watch.api.lambda_handler",
    "Answers how the platform is",
    (CatalogSettings, TraceSettings, StreamSettings, QueueSettings, DeadLetterSettings, WatchSettings),
)
DEAD_LETTERS_API = FunctionSpec(
    "dead_letters_api",
    "functions.dead_letters.api.lambda_handler",
    "Lists, redrives and discards dead letters",
    (CatalogSettings, StreamSettings, QueueSettings),
)
_CAMPAIGN_PACKAGES = (*CORE_PACKAGES, *ADDRESS_PACKAGES, *RENDERING_PACKAGES, *ZONE_PACKAGES)
CAMPAIGN = FunctionSpec(
    "campaign",
    "functions.campaign.handler.lambda_handler",
    "Cuts audience files into shards, checks them, and queues their messages",
    (
        CatalogSettings,
        GuardSettings,
        StreamSettings,
        QueueSettings,
        CountersSettings,
        AttachmentSettings,
        TaskSettings,
    ),
    memory_mb=CAMPAIGN_MEMORY_MB,
    timeout_s=CAMPAIGN_TIMEOUT_S,
    packages=_CAMPAIGN_PACKAGES,
)
CAMPAIGN_API = FunctionSpec(
    "campaign_api",
    "functions.campaign.api.lambda_handler",
    "Manages campaigns and their runs",
    (
        CatalogSettings,
        GuardSettings,
        StreamSettings,
        QueueSettings,
        CountersSettings,
        UploadSettings,
        CampaignScheduleSettings,
    ),
    packages=_CAMPAIGN_PACKAGES,
)
DESCRIBE = FunctionSpec(
    "describe",
    "functions.describe.handler.lambda_handler",
    "Serves the API's description",
    (),
    memory_mb=128,
    timeout_s=5,
    packages=(),
    pages=True,
)
AUTHORIZE = FunctionSpec(
    "authorize",
    "functions.authorize.handler.lambda_handler",
    "Tells who calls, from the API key",
    (CatalogSettings,),
    memory_mb=512,
    timeout_s=AUTHORIZER_TIMEOUT_S,
)

FUNCTIONS: dict[str, FunctionSpec] = {
    spec.name: spec
    for spec in (
        INGEST,
        INGEST_EVENTS,
        *DISPATCHERS.values(),
        TRACE,
        TRACE_API,
        RECALL,
        DEAD_LETTERS,
        DEAD_LETTERS_API,
        WATCH,
        WATCH_API,
        MANAGE,
        CAMPAIGN,
        CAMPAIGN_API,
        DESCRIBE,
        AUTHORIZE,
    )
}
