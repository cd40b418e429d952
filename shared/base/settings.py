"""What functions read from their environment: one variable has one meaning in all of them.

Each function declares the parts it needs by inheriting from them; `load` reads the environment once, when the
function's `deps()` is built.
"""

import os
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import AfterValidator, ConfigDict, Field, Json, ValidationError

from shared.errors import BrokenError
from shared.model.base import Model
from shared.net.addresses import own_network
from shared.net.network import Network


class ConfigurationError(BrokenError):
    """The function's environment does not fit; names the variables."""


class Settings(Model):
    """Base: a field `catalog_table` is read from the variable `CATALOG_TABLE`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def load(cls, env: Mapping[str, str] | None = None) -> Self:
        """Read the environment. Raises: ConfigurationError naming what is missing or wrong."""
        env = os.environ if env is None else env
        values: dict[str, Any] = {name: env[name.upper()] for name in cls.model_fields if name.upper() in env}
        try:
            return cls(**values)
        except ValidationError as error:
            wrong = ", ".join(sorted({str(e["loc"][0]).upper() for e in error.errors()}))
            raise ConfigurationError(f"environment variables missing or wrong: {wrong}") from None


class CatalogSettings(Settings):
    """Reads or writes accounts, templates, keys and tenants."""

    catalog_table: str


class GuardSettings(Settings):
    """Reads or writes ledgers, idempotency records and shared tokens."""

    guard_table: str


class StreamSettings(Settings):
    """Writes events."""

    stream_name: str


class ScheduleSettings(Settings):
    """Reads or makes schedules of envelopes that are due later than SQS can delay."""

    schedule_group: str


class QueueSettings(ScheduleSettings):
    """Sends envelopes."""

    queue_urls: Json[dict[str, str]]
    """`<channel>.<class>` -> URL."""
    schedule_role_arn: str
    """`schedule_role_arn` and `schedule_dlq_arn`: for those that are due later."""
    schedule_dlq_arn: str


class DeadLetterSettings(Settings):
    """Sends dead letters."""

    dlq_urls: Json[dict[str, str]]
    """`<channel>.<class>` -> URL."""


class MappingSettings(Settings):
    """Changes how many functions work on a queue."""

    queue_mappings: Json[dict[str, str]]
    """`<channel>.<class>` -> UUID of the mapping."""


class WatchSettings(Settings):
    """Looks after what got stuck."""

    schedules_dlq_url: str
    """Of schedules that could not be delivered."""
    trace_dlq_url: str
    """Of batches that the trace gave up."""


class AfterwardsSettings(Settings):
    """Looks at what comes after sending."""

    receipts_dlq_url: str
    """Of receipts that cannot be read."""
    webhooks_dlq_url: str
    """Of batches of events that were not made into deliveries, and of deliveries that could not be tried."""


class TaskSettings(Settings):
    """Tells the campaign function what to do."""

    campaigns_url: str
    """Of the queue of its tasks."""


class CampaignScheduleSettings(TaskSettings):
    """Has campaigns start on time."""

    campaigns_group: str
    """Of their schedules, which fire with the role of the others."""


class BusSettings(Settings):
    """Takes events from the bus."""

    events_dlq_url: str
    """Of the queue for those that ask for nothing that can be sent."""


class PublicSettings(Settings):
    """Makes links for recipients."""

    public_url: str
    """Of the API, as recipients reach it, without a slash at its end."""


class ReceiptSettings(Settings):
    """Puts receipts on their queue."""

    receipts_url: str


class ArchiveSettings(Settings):
    """Puts events into the archive."""

    archive_stream: str
    """The name of its delivery stream."""


class WebhookSettings(Settings):
    """Puts deliveries of webhooks on their queue."""

    webhooks_url: str


class ErasureSettings(Settings):
    """Has people forgotten."""

    erasures_url: str
    """Of the queue by which that goes on."""


class BusNameSettings(Settings):
    """Puts events on the deployment's bus."""

    bus_name: str


class SecretSettings(Settings):
    """Reads or writes account secrets."""

    secret_prefix: str
    """Their names are `<prefix>/<tenant>/account/<id>`."""


class AttachmentSettings(Settings):
    """Reads files that are attached."""

    assets_bucket: str
    """Where they are."""


class UploadSettings(AttachmentSettings):
    """Lets callers upload files."""

    upload_endpoint: str
    """Where they reach S3 at."""


class CountersSettings(Settings):
    """Reads or writes the counters."""

    counters_table: str


class TraceSettings(CountersSettings):
    """Reads or writes the timeline and the counters."""

    timeline_table: str
    retention_days: int = 90
    """How long the timeline is kept."""


class DeploymentSettings(Settings):
    """Names the deployment, such as in metrics."""

    deployment: str


class LiveMetricsSettings(DeploymentSettings):
    """Tells metrics of messages."""

    account_metrics: bool = True
    """Whether they are told by account, too."""


class LoopbackSettings(Settings):
    """Connects to servers that tenants name: on the internet alone."""

    allow_loopback_endpoints: bool = False
    """Accounts and webhooks may point at this machine; true only in the local stack."""


class DnsSettings(Settings):
    """Looks domains up."""

    dns_server: str = ""
    """Another resolver than the machine's own, as `address:port`: that of the local stack."""


class NetworkSettings(LoopbackSettings):
    """Connects to providers' servers."""

    private_networks: Json[list[Annotated[str, AfterValidator(own_network)]]] = Field(default_factory=list)
    """Those that accounts may point into, such as `["10.20.0.0/16"]`."""

    @property
    def network(self) -> Network:
        """What may be connected to for accounts."""
        return Network(self.allow_loopback_endpoints, tuple(map(own_network, self.private_networks)))
